/** What a run of `quorate bench` is told as: one document, with how it was made. */
import { RegistryError } from '../../core/error.ts';

/** The settings of a run, by name. */
export type RunConfig = Readonly<Record<string, unknown>>;

export interface BenchResult<Loads extends object> {
  readonly bench: 'get' | 'put' | 'mixed' | 'watch' | 'verify' | 'snapshot' | 'blob';
  /** Of the service; left out where none takes part. */
  readonly url?: string;
  /** As `GET /version` tells it; `null`: something else answers there. */
  readonly server_version: string | null;
  readonly generator_version: string;
  readonly node: string;
  readonly began_at: string;
  readonly config: RunConfig;
  readonly is_interrupted: boolean;
  readonly loads: Loads;
}

/** What a part of the run counts of what failed. */
export interface Failures {
  readonly requests: number;
  readonly failed: number;
  readonly errors: Readonly<Record<string, number>>;
}

/** Throws `unexpected_answer` when something failed: what came of the run has been printed before. */
export function assertNoneFailed(parts: readonly Failures[]): void {
  const sum = (name: 'requests' | 'failed') => parts.reduce((total, part) => total + part[name], 0);
  if (sum('failed') === 0) return;
  const kinds = parts.flatMap(({ errors }) =>
    Object.entries(errors).map(([kind, count]) => `${count} x ${kind}`),
  );
  throw new RegistryError(
    'unexpected_answer',
    `expected every request to succeed, got ${sum('failed')} of ${sum('requests')} that did not: ${kinds.join(', ')}`,
  );
}
