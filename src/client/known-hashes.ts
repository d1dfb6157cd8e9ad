/** Entry hashes of past versions that were verified: a convenience, for without one `entry` asks for a proof. */
import type { Hash } from '../core/hash.ts';
import type { Chain } from '../core/rules.ts';

const MAX_HASHES = 100_000;

export class KnownHashes {
  readonly #hashes = new Map<number, Hash>();

  get(version: number): Hash | undefined {
    return this.#hashes.get(version);
  }

  /** Drops the one that was added first when there are too many. */
  add({ version, entryHash }: Chain): void {
    this.#hashes.set(version, entryHash);
    const [oldest] = this.#hashes.keys();
    if (this.#hashes.size > MAX_HASHES && oldest !== undefined) this.#hashes.delete(oldest);
  }

  clear(): void {
    this.#hashes.clear();
  }
}
