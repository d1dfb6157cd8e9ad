/** The nodes of the log's tree as a store keeps them: read, never judged; who uses them leads them up to a root. */
import { LogTree } from '../core/tlog/log-tree.ts';
import { type ReadNodes, subtreesOf } from '../core/tlog/merkle.ts';
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

/** The tree of the first `size` leaves by its stored edge. Throws `storage_damaged`. */
export async function loadTree(store: Pick<Store, 'nodes'>, size: number): Promise<LogTree> {
  const edge = await nodeReader(store)(subtreesOf({ begin: 0, end: size }));
  return LogTree.fromEdge({ size, edge });
}
