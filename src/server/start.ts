/**
 * The composition root: a configuration becomes a running registry. Parts are opened from the store
 * up and closed from the listeners down; a start that fails leaves nothing open.
 */
import { cleanedUp, ERROR_CODES } from '../core/error.ts';
import { createMetrics } from '../telemetry/create-metrics.ts';
import type { Log } from '../telemetry/log.ts';
import type { LineOutput } from './audit-log/stdout-sink.ts';
import { type BuildInfo, readBuildInfo } from './build-info.ts';
import type { Config } from './config.ts';
import { createFatal, killProcess } from './fatal.ts';
import { watchStart } from './health/observe.ts';
import { openTls } from './listen/tls.ts';
import { drainClock, listenForApi, listenForMetrics, listenForOperator } from './listeners.ts';
import { LiveConfig } from './live-config.ts';
import { createLog } from './log.ts';
import { openService, type Service, type ServiceParts } from './open-service.ts';
import { recordedReload } from './recorded-reload.ts';
import { RefusalLog } from './refusal-log.ts';
import { type Closers, closeAll, Running, type RunningServer } from './running.ts';
import { TIMERS } from './timers.ts';
import { openAuthority } from './tokens/authority.ts';
import { openTracer } from './tracing/open.ts';

export interface StartOptions {
  /** Stops the server when it aborts, as `stop` does. */
  readonly signal?: AbortSignal;
  /** Default: JSON lines on standard error, at the configured level. */
  readonly log?: Log;
  /** Ends the process when the outcome of a write is unknown. Default: SIGKILL to itself. */
  readonly kill?: () => void;
  /** Reads the configuration once more, for a reload. Default: it is what it was. */
  readonly reload?: () => Promise<Config>;
  /** Takes the audit log of a micronode, a line at a time. Default: standard output. */
  readonly stdout?: LineOutput;
}

interface Parts extends Omit<ServiceParts, 'tracer'> {
  readonly build: BuildInfo;
}

/**
 * Throws `invalid_request` (an address it can not listen on, a log key it can not use), `storage_locked`, `storage_foreign`,
 * `storage_newer`, `storage_damaged` or `storage_failed`, each with what to do about it.
 */
export async function startServer(
  config: Config,
  options: StartOptions = {},
): Promise<RunningServer> {
  const { kill = killProcess, signal, stdout } = options;
  const ownLog = createLog({ level: config.logLevel });
  const { log = ownLog } = options;
  const build = readBuildInfo();
  const metrics = createMetrics({
    build: { version: build.version, node: process.versions.node },
    reasons: ERROR_CODES,
    now: () => performance.now(),
    isProcessObserved: config.metricsListen !== null,
  });
  const load = options.reload ?? (async () => config);
  const live = new LiveConfig({ initial: config, load, log, metrics, now: Date.now });
  live.add({
    prepare:
      async ({ logLevel }) =>
      () =>
        ownLog.setLevel(logLevel),
  });
  const onFatal = createFatal({ log, kill });
  const closers: Closers = [];
  try {
    const server = await openAll({ config, live, log, metrics, build, stdout, onFatal, closers });
    if (signal?.aborted === true) await server.stop();
    signal?.addEventListener('abort', () => void server.stop(), { once: true });
    return server;
  } catch (error) {
    throw await cleanedUp(error, () => closeAll(closers));
  }
}

async function openAll(parts: Parts): Promise<RunningServer> {
  const { config, live, metrics, log, build, closers } = parts;
  // What only reads settings comes first: a mistake in one leaves no trace.
  const tracer = await openTracer(config.traceEndpoint, {
    log,
    service: { name: 'quorate', version: build.version },
  });
  closers.push(() => tracer[Symbol.asyncDispose]());
  const authority = await openAuthority(config, { log, now: Date.now });
  closers.push(async () => authority.close());
  const tls = await openTls(config.tls, { metrics, log, now: Date.now });
  for (const part of [authority, ...(tls === undefined ? [] : [tls])]) live.add(part);
  const drainLeft = drainClock(parts);
  const refusals = new RefusalLog({ log, timers: TIMERS });
  closers.push(async () => refusals.close());
  const opened = {
    ...parts,
    tracer,
    tls,
    authority: () => authority.current(),
    onRefused: refusals.refused.bind(refusals),
    drainLeft,
  };
  const service = await openService(opened);
  // Opened before the API and so closed after it: the last requests are still counted and seen.
  const metricsUrl = await listenForMetrics(opened, service);
  await listenForOperator(opened, service);
  const url = await listenForApi(opened, service);
  const stopWatching = watchStart({
    ...service,
    metrics,
    uptimeSeconds: process.uptime,
    timers: TIMERS,
  });
  closers.push(async () => stopWatching());
  const { registry } = service;
  announce(parts, { registry, url, metricsUrl });
  const reload = recordedReload({ ...service, live });
  return new Running({ url, metricsUrl, registry, live, reload, log, closers });
}

interface Started {
  readonly registry: Service['registry'];
  readonly url: string;
  readonly metricsUrl: string | null;
}

function announce({ config, log, build }: Parts, { registry, url, metricsUrl }: Started): void {
  const head = registry.head()?.object;
  const writers =
    config.tokens.keys.length > 0
      ? 'write routes take access tokens'
      : 'without a token key, write routes are open to this machine only';
  log.info(`serving on ${url}; ${writers}`, {
    profile: config.profile,
    data: config.profile === 'macronode' ? config.dataDir : 'memory, gone with the process',
    origin: head?.origin ?? 'none yet: `quorate init` begins the registry',
    registry: head?.registry,
    version: head?.version,
    metrics: metricsUrl ?? 'off',
    program: build.version,
  });
}
