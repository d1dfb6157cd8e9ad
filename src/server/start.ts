/**
 * The composition root: a configuration becomes a running registry. Parts are opened from the store
 * up and closed from the listeners down; a start that fails leaves nothing open.
 */
import { ERROR_CODES } from '../core/error.ts';
import { createMetrics } from '../telemetry/create-metrics.ts';
import type { Log } from '../telemetry/log.ts';
import { apiListener } from './api-listener.ts';
import { type BuildInfo, readBuildInfo } from './build-info.ts';
import type { Config } from './config.ts';
import { type Address, formatListen, type SocketPath } from './config-values.ts';
import { createFatal, killProcess } from './fatal.ts';
import { observeReadiness, watchStart } from './health/observe.ts';
import { HttpServer, type HttpServerOptions } from './http-server.ts';
import { LiveConfig } from './live-config.ts';
import { createLog } from './log.ts';
import { metricsListener } from './metrics-listener.ts';
import { openService, type Service, type ServiceParts } from './open-service.ts';
import { RAW_PROBLEM_CODE } from './raw-problem.ts';
import { type Closers, closeAll, Running, type RunningServer } from './running.ts';
import { TIMERS } from './timers.ts';

export interface StartOptions {
  /** Stops the server when it aborts, as `stop` does. */
  readonly signal?: AbortSignal;
  /** Default: JSON lines on standard error, at the configured level. */
  readonly log?: Log;
  /** Ends the process when the outcome of a write is unknown. Default: SIGKILL to itself. */
  readonly kill?: () => void;
  /** Reads the configuration once more, for a reload. Default: it is what it was. */
  readonly reload?: () => Promise<Config>;
}

interface Parts extends ServiceParts {
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
  const { log = createLog({ level: config.logLevel }), kill = killProcess, signal } = options;
  const build = readBuildInfo();
  const metrics = createMetrics({
    build: { version: build.version, node: process.versions.node },
    reasons: ERROR_CODES,
    now: () => performance.now(),
    isProcessObserved: config.metricsListen !== null,
  });
  const load = options.reload ?? (async () => config);
  const live = new LiveConfig({ initial: config, load, log, metrics, now: Date.now });
  const onFatal = createFatal({ log, kill });
  const closers: Closers = [];
  try {
    const server = await openAll({ config, live, log, metrics, build, onFatal, closers });
    if (signal?.aborted === true) await server.stop();
    signal?.addEventListener('abort', () => void server.stop(), { once: true });
    return server;
  } catch (error) {
    await closeAll(closers);
    throw error;
  }
}

async function openAll(parts: Parts): Promise<RunningServer> {
  const { config, live, metrics, log, closers } = parts;
  const service = await openService(parts);
  const { registry } = service;
  // Opened before the API and so closed after it: the last requests are still counted and seen.
  const metricsUrl = await listenForMetrics(parts, service);
  const url = await listen(
    parts,
    config.listen,
    apiListener({ ...parts, registry }, () => live.current),
  );
  const stopWatching = watchStart({
    registry,
    metrics,
    isAfterCrash: service.isAfterCrash,
    uptimeSeconds: process.uptime,
    timers: TIMERS,
  });
  closers.push(async () => stopWatching());
  announce(parts, { registry, url, metricsUrl });
  return new Running({ url, metricsUrl, registry, live, log, closers });
}

async function listenForMetrics(
  parts: Parts,
  { store, registry }: Service,
): Promise<string | null> {
  const { config, metrics } = parts;
  if (config.metricsListen === null) return null;
  const observe = async () => {
    observeReadiness(registry, metrics);
    metrics.storageBytes(await store.storageBytes());
  };
  return `${await listen(parts, config.metricsListen, metricsListener(metrics, observe))}/metrics`;
}

/** Resolves with the URL in force. */
async function listen(
  { config, log, metrics, closers }: Parts,
  address: Address | SocketPath,
  listener: HttpServerOptions['listener'],
): Promise<string> {
  const server = new HttpServer({
    timeouts: config.timeouts,
    listener,
    onRefused: ({ status, detail }) => {
      metrics.rejected(RAW_PROBLEM_CODE);
      log.info('request refused', { status, code: RAW_PROBLEM_CODE, detail });
    },
    onError: (error) => log.error('a connection could not be accepted', { error }),
  });
  const bound = await server.listen(address);
  closers.push(() => server.close(config.timeouts.drainMs));
  return `${'path' in bound ? '' : 'http://'}${formatListen(bound)}`;
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
