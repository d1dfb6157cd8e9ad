/**
 * Which entries of an audited log were erased, and by which: every one without its payload must be named
 * by an entry after it, and none twice.
 */

import { RegistryError } from '../core/error.ts';
import type { Hash } from '../core/hash.ts';

/** Of one audit under way, as it is kept. */
export interface ErasureState {
  /** Erased version, and the version that erased it. */
  readonly found: readonly (readonly [erased: number, by: number])[];
  /** Met without their payload, and not named yet. */
  readonly waiting: readonly (readonly [version: number, entryHash: Hash])[];
}

export const NO_ERASURES: ErasureState = { found: [], waiting: [] };

export class AuditedErasures {
  readonly #found: Map<number, number>;
  readonly #waiting: Map<number, Hash>;

  constructor({ found, waiting }: ErasureState = NO_ERASURES) {
    this.#found = new Map(found);
    this.#waiting = new Map(waiting);
  }

  get state(): ErasureState {
    return { found: [...this.#found], waiting: [...this.#waiting] };
  }

  /** By the version that was erased. */
  isErased(version: number): boolean {
    return this.#found.has(version);
  }

  expect(version: number, entryHash: Hash): void {
    this.#waiting.set(version, entryHash);
  }

  /** An entry that may erase what it names, which the caller has compared, has done so. */
  note(version: number, by: number): void {
    this.#found.set(version, by);
    this.#waiting.delete(version);
  }

  /** Throws `invalid_entry` for a payload that is missing though nothing erased it. */
  assertSettled(): void {
    const [first] = this.#waiting;
    if (first === undefined) return;
    const [version, entryHash] = first;
    throw new RegistryError(
      'invalid_entry',
      `entry ${version}: expected its payload, or an entry that erases ${entryHash}, got neither`,
      { details: { version } },
    );
  }
}
