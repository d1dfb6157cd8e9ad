/**
 * Shut while the store is slow: what waits for it would only wait longer. It opens by itself, so that
 * the next write shows whether the store is quick again.
 */
import { RegistryError } from '../../core/error.ts';
import type { WriteGate } from '../../registry/gates.ts';
import type { Writes } from './watched-store.ts';

/** After a slow write. */
const SHUT_MS = 2_000;

export interface StorageGateParts {
  readonly writes: Writes;
  /** A write that takes longer is slow. */
  readonly limitMs: () => number;
  readonly nowMs: () => number;
}

export function storageGate({ writes, limitMs, nowMs }: StorageGateParts): WriteGate {
  return {
    name: 'storage',
    refusal: () => {
      const limit = limitMs();
      const waiting = writes.oldestMs();
      if (waiting > limit)
        return slow({ limit, took: waiting, what: 'one that still waits after' });
      const last = writes.last();
      if (last === undefined || last.tookMs <= limit) return undefined;
      if (nowMs() - last.endedMs >= SHUT_MS) return undefined;
      return slow({ limit, took: last.tookMs, what: 'one that took' });
    },
  };
}

function slow(found: { limit: number; took: number; what: string }): RegistryError {
  const [limitMs, tookMs] = [Math.round(found.limit), Math.round(found.took)];
  return new RegistryError(
    'storage_slow',
    `expected the store to write within ${limitMs} ms, got ${found.what} ${tookMs} ms: reads go on, repeat later`,
    { details: { reason: 'storage', limit_ms: limitMs, took_ms: tookMs } },
  );
}
