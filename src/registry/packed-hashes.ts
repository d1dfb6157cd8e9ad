/** Hashes of nodes by their place, packed: 32 bytes each and little more, where a map of arrays takes six times that. */
import type { NodePlace } from '../core/tlog/merkle.ts';

const HASH_BYTES = 32;
/** Neighbours share a page: the first of them makes it. */
const PAGE_HASHES = 256;
/** A page's number on its level is below 2^45. */
const LEVELS = 64;

interface Page {
  readonly bytes: Uint8Array;
  /** 1 where there is a hash. */
  readonly has: Uint8Array;
}

export class PackedHashes {
  readonly #pages = new Map<number, Page>();

  /** A view of what is kept, not to be written to. */
  get(place: NodePlace): Uint8Array | undefined {
    const page = this.#pages.get(pageOf(place));
    const at = place.index % PAGE_HASHES;
    return page?.has[at] === 1
      ? page.bytes.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES)
      : undefined;
  }

  set(place: NodePlace, hash: Uint8Array): void {
    const key = pageOf(place);
    let page = this.#pages.get(key);
    if (page === undefined) {
      page = { bytes: new Uint8Array(PAGE_HASHES * HASH_BYTES), has: new Uint8Array(PAGE_HASHES) };
      this.#pages.set(key, page);
    }
    const at = place.index % PAGE_HASHES;
    page.bytes.set(hash, at * HASH_BYTES);
    page.has[at] = 1;
  }
}

function pageOf({ level, index }: NodePlace): number {
  return Math.floor(index / PAGE_HASHES) * LEVELS + level;
}
