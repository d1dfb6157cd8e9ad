/**
 * Nodes of the log's tree out of a store, each led up to the root that was signed before anyone sees it.
 * Those above a tile are led up once and kept: what a proof reads and hashes lies in one tile, however long the log is.
 */
import { isEqualBytes } from '../core/bytes.ts';
import { RegistryError } from '../core/error.ts';
import type { LogTree } from '../core/tlog/log-tree.ts';
import {
  type NodePlace,
  nodeHash,
  type ReadNodes,
  subtreesOf,
  type TreeNode,
} from '../core/tlog/merkle.ts';
import type { Store } from '../store/store.ts';
import { nodeReader } from './log-nodes.ts';
import { PackedHashes } from './packed-hashes.ts';
import { damaged } from './stored.ts';

/** 256 leaves below each, as below a tile: for 10^8 leaves 780,000 are kept, 26 MB. */
const KEPT_FROM_LEVEL = 8;
/** An index on that level is below 2^47. */
const LEVELS = 64;

/** The nodes at the right edge of a tree; their hashes give its root. */
interface Edge {
  readonly tree: LogTree;
  readonly hashes: ReadonlyMap<number, Uint8Array>;
}

export class ProvenNodes {
  readonly #stored: ReadNodes;
  readonly #tree: () => LogTree;
  readonly #kept = new PackedHashes();
  #edge: Edge | undefined;

  /** `tree`: the one whose root was signed; each continues the one before. */
  constructor(store: Pick<Store, 'nodes'>, tree: () => LogTree) {
    this.#stored = nodeReader(store);
    this.#tree = tree;
  }

  /** Of complete subtrees of the tree. Throws `storage_damaged` where one, or what it is proven by, is another. */
  readonly read: ReadNodes = async (places) => {
    const climb = new Climb(this.#newestEdge(), this.#kept);
    const proven = places.map((place) => climb.proven(place));
    await this.#prove(
      climb,
      places.filter((_, i) => proven[i] === undefined),
    );
    return places.map((place, i) => proven[i] ?? climb.at(place));
  };

  /** Throws `storage_damaged` unless they are nodes of the tree. */
  async assert(nodes: readonly TreeNode[]): Promise<void> {
    const climb = new Climb(this.#newestEdge(), this.#kept);
    for (const node of nodes) climb.put(node, node.hash);
    await this.#prove(
      climb,
      nodes.filter((node) => climb.proven(node) === undefined),
    );
  }

  async #prove(climb: Climb, places: readonly NodePlace[]): Promise<void> {
    if (places.length === 0) return;
    const { lacking, parents } = climb.plan(places);
    const hashes = await this.#stored(lacking);
    hashes.forEach((hash, i) => {
      const place = lacking[i];
      if (place !== undefined) climb.put(place, hash);
    });
    for (const parent of parents) climb.fold(parent);
    climb.keep();
  }

  #newestEdge(): Edge {
    const tree = this.#tree();
    if (this.#edge?.tree !== tree) this.#edge = edgeOf(tree);
    return this.#edge;
  }
}

/** Leads nodes up, each pair of hashes to the one above, until it meets nodes that are proven. */
class Climb {
  readonly #edge: Edge;
  readonly #kept: PackedHashes;
  /** Read or folded, and not proven before all is folded. */
  readonly #found = new Map<number, Uint8Array>();

  constructor(edge: Edge, kept: PackedHashes) {
    this.#edge = edge;
    this.#kept = kept;
  }

  proven(place: NodePlace): Uint8Array | undefined {
    const onEdge = this.#edge.hashes.get(keyOf(place));
    return onEdge ?? (place.level < KEPT_FROM_LEVEL ? undefined : this.#kept.get(place));
  }

  at(place: NodePlace): Uint8Array {
    const hash = this.#found.get(keyOf(place)) ?? this.proven(place);
    if (hash === undefined) throw damaged(`expected node ${nameOf(place)} of the tree, got none`);
    return hash;
  }

  /** Throws `storage_damaged` where another is proven to be there. */
  put(place: NodePlace, hash: Uint8Array): void {
    const proven = this.proven(place);
    if (proven === undefined) this.#found.set(keyOf(place), hash);
    else if (!isEqualBytes(hash, proven))
      throw damaged(`expected node ${nameOf(place)} of the published tree, got another`);
  }

  /** So that `places` are proven: which nodes are to be put first, and which then to be folded, in this order. */
  plan(places: readonly NodePlace[]): Plan {
    const [lacking, parents]: [NodePlace[], NodePlace[]] = [[], []];
    const folded = new Set<number>();
    const rows: Set<number>[] = [];
    for (const { level, index } of places) rowOf(rows, level).add(index);
    for (let level = 0; level < rows.length; level++)
      for (const index of new Set([...rowOf(rows, level)].map((below) => Math.floor(below / 2)))) {
        const parent = { level: level + 1, index };
        for (const child of childrenOf(parent))
          if (!folded.has(keyOf(child)) && !this.#has(child)) lacking.push(child);
        parents.push(parent);
        folded.add(keyOf(parent));
        if (this.proven(parent) !== undefined) continue;
        this.#assertComplete(parent);
        rowOf(rows, level + 1).add(index);
      }
    return { lacking, parents };
  }

  /** Of two nodes that are there. */
  fold(place: NodePlace): void {
    const [left, right] = childrenOf(place);
    this.put(place, nodeHash(this.at(left), this.at(right)));
  }

  /** All that was put and folded is proven. */
  keep(): void {
    for (const [key, hash] of this.#found)
      if (key % LEVELS >= KEPT_FROM_LEVEL) this.#kept.set(placeOf(key), hash);
  }

  #has(place: NodePlace): boolean {
    return this.#found.has(keyOf(place)) || this.proven(place) !== undefined;
  }

  /** Above all that are, there is a node of the edge. */
  #assertComplete({ level, index }: NodePlace): void {
    const { size } = this.#edge.tree;
    if ((index + 1) * 2 ** level > size)
      throw new RegistryError(
        'internal',
        `expected nodes of a tree of ${size} leaves, got one below ${level}/${index}`,
      );
  }
}

interface Plan {
  readonly lacking: readonly NodePlace[];
  readonly parents: readonly NodePlace[];
}

function edgeOf(tree: LogTree): Edge {
  const places = subtreesOf({ begin: 0, end: tree.size });
  const hashes = new Map<number, Uint8Array>();
  places.forEach((place, i) => {
    const hash = tree.edge[i];
    if (hash !== undefined) hashes.set(keyOf(place), hash);
  });
  return { tree, hashes };
}

function rowOf(rows: Set<number>[], level: number): Set<number> {
  const row = rows[level] ?? new Set();
  rows[level] = row;
  return row;
}

function childrenOf({ level, index }: NodePlace): readonly [NodePlace, NodePlace] {
  return [
    { level: level - 1, index: 2 * index },
    { level: level - 1, index: 2 * index + 1 },
  ];
}

function keyOf({ level, index }: NodePlace): number {
  return index * LEVELS + level;
}

function placeOf(key: number): NodePlace {
  return { level: key % LEVELS, index: Math.floor(key / LEVELS) };
}

function nameOf({ level, index }: NodePlace): string {
  return `${level}/${index}`;
}
