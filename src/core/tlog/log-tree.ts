/**
 * The tree over the leaves of a log, known by its right edge alone: enough to append and to know the
 * root. Immutable: an append makes a new one and names the nodes that it completed.
 */
import { RegistryError } from '../error.ts';
import { foldSubtrees, nodeHash, recordHash, subtreesOf, type TreeNode } from './merkle.ts';

export class LogTree {
  static readonly EMPTY: LogTree = new LogTree(0, []);

  /** Leaves. */
  readonly size: number;
  /** The complete subtrees of `subtreesOf({ begin: 0, end: size })`, 32 bytes each. */
  readonly edge: readonly Uint8Array[];
  #root: Uint8Array | undefined;

  private constructor(size: number, edge: readonly Uint8Array[]) {
    this.size = size;
    this.edge = edge;
  }

  /** Throws `malformed` unless `edge` has the hashes that a tree of `size` leaves has. */
  static fromEdge({ size, edge }: Pick<LogTree, 'size' | 'edge'>): LogTree {
    const isSize = Number.isSafeInteger(size) && size >= 0;
    const places = isSize ? subtreesOf({ begin: 0, end: size }) : [];
    if (!isSize || edge.length !== places.length || edge.some((hash) => hash.length !== 32))
      throw new RegistryError(
        'malformed',
        `expected ${places.length} hashes of 32 bytes at the edge of a tree of ${size} leaves, got ${edge.length}`,
      );
    return new LogTree(size, [...edge]);
  }

  /** 32 bytes. */
  get root(): Uint8Array {
    this.#root ??= foldSubtrees(this.edge);
    return this.#root;
  }

  /** With one more leaf. `nodes`: the complete subtrees that end with it, the leaf's own hash first. */
  with(record: Uint8Array): { readonly tree: LogTree; readonly nodes: readonly TreeNode[] } {
    let node: TreeNode = { level: 0, index: this.size, hash: recordHash(record) };
    const nodes = [node];
    const edge = [...this.edge];
    while (node.index % 2 === 1) {
      const left = edge.pop();
      if (left === undefined)
        throw new RegistryError(
          'internal',
          `expected a whole edge at ${this.size} leaves, got less`,
        );
      node = {
        level: node.level + 1,
        index: (node.index - 1) / 2,
        hash: nodeHash(left, node.hash),
      };
      nodes.push(node);
    }
    edge.push(node.hash);
    return { tree: new LogTree(this.size + 1, edge), nodes };
  }
}
