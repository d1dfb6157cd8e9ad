/**
 * Payload hashes that were committed and could be committed again: a payload is committed at most
 * once, ever, but one that has expired is refused for that, so only the others are kept.
 */
import type { Hash } from '../core/hash.ts';

/** Copied with each entry, so kept small; past this many it is folded into the large map. */
const MAX_NEWER = 256;

/** Immutable: `with` makes a new one that shares the large part. Keys: payload hash; values: `expires_at`. */
export class RecentPayloads {
  static readonly NONE: RecentPayloads = new RecentPayloads(new Map(), new Map());

  readonly #older: ReadonlyMap<Hash, string>;
  readonly #newer: ReadonlyMap<Hash, string>;

  private constructor(older: ReadonlyMap<Hash, string>, newer: ReadonlyMap<Hash, string>) {
    this.#older = older;
    this.#newer = newer;
  }

  static from(entries: Iterable<readonly [Hash, string]>): RecentPayloads {
    return new RecentPayloads(new Map(entries), new Map());
  }

  /** Of what is kept; some of it may have expired. */
  get size(): number {
    return this.#older.size + this.#newer.size;
  }

  has(payloadB3: Hash): boolean {
    return this.#newer.has(payloadB3) || this.#older.has(payloadB3);
  }

  /** `committedAt`: of the entry that committed it; what expired before then is dropped in time. */
  with(added: {
    readonly payloadB3: Hash;
    readonly expiresAt: string;
    readonly committedAt: string;
  }): RecentPayloads {
    const newer = new Map([...this.#newer, [added.payloadB3, added.expiresAt]]);
    if (newer.size < MAX_NEWER) return new RecentPayloads(this.#older, newer);
    return RecentPayloads.from(new RecentPayloads(this.#older, newer).unexpired(added.committedAt));
  }

  /** Those that an entry committed at `committedAt` or later could still carry, sorted by hash. */
  unexpired(committedAt: string): readonly (readonly [Hash, string])[] {
    return [...this.#older, ...this.#newer]
      .filter(([, expiresAt]) => expiresAt >= committedAt)
      .sort(([a], [b]) => (a < b ? -1 : 1));
  }
}
