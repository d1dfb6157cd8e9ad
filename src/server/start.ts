/**
 * The composition root: a configuration becomes a running registry. Parts are opened from the store
 * up and closed from the listeners down; a start that fails leaves nothing open.
 */
import { ERROR_CODES } from '../core/error.ts';
import { openRegistry } from '../registry/open.ts';
import type { Registry } from '../registry/registry.ts';
import type { Store } from '../store/store.ts';
import { createMetrics } from '../telemetry/create-metrics.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { apiListener } from './api-listener.ts';
import { type BuildInfo, readBuildInfo } from './build-info.ts';
import type { Config } from './config.ts';
import { type Address, formatListen, type SocketPath } from './config-values.ts';
import { openCosigners } from './cosigners.ts';
import { createFatal, killProcess } from './fatal.ts';
import { HttpServer, type HttpServerOptions } from './http-server.ts';
import { createLog } from './log.ts';
import { loadLogKeys } from './log-keys.ts';
import { metricsListener } from './metrics-listener.ts';
import { createNativeVerifier } from './native-verifier.ts';
import { openStore } from './open-store.ts';
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
}

interface Parts {
  readonly config: Config;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly build: BuildInfo;
  readonly onFatal: ReturnType<typeof createFatal>;
  readonly closers: Closers;
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
  const onFatal = createFatal({ log, kill });
  const closers: Closers = [];
  try {
    const server = await openAll({ config, log, metrics, build, onFatal, closers });
    if (signal?.aborted === true) await server.stop();
    signal?.addEventListener('abort', () => void server.stop(), { once: true });
    return server;
  } catch (error) {
    await closeAll(closers);
    throw error;
  }
}

async function openAll(parts: Parts): Promise<RunningServer> {
  const { config, metrics, log, closers } = parts;
  const { store, registry } = await openStoredRegistry(parts);
  closers.push(() => registry[Symbol.asyncDispose]());
  const observe = async () => metrics.storageBytes(await store.storageBytes());
  // Opened before the API and so closed after it: the last requests are still counted and seen.
  const metricsUrl =
    config.metricsListen === null
      ? null
      : `${await listen(parts, config.metricsListen, metricsListener(metrics, observe))}/metrics`;
  const url = await listen(parts, config.listen, apiListener({ ...parts, registry }, config));
  announce(parts, { registry, url, metricsUrl });
  return new Running({ url, metricsUrl, registry, log, closers });
}

async function openStoredRegistry(parts: Parts): Promise<{ store: Store; registry: Registry }> {
  const { config, metrics, log, onFatal } = parts;
  // Before the store: a mistake in a setting leaves no trace.
  const signers = await loadLogKeys(config);
  if (signers.length === 0)
    log.warn(
      'there is no log key: no checkpoint is signed, and after genesis nothing is written; name the key that governance lists in log_key (a new one: `quorate keygen --log`)',
    );
  const cosigners = await openCosigners(config, { metrics, log });
  const store = await openStore(config, { metrics, onFatal });
  try {
    const registry = await openRegistry({
      store,
      verifier: createNativeVerifier(),
      metrics,
      log,
      now: Date.now,
      random: Math.random,
      timers: TIMERS,
      signers,
      cosigners,
      pins: config.pins,
      limits: {
        maxPendingProposals: config.limits.maxPendingProposals,
        maxStreamAgeMs: config.limits.maxStreamAgeMs,
      },
      onFatal,
    });
    return { store, registry };
  } catch (error) {
    await store[Symbol.asyncDispose]();
    throw error;
  }
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
  readonly registry: Registry;
  readonly url: string;
  readonly metricsUrl: string | null;
}

function announce({ config, log, build }: Parts, { registry, url, metricsUrl }: Started): void {
  const head = registry.head()?.object;
  log.info(
    `serving on ${url}; write routes are open on loopback only, because there are no access tokens yet`,
    {
      profile: config.profile,
      data: config.profile === 'macronode' ? config.dataDir : 'memory, gone with the process',
      origin: head?.origin ?? 'none yet: `quorate init` begins the registry',
      registry: head?.registry,
      version: head?.version,
      metrics: metricsUrl ?? 'off',
      program: build.version,
    },
  );
}
