/** The API as a node:http listener: the app of `http`, given what only a server knows of a request. */
import type { RequestListener } from 'node:http';
import type { HttpBindings } from '@hono/node-server';
import { createHttp } from '../http/app.ts';
import type { Authority } from '../http/authority.ts';
import type { BlobStore } from '../http/blob-store.ts';
import type { HttpDeps } from '../http/deps.ts';
import type { PreparedSets } from '../http/prepared-sets.ts';
import type { ReadyReads } from '../http/ready-reads.ts';
import type { Registry } from '../registry/registry.ts';
import type { AuditTrail } from '../telemetry/audit.ts';
import type { Log, LogFields } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Tracer } from '../telemetry/tracer.ts';
import type { BuildInfo } from './build-info.ts';
import { COMPRESS } from './compress.ts';
import type { Config } from './config.ts';
import { newCorrId } from './corr-id.ts';
import { readyListener } from './front/ready-listener.ts';
import { createClientAddress } from './listen/client-address.ts';
import { fetchListener } from './listen/fetch-listener.ts';
import { HeldAnswers } from './listen/held-answers.ts';
import { createTrustedPeers } from './listen/trusted-peers.ts';
import { UnderWay } from './listen/under-way.ts';
import { isLoopbackCaller } from './loopback.ts';
import { createRateLimit } from './rate-limit.ts';
import { problemResponse, RAW_PROBLEM_CODE } from './raw-problem.ts';
import { sendEvents } from './send-events.ts';
import { sendPieces } from './send-pieces.ts';
import { TIMERS } from './timers.ts';

export interface ApiParts {
  readonly registry: Registry;
  readonly metrics: Metrics;
  readonly log: Log;
  /** Default: each refusal is a line of the log. */
  readonly onRefused?: (client: string, fields: LogFields) => void;
  readonly build: BuildInfo;
  /** Default: no tokens, and writes from this machine only. */
  readonly authority?: () => Authority | undefined;
  /** Default: there are none. */
  readonly blobs?: BlobStore | undefined;
  readonly audit?: AuditTrail;
  readonly tracer?: Tracer;
  readonly preparedSets?: PreparedSets | undefined;
  /** What a stop waits for. */
  readonly underWay?: UnderWay;
}

export interface ApiListener {
  readonly listener: RequestListener;
  /** The same answers to plain reads, for what stands before node:http. */
  readonly readyReads: ReadyReads;
}

type ListenerConfig = Pick<Config, 'limits' | 'listen' | 'trustedProxies'>;

/** `live`: the configuration in force, asked at every use because a reload replaces it. */
export function apiListener(parts: ApiParts, live: () => ListenerConfig): ApiListener {
  const proxies = () => live().trustedProxies;
  const clientAddress = createClientAddress(proxies);
  const isProxy = createTrustedPeers(proxies);
  const { log, onRefused = (_, line) => log.info('request refused', line) } = parts;
  const held = new HeldAnswers({
    onBrokenOff: ({ address, body: { length } }) => {
      parts.metrics.answerBrokenOff();
      onRefused(address, {
        code: 'overloaded',
        reason: 'answer_left',
        bytes: length,
        client: address,
      });
    },
  });
  const { app, readyReads } = createHttp({
    ...parts,
    limits: () => live().limits,
    compress: COMPRESS,
    timers: TIMERS,
    random: Math.random,
    monotonicSeconds: () => performance.now() / 1000,
    newCorrId,
    consumeRead: createRateLimit(() => live().limits.maxReadsPerMinute),
    consumeWrite: createRateLimit(() => live().limits.maxWritesPerMinute),
    consumeToken: createRateLimit(() => live().limits.maxTokenWritesPerMinute),
    isWriteAllowed: (c) => {
      const { socket, headers, httpVersion } = incomingOf(c);
      const address = socket.remoteAddress;
      const caller = { address, isUnixSocket: 'path' in live().listen, host: headers.host };
      // Behind a proxy may be anybody, also when it says nothing of them; many speak http/1.0.
      return httpVersion !== '1.0' && !isProxy(address) && isLoopbackCaller(caller);
    },
    clientAddress: (c) => clientAddress(incomingOf(c)),
    hangUp: (c) => incomingOf(c).socket.destroy(),
    holdBody: (c, body) => {
      const { incoming, outgoing }: HttpBindings = c.env;
      if (outgoing.destroyed) return;
      const breakOff = () => outgoing.destroy();
      outgoing.once('close', held.hold({ body, address: clientAddress(incoming), breakOff }));
    },
    sendEvents,
    sendPieces,
    // Not destroyed when it is left: who is refused must still get the answer.
    piecesOf: (c) => incomingOf(c).iterator({ destroyOnReturn: false }),
  });
  const { underWay = new UnderWay() } = parts;
  const next = fetchListener(
    (request, env) => underWay.run(() => app.fetch(request, env)),
    // The app answers its own failures: here come only requests that no URL can be made of.
    (error) => {
      parts.metrics.rejected(RAW_PROBLEM_CODE);
      onRefused('', { code: RAW_PROBLEM_CODE, error });
      return problemResponse({ status: 400, detail: 'expected a host and a path that make a url' });
    },
  );
  return { listener: readyListener({ readyReads, clientAddress, next }), readyReads };
}

type RequestContext = Parameters<HttpDeps['hangUp']>[0];

function incomingOf(c: RequestContext): HttpBindings['incoming'] {
  const { incoming }: HttpBindings = c.env;
  return incoming;
}
