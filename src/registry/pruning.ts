/** Pruning, in the order that readers need: what is refused first, and only then let go of. */
import { RegistryError } from '../core/error.ts';
import type { PruneProgress, Store } from '../store/store.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Retained } from './retained.ts';

export interface PruneOptions {
  readonly onProgress?: (progress: PruneProgress) => void;
  /** Ends it between two steps; the next call goes on. */
  readonly signal?: AbortSignal;
}

export interface PruneParts {
  readonly store: Pick<Store, 'setOldest' | 'prune'>;
  readonly retained: Retained;
  readonly metrics: Pick<Metrics, 'oldestVersion'>;
  /** The highest that may be asked for. */
  readonly covered: number;
}

/** Throws `invalid_request`, and what `Store.append` rejects with. */
export async function pruneBelow(
  oldest: number,
  { store, retained, metrics, covered }: PruneParts,
  options: PruneOptions,
): Promise<void> {
  if (!Number.isSafeInteger(oldest) || oldest < 0 || oldest > covered)
    throw new RegistryError(
      'invalid_request',
      `expected a version up to ${covered}, which a signed checkpoint covers, got ${oldest}`,
    );
  await store.setOldest(oldest);
  retained.pruned(oldest);
  metrics.oldestVersion(retained.state.oldest);
  await store.prune(options);
}
