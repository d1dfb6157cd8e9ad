/** What of the registry's readiness becomes metrics: its state before each scrape, and how long a start took. */
import { stat } from 'node:fs/promises';
import type { RegistryTimers } from '../../registry/options.ts';
import type { Registry } from '../../registry/registry.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import type { Config } from '../config.ts';
import { databasePath } from '../open-store.ts';

/** To be called before each scrape. */
export function observeReadiness(
  registry: Pick<Registry, 'readiness'>,
  metrics: Pick<Metrics, 'readiness'>,
): void {
  const { ready, writeReady, checks } = registry.readiness();
  metrics.readiness({
    isReadReady: ready,
    isWriteReady: writeReady,
    gates: new Map(checks.map(({ name, isOk }) => [name, isOk])),
  });
}

/** To be asked before the store is opened: whether the one who had it before left without closing it. */
export async function isAfterCrash({
  profile,
  dataDir,
}: Pick<Config, 'profile' | 'dataDir'>): Promise<boolean> {
  if (profile === 'micronode') return false;
  // A store that is closed folds its write-ahead log into the main file and removes it.
  const wal = await stat(`${databasePath(dataDir)}-wal`).catch(() => undefined);
  return wal !== undefined && wal.size > 0;
}

/** Conditions that a start works toward; the others are somebody's decision or a passing state. */
const STARTED = ['store', 'log', 'checkpoint'];
const FIRST_LOOK_MS = 10;
const MAX_LOOK_MS = 500;

export interface StartWatchParts {
  readonly registry: Pick<Registry, 'readiness'>;
  readonly metrics: Pick<Metrics, 'started'>;
  readonly isAfterCrash: boolean;
  /** Since the process began, e.g. `process.uptime`. */
  readonly uptimeSeconds: () => number;
  readonly timers: RegistryTimers;
}

/** To be called once requests are answered: reads are served then, and writes soon. Answers how to stop looking. */
export function watchStart(parts: StartWatchParts): () => void {
  const { registry, metrics, timers, uptimeSeconds } = parts;
  const tell = (phase: 'read' | 'write') =>
    metrics.started({ phase, isAfterCrash: parts.isAfterCrash, seconds: uptimeSeconds() });
  let timer: unknown;
  const look = (nextMs: number): void => {
    const { checks } = registry.readiness();
    if (checks.every(({ name, isOk }) => isOk || !STARTED.includes(name))) tell('write');
    else timer = timers.setTimeout(() => look(Math.min(2 * nextMs, MAX_LOOK_MS)), nextMs);
  };
  tell('read');
  look(FIRST_LOOK_MS);
  return () => timers.clearTimeout(timer);
}
