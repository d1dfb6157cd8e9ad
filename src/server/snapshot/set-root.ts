/**
 * The root of a whole set without its tree: rows are kept by the first byte of their paths, each share is sorted
 * where it is small, and the nodes of one depth in it are hashed together.
 */
import { formatHash, type Hash } from '../../core/hash.ts';
import { EMPTY_HASH, hashInner, hashRow } from '../../core/set-hash.ts';
import { SetRows } from '../../core/set-rows.ts';
import { SetShare } from './set-share.ts';

const SHARES = 256;
const SHARE_BITS = 8;

/** Collects the rows of a set, in any order: 64 bytes each, and up to as much again of room. */
export class SetRoot {
  /** By the first byte of their paths. */
  readonly #shares: (SetRows | undefined)[] = new Array(SHARES).fill(undefined);

  #size = 0;

  /** Number of rows. */
  get size(): number {
    return this.#size;
  }

  add(path: Uint8Array, valueHash: Uint8Array): void {
    this.#size++;
    const first = path[0] ?? 0;
    const share = this.#shares[first] ?? new SetRows();
    this.#shares[first] = share;
    share.add(path, valueHash);
  }

  /** Throws `storage_damaged` when a path is there twice. */
  root(): Hash {
    return formatHash(this.#subtree(0, SHARES, 0));
  }

  /** Of the shares from `begin` up to, not including, `end`. */
  #subtree(begin: number, end: number, depth: number): Uint8Array {
    const some = this.#shares.slice(begin, end).filter((share) => share !== undefined);
    const [first, ...others] = some;
    if (first === undefined) return EMPTY_HASH;
    // A leaf stands where it becomes alone.
    if (others.length === 0 && first.count === 1) return hashRow(first.bytes, 0);
    if (depth === SHARE_BITS) return new SetShare(first.bytes).hashAt(depth);
    const middle = (begin + end) / 2;
    return hashInner(
      this.#subtree(begin, middle, depth + 1),
      this.#subtree(middle, end, depth + 1),
    );
  }
}
