/** The listeners of a server: metrics, operator acts and the API, each apart from the others, each closed within the drain timeout. */
import type { IncomingMessage } from 'node:http';
import type { LogFields } from '../telemetry/log.ts';
import type { Tracer } from '../telemetry/tracer.ts';
import { addressKey } from './address-key.ts';
import { type ApiParts, apiListener } from './api-listener.ts';
import { type Address, formatListen, type SocketPath } from './config-values.ts';
import { observeReadiness } from './health/observe.ts';
import { HttpServer, type HttpServerOptions } from './http-server.ts';
import { Connections } from './listen/connections.ts';
import type { TlsCertificate } from './listen/tls.ts';
import { createTrustedPeers } from './listen/trusted-peers.ts';
import { UnderWay } from './listen/under-way.ts';
import { metricsListener } from './metrics-listener.ts';
import type { Service, ServiceParts } from './open-service.ts';
import type { AuditHead } from './operator/acts.ts';
import { operatorListener } from './operator/listener.ts';
import { RAW_PROBLEM_CODE } from './raw-problem.ts';

/** Left to the other listeners when the API took all of the drain timeout. */
const LEAST_DRAIN_MS = 250;

/** Of metrics, and of operator acts: they must not take the file descriptors that the API needs. */
const MAX_SIDE_CONNECTIONS = 64;

export interface ListenerParts extends ServiceParts, Pick<ApiParts, 'build' | 'authority'> {
  readonly tls: TlsCertificate | undefined;
  readonly tracer: Tracer;
  /** Every request that was refused, by its client. */
  readonly onRefused: (client: string, fields: LogFields) => void;
  /** What is left of the drain timeout, in milliseconds. */
  readonly drainLeft: () => number;
}

/** Begins to count when it is first asked: the listeners, closed one after another, have the drain timeout once. */
export function drainClock({ live }: Pick<ServiceParts, 'live'>): () => number {
  let endMs: number | undefined;
  return () => {
    const { drainMs } = live.current.timeouts;
    endMs ??= performance.now() + drainMs;
    return Math.max(endMs - performance.now(), Math.min(LEAST_DRAIN_MS, drainMs));
  };
}

/** Resolves with the URL in force; `null` when metrics are off. */
export async function listenForMetrics(
  parts: ListenerParts,
  { store, registry }: Service,
): Promise<string | null> {
  const { config, metrics } = parts;
  if (config.metricsListen === null) return null;
  const observe = async () => {
    observeReadiness(registry, metrics);
    metrics.storageBytes(await store.storageBytes());
  };
  const bound = await listen(parts, config.metricsListen, {
    listener: metricsListener(metrics, observe),
    maxConnections: MAX_SIDE_CONNECTIONS,
  });
  return `http://${formatListen(bound)}/metrics`;
}

/** On a Unix socket of its own, for the server's user alone. */
export async function listenForOperator(parts: ListenerParts, service: Service): Promise<void> {
  const { config, live } = parts;
  if (config.operatorListen === null) return;
  const underWay = new UnderWay();
  const listener = operatorListener({
    ...parts,
    ...service,
    underWay,
    auditHead: () => auditHead(service),
    reload: () => live.reload(),
    now: Date.now,
  });
  const address = { path: config.operatorListen };
  await listen(parts, address, { listener, underWay, maxConnections: MAX_SIDE_CONNECTIONS });
}

/** Resolves with the URL in force: `http://127.0.0.1:7070`, `https://...` with TLS, `unix:/path`. */
export async function listenForApi(parts: ListenerParts, service: Service): Promise<string> {
  const { config, live, metrics, tls } = parts;
  const underWay = new UnderWay();
  const { listener, readyReads } = apiListener(
    { ...parts, ...service, underWay },
    () => live.current,
  );
  const isTrusted = createTrustedPeers(() => live.current.trustedProxies);
  const bound = await listen(parts, config.listen, {
    listener,
    front: { readyReads, isProxy: isTrusted },
    underWay,
    ...(service.blobs !== undefined && { isUpload: isBlobPut }),
    tls,
    socketMode: config.socketMode,
    connections: new Connections({
      limits: () => live.current.limits,
      isTrusted,
      metrics,
    }),
  });
  const scheme = tls === undefined ? 'http://' : 'https://';
  return `${'path' in bound ? '' : scheme}${formatListen(bound)}`;
}

/** What may be larger than a request that comes in a few seconds. */
function isBlobPut({ method, url }: IncomingMessage): boolean {
  return method === 'PUT' && url?.startsWith('/blobs/') === true;
}

function auditHead({ audit }: Service): AuditHead | null {
  const { seq, hash } = audit.position() ?? { seq: 0, hash: null };
  return hash === null ? null : { seq, hash };
}

interface Served
  extends Pick<
    HttpServerOptions,
    'listener' | 'front' | 'isUpload' | 'tls' | 'socketMode' | 'connections' | 'maxConnections'
  > {
  readonly underWay?: UnderWay;
}

async function listen(
  { config, log, metrics, onRefused, closers, drainLeft }: ListenerParts,
  address: Address | SocketPath,
  { underWay, ...served }: Served,
): Promise<Address | SocketPath> {
  const server = new HttpServer({
    ...served,
    timeouts: config.timeouts,
    onRefused: ({ status, detail }, { remoteAddress }) => {
      metrics.rejected(RAW_PROBLEM_CODE);
      const client = addressKey(remoteAddress);
      onRefused(client, { status, code: RAW_PROBLEM_CODE, detail, client });
    },
    onError: (error) => log.error('a connection could not be accepted', { error }),
  });
  const bound = await server.listen(address);
  closers.push(async () => {
    await server.close(drainLeft());
    // Closed before the audit log: what outlived its connection is still recorded.
    await underWay?.idle();
  });
  return bound;
}
