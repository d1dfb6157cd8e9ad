/** The nodes of the log's tree as a store keeps them: read, never judged; who uses them leads them up to a root. */
import { LogTree } from '../core/tlog/log-tree.ts';
import { type NodePlace, type ReadNodes, subtreesOf } from '../core/tlog/merkle.ts';
import type { Store } from '../store/store.ts';
import { damaged } from './stored.ts';

/** Throws `storage_damaged` where a node is missing. */
export function nodeReader(store: Pick<Store, 'nodes'>): ReadNodes {
  return async (places) => {
    const found = await store.nodes(places);
    return places.map(({ level, index }, i) => {
      const hash = found[i];
      if (hash === undefined)
        throw damaged(`expected node ${level}/${index} of the tree, got none`);
      return hash;
    });
  };
}

/** 2,048 leaves below each: for 10^8 leaves 100,000 are kept, some 15 MB. */
const KEPT_FROM_LEVEL = 11;
/** An index on that level is below 2^42. */
const LEVELS = 64;

/**
 * Reads nodes and keeps the high ones, which never change and of which every proof needs some: a proof costs
 * as many reads from the store in a log of 10^6 as in one of 10^3.
 */
export class KeptNodes {
  readonly #stored: ReadNodes;
  readonly #kept = new Map<number, Uint8Array>();

  constructor(store: Pick<Store, 'nodes'>) {
    this.#stored = nodeReader(store);
  }

  /** As `nodeReader`. */
  readonly read: ReadNodes = async (places) => {
    const kept = places.map((place) => this.#kept.get(keyOf(place)));
    const missing = places.filter((_, i) => kept[i] === undefined);
    const found = (await this.#stored(missing)).map((hash, i) => this.#keep(missing[i], hash));
    return kept.flatMap((hash) => hash ?? found.splice(0, 1));
  };

  #keep(place: NodePlace | undefined, hash: Uint8Array): Uint8Array {
    if (place !== undefined && place.level >= KEPT_FROM_LEVEL) this.#kept.set(keyOf(place), hash);
    return hash;
  }

  /** One of them may be damaged: all are read again. */
  forget(): void {
    this.#kept.clear();
  }
}

function keyOf({ level, index }: NodePlace): number {
  return index * LEVELS + level;
}

/** The tree of the first `size` leaves by its stored edge. Throws `storage_damaged`. */
export async function loadTree(store: Pick<Store, 'nodes'>, size: number): Promise<LogTree> {
  const edge = await nodeReader(store)(subtreesOf({ begin: 0, end: size }));
  return LogTree.fromEdge({ size, edge });
}
