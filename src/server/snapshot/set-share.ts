/** A subtree of a set from its rows: sorted as numbers, and hashed depth by depth, from the deepest node up. */
import { EMPTY_HASH } from '../../core/set-hash.ts';
import { damaged } from '../../registry/stored.ts';
import { HASH_BYTES, hashEach } from '../fast-hash/hash-each.ts';

const ROW_BYTES = 2 * HASH_BYTES;
const NODE_BYTES = 1 + ROW_BYTES;
const [LEAF, INNER] = [0, 1];

/** A child: `EMPTY`, the number of a leaf, or below `EMPTY` that of a node one deeper. */
type Child = number;
const EMPTY: Child = -1;

function nodeChild(node: number): Child {
  return EMPTY - 1 - node;
}

/** Leaves from `begin` up to, not including, `end`. */
interface LeafRange {
  readonly begin: number;
  readonly end: number;
}

export class SetShare {
  readonly #count: number;
  /** What is hashed of each row, in the order of paths. */
  readonly #preimages: Buffer;
  readonly #leaves: Uint8Array;
  /** By depth, the children of each node, left and right. */
  readonly #levels: Child[][] = [];

  /** `rows`: as those of `SetRows`, fewer than 2^20. Throws `storage_damaged` when a path is there twice. */
  constructor(rows: Uint8Array) {
    this.#count = rows.length / ROW_BYTES;
    this.#preimages = leavesOf(rows);
    this.#leaves = hashAll(this.#preimages);
  }

  /** The hash of the node at `depth`, up to which all paths agree. */
  hashAt(depth: number): Uint8Array {
    const top = this.#plan({ begin: 0, end: this.#count }, depth);
    let below: Uint8Array = new Uint8Array();
    for (let at = this.#levels.length - 1; at >= depth; at--)
      below = this.#hashLevel(this.#levels[at] ?? [], below);
    return this.#hashOf(top, below);
  }

  /** Which nodes there are, each to be hashed after those below it. */
  #plan({ begin, end }: LeafRange, depth: number): Child {
    if (begin === end) return EMPTY;
    if (end - begin === 1) return begin;
    const middle = this.#split({ begin, end }, depth);
    const left = this.#plan({ begin, end: middle }, depth + 1);
    const right = this.#plan({ begin: middle, end }, depth + 1);
    const level = this.#levels[depth] ?? [];
    this.#levels[depth] = level;
    return nodeChild(level.push(left, right) / 2 - 1);
  }

  /** Where those with a 1 next begin. */
  #split({ begin, end }: LeafRange, depth: number): number {
    let [low, high] = [begin, end];
    while (low < high) {
      const middle = (low + high) >> 1;
      const byte = this.#preimages[middle * NODE_BYTES + 1 + (depth >> 3)] ?? 0;
      if ((byte >> (7 - (depth & 7))) & 1) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  #hashLevel(children: readonly Child[], below: Uint8Array): Uint8Array {
    const nodes = Buffer.alloc((children.length / 2) * NODE_BYTES);
    for (let i = 0; i < children.length; i++) {
      const at = (i >> 1) * NODE_BYTES;
      nodes[at] = INNER;
      nodes.set(this.#hashOf(children[i] ?? EMPTY, below), at + 1 + (i & 1) * HASH_BYTES);
    }
    return hashAll(nodes);
  }

  #hashOf(child: Child, below: Uint8Array): Uint8Array {
    if (child === EMPTY) return EMPTY_HASH;
    const [from, at] = child > EMPTY ? [this.#leaves, child] : [below, EMPTY - 1 - child];
    return from.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES);
  }
}

function hashAll(nodes: Buffer): Uint8Array {
  return hashEach(nodes, new Array(nodes.length / NODE_BYTES).fill(NODE_BYTES));
}

function leavesOf(rows: Uint8Array): Buffer {
  const leaves = Buffer.alloc((rows.length / ROW_BYTES) * NODE_BYTES);
  let at = 0;
  for (const row of sortedRows(rows)) {
    leaves[at] = LEAF;
    leaves.set(rows.subarray(row * ROW_BYTES, (row + 1) * ROW_BYTES), at + 1);
    at += NODE_BYTES;
  }
  return leaves;
}

/** Bytes 1 to 4 of a path and the row's number, in the 53 bits that a number has: those are sorted without a call each. */
const ROWS = 2 ** 20;
const PREFIX_AT = 1;

/** Rows in the order of their paths. */
function sortedRows(rows: Uint8Array): readonly number[] {
  const view = new DataView(rows.buffer, rows.byteOffset, rows.length);
  const keys = new Float64Array(rows.length / ROW_BYTES);
  for (let row = 0; row < keys.length; row++)
    keys[row] = view.getUint32(row * ROW_BYTES + PREFIX_AT) * ROWS + row;
  keys.sort();
  const order = Array.from(keys, (key) => key % ROWS);
  sortTwins(order, rows);
  return order;
}

/** Paths that agree on what was sorted by are next to each other. */
function sortTwins(order: number[], rows: Uint8Array): void {
  for (let i = 1; i < order.length; i++)
    for (let at = i; at > 0; at--) {
      const [before, row] = [order[at - 1] ?? 0, order[at] ?? 0];
      const compared = comparePaths(rows, before, row);
      if (compared === 0) throw damaged('expected each descriptor of a set once, got one twice');
      if (compared < 0) break;
      order[at - 1] = row;
      order[at] = before;
    }
}

function comparePaths(rows: Uint8Array, one: number, other: number): number {
  const [a, b] = [one * ROW_BYTES, other * ROW_BYTES];
  for (let i = 0; i < HASH_BYTES; i++) {
    const difference = (rows[a + i] ?? 0) - (rows[b + i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
