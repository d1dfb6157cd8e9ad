/**
 * Tiles and proofs out of the stored nodes of the tree. Every answer is first led up to the root that
 * was signed: a damaged node is an error, never a proof that fails at the reader's.
 */
import { isEqualBytes } from '../core/bytes.ts';
import type { LogTree } from '../core/tlog/log-tree.ts';
import {
  nodeHash,
  proveConsistency,
  proveInclusion,
  recordHash,
  subtreesOf,
} from '../core/tlog/merkle.ts';
import {
  encodeBundle,
  TILE_HEIGHT,
  TILE_WIDTH,
  type TileName,
  tileWidth,
} from '../core/tlog/tiles.ts';
import type { Store } from '../store/store.ts';
import { ProvenNodes } from './proven-nodes.ts';
import { damaged } from './stored.ts';

export class LogProofs {
  readonly #store: Store;
  readonly #tree: () => LogTree;
  readonly #nodes: ProvenNodes;

  /** `tree`: of the published checkpoint; the empty one while there is none. */
  constructor(store: Store, tree: () => LogTree) {
    this.#store = store;
    this.#tree = tree;
    this.#nodes = new ProvenNodes(store, tree);
  }

  async tile(name: TileName): Promise<Uint8Array | undefined> {
    const tree = this.#tree();
    if (name.width > tileWidth(name, tree.size)) return undefined;
    const level = name.level === 'entries' ? 0 : name.level;
    const hashes = await this.#hashes({ ...name, level });
    return name.level === 'entries' ? this.#bundle(name, hashes) : joinHashes(hashes);
  }

  async inclusion({
    version,
    size,
  }: {
    readonly version: number;
    readonly size: number;
  }): Promise<readonly Uint8Array[] | undefined> {
    if (version >= size || size > this.#tree().size) return undefined;
    return await proveInclusion({ index: version, size }, this.#nodes.read);
  }

  async consistency({
    from,
    size,
  }: {
    readonly from: number;
    readonly size: number;
  }): Promise<readonly Uint8Array[] | undefined> {
    if (from > size || size > this.#tree().size) return undefined;
    return await proveConsistency({ from, size }, this.#nodes.read);
  }

  async #hashes({
    level,
    index,
    width,
  }: Omit<TileName, 'level'> & { readonly level: number }): Promise<readonly Uint8Array[]> {
    const first = { level: level * TILE_HEIGHT, index: index * TILE_WIDTH };
    const hashes = await this.#store.nodeRun({ ...first, count: width });
    if (hashes.length !== width)
      throw damaged(
        `expected ${width} nodes from ${first.level}/${first.index}, got ${hashes.length}`,
      );
    // Folded in complete subtrees, which must be those of the tree that was signed.
    const range = { begin: first.index, end: first.index + width };
    const folded = subtreesOf(range).map((place) => {
      const at = place.index * 2 ** place.level - first.index;
      const hash = foldComplete(hashes.slice(at, at + 2 ** place.level));
      return { level: first.level + place.level, index: place.index, hash };
    });
    await this.#nodes.assert(folded);
    return hashes;
  }

  async #bundle(
    { index, width }: Pick<TileName, 'index' | 'width'>,
    records: readonly Uint8Array[],
  ): Promise<Uint8Array> {
    const from = index * TILE_WIDTH;
    const leaves = await this.#store.leaves({ from, limit: width });
    records.forEach((record, i) => {
      const leaf = leaves[i];
      if (leaf === undefined || !isEqualBytes(recordHash(leaf), record))
        throw damaged(`expected the leaf of version ${from + i} that the tree holds, got another`);
    });
    return encodeBundle(leaves);
  }
}

/** Over 2^k nodes of one level. */
function foldComplete(hashes: readonly Uint8Array[]): Uint8Array {
  const [left, right] = hashes;
  if (left === undefined) throw damaged('expected nodes to fold, got none');
  if (right === undefined) return left;
  const half = hashes.length / 2;
  return nodeHash(foldComplete(hashes.slice(0, half)), foldComplete(hashes.slice(half)));
}

function joinHashes(hashes: readonly Uint8Array[]): Uint8Array {
  const tile = new Uint8Array(hashes.length * 32);
  hashes.forEach((hash, i) => {
    tile.set(hash, i * 32);
  });
  return tile;
}
