/**
 * Tiles and proofs out of the stored nodes of the tree. Every answer is first led up to the root that
 * was signed: a damaged node is an error, never a proof that fails at the reader's.
 */
import { isEqualBytes } from '../core/bytes.ts';
import type { RegistryError } from '../core/error.ts';
import type { LogTree } from '../core/tlog/log-tree.ts';
import {
  isConsistent,
  isIncluded,
  type NodePlace,
  nodeHash,
  proveConsistency,
  proveInclusion,
  type ReadNodes,
  recordHash,
  rootAt,
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
import { KeptNodes } from './log-nodes.ts';
import { damaged } from './stored.ts';

export class LogProofs {
  readonly #store: Store;
  readonly #tree: () => LogTree;
  readonly #nodes: KeptNodes;
  readonly #read: ReadNodes;

  /** `tree`: of the published checkpoint; the empty one while there is none. */
  constructor(store: Store, tree: () => LogTree) {
    this.#store = store;
    this.#tree = tree;
    this.#nodes = new KeptNodes(store);
    this.#read = this.#nodes.read;
  }

  async tile(name: TileName): Promise<Uint8Array | undefined> {
    const tree = this.#tree();
    if (name.width > tileWidth(name, tree.size)) return undefined;
    const level = name.level === 'entries' ? 0 : name.level;
    const hashes = await this.#hashes(tree, { ...name, level });
    return name.level === 'entries' ? this.#bundle(name, hashes) : joinHashes(hashes);
  }

  async inclusion({
    version,
    size,
  }: {
    readonly version: number;
    readonly size: number;
  }): Promise<readonly Uint8Array[] | undefined> {
    const tree = this.#tree();
    if (version >= size || size > tree.size) return undefined;
    const place = { index: version, size };
    const [root, proof, [record]] = await Promise.all([
      this.#rootAt(tree, size),
      proveInclusion(place, this.#read),
      this.#read([{ level: 0, index: version }]),
    ]);
    if (record === undefined || !isIncluded({ ...place, record, proof, root }))
      throw this.#damaged(`expected version ${version} in the tree of ${size}, got other nodes`);
    return proof;
  }

  async consistency({
    from,
    size,
  }: {
    readonly from: number;
    readonly size: number;
  }): Promise<readonly Uint8Array[] | undefined> {
    const tree = this.#tree();
    if (from > size || size > tree.size) return undefined;
    const [fromRoot, root, proof] = await Promise.all([
      rootAt(from, this.#read),
      this.#rootAt(tree, size),
      proveConsistency({ from, size }, this.#read),
    ]);
    if (!isConsistent({ from, size, proof, fromRoot, root }))
      throw this.#damaged(
        `expected the tree of ${from} to be the start of that of ${size}, got nodes of another`,
      );
    return proof;
  }

  /** Of a size up to the tree's: shown to be a start of it. */
  async #rootAt(tree: LogTree, size: number): Promise<Uint8Array> {
    if (size === tree.size) return tree.root;
    const sizes = { from: size, size: tree.size };
    const [fromRoot, proof] = await Promise.all([
      rootAt(size, this.#read),
      proveConsistency(sizes, this.#read),
    ]);
    if (!isConsistent({ ...sizes, proof, fromRoot, root: tree.root }))
      throw this.#damaged(
        `expected the tree of ${size} to be the start of the published one, got other nodes`,
      );
    return fromRoot;
  }

  async #hashes(
    tree: LogTree,
    { level, index, width }: { level: number; index: number; width: number },
  ): Promise<readonly Uint8Array[]> {
    const first = { level: level * TILE_HEIGHT, index: index * TILE_WIDTH };
    const hashes = await this.#store.nodeRun({ ...first, count: width });
    if (hashes.length !== width)
      throw this.#damaged(
        `expected ${width} nodes from ${first.level}/${first.index}, got ${hashes.length}`,
      );
    // Folded in complete subtrees; each must lead to the edge of the tree that was signed.
    const range = { begin: first.index, end: first.index + width };
    for (const place of subtreesOf(range)) {
      const at = place.index * 2 ** place.level - first.index;
      const hash = foldComplete(hashes.slice(at, at + 2 ** place.level));
      await this.#assertInTree(tree, { ...place, level: first.level + place.level }, hash);
    }
    return hashes;
  }

  async #assertInTree(tree: LogTree, place: NodePlace, hash: Uint8Array): Promise<void> {
    const edge = subtreesOf({ begin: 0, end: tree.size });
    const top = edge.findIndex(
      ({ level, index }) =>
        level >= place.level && Math.floor(place.index / 2 ** (level - place.level)) === index,
    );
    const siblings: NodePlace[] = [];
    for (let { level, index } = place; level < (edge[top]?.level ?? 0); level++) {
      siblings.push({ level, index: index % 2 === 0 ? index + 1 : index - 1 });
      index = Math.floor(index / 2);
    }
    const read = await this.#read(siblings);
    const folded = siblings.reduce((below, { index }, i) => {
      const sibling = read[i] ?? below;
      return index % 2 === 1 ? nodeHash(below, sibling) : nodeHash(sibling, below);
    }, hash);
    if (!isEqualBytes(folded, tree.edge[top] ?? new Uint8Array()))
      throw this.#damaged(
        `expected node ${place.level}/${place.index} of the published tree, got another`,
      );
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
        throw this.#damaged(
          `expected the leaf of version ${from + i} that the tree holds, got another`,
        );
    });
    return encodeBundle(leaves);
  }

  /** Whichever node it was, it must not stay the answer once the store gives another. */
  #damaged(message: string): RegistryError {
    this.#nodes.forget();
    return damaged(message);
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
