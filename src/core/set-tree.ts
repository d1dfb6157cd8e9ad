/**
 * The descriptor set as a compact sparse Merkle tree over 256-bit paths: an immutable tree whose
 * updates share what did not change, so that old roots stay readable and cost log N. Proofs are read
 * and checked in `set-proof`.
 */
import { isEqualBytes } from './bytes.ts';
import { RegistryError } from './error.ts';
import { formatHash, type Hash } from './hash.ts';
import { bitAt, EMPTY_HASH, hashInner } from './set-hash.ts';
import {
  allRows,
  branchOfRows,
  changeRows,
  concatRows,
  countRows,
  hashRows,
  leavesOfRows,
  partRows,
  type RowRange,
  rowOf,
  type SetBranch,
  type SetChange,
  type SetLeaf,
  someRows,
  sortRange,
  sortRows,
  splitRows,
  valueAmong,
} from './set-rows.ts';

/** A subtree of this many descriptors or fewer is kept as its rows. */
const FEW = 8;

/** A subtree of 1 to `FEW` descriptors. */
interface FewNode {
  readonly hash: Uint8Array;
  /** Sorted. */
  readonly rows: Uint8Array;
}

interface InnerNode {
  readonly hash: Uint8Array;
  readonly left: SetNode;
  readonly right: SetNode;
}

/** A subtree known by its hash alone, as in a tree made from proofs. */
interface StubNode {
  readonly hash: Uint8Array;
}

type SetNode = FewNode | InnerNode | StubNode | null;

export class SetTree {
  static readonly EMPTY: SetTree = new SetTree(null, 0);

  readonly #root: SetNode;
  /** Number of descriptors. */
  readonly size: number;

  private constructor(root: SetNode, size: number) {
    this.#root = root;
    this.size = size;
  }

  /** A whole set, of the bytes of `SetRows`, which it sorts and keeps. Throws `internal` when a path is there twice. */
  static fromRows(rows: Uint8Array): SetTree {
    sortRows(rows);
    return new SetTree(treeOf(rows, allRows(rows), 0), countRows(rows));
  }

  /** The same, `atOnce` rows at a time: 10^6 take seconds, in which whoever asks for the next step can let others go on. */
  static *inSteps(rows: Uint8Array, atOnce: number): Generator<void, SetTree, void> {
    const root = yield* treeInSteps(rows, allRows(rows), { depth: 0, atOnce });
    return new SetTree(root, countRows(rows));
  }

  /** A tree known by its root alone; `withBranch` makes more of it known. */
  static fromRoot({ root, size }: { root: Uint8Array; size: number }): SetTree {
    return new SetTree(size === 0 ? null : { hash: root }, size);
  }

  /** 32 bytes, zero when empty. */
  get rootHash(): Uint8Array {
    return hashOfNode(this.#root);
  }

  get root(): Hash {
    return formatHash(this.rootHash);
  }

  /**
   * The value hash at `path`, `undefined` when absent; costs no hashing. Throws `invalid_proof` where
   * only a hash is known.
   */
  get(path: Uint8Array): Uint8Array | undefined {
    let node = this.#root;
    for (let depth = 0; node !== null && !isFew(node); depth++) {
      const { left, right } = known(node);
      node = bitAt(path, depth) === 0 ? left : right;
    }
    return node === null ? undefined : valueAmong(node.rows, path);
  }

  /** The way to `path`; costs the hashes of a small subtree at most. Throws `invalid_proof` where only a hash is known. */
  branch(path: Uint8Array): SetBranch {
    const siblings: Uint8Array[] = [];
    let node = this.#root;
    let depth = 0;
    for (; node !== null && !isFew(node); depth++) {
      const { left, right } = known(node);
      siblings.push(hashOfNode(bitAt(path, depth) === 0 ? right : left));
      node = bitAt(path, depth) === 0 ? left : right;
    }
    if (node === null) return { siblings, leaf: null };
    const below = branchOfRows(node.rows, path, depth);
    return { siblings: [...siblings, ...below.siblings], leaf: below.leaf };
  }

  /** Every leaf, in the order of paths. Throws `invalid_proof` where only a hash is known. */
  leaves(): Generator<SetLeaf, void, void> {
    return leavesOf(this.#root);
  }

  /**
   * The tree after `changes` (each path at most once). Costs hashes in proportion to changes times
   * log N. Throws `invalid_proof` where only a hash is known: a tree from proofs is then not enough.
   */
  with(changes: readonly SetChange[]): SetTree {
    let size = this.size;
    for (const { path, valueHash } of changes)
      size += Number(valueHash !== null) - Number(this.get(path) !== undefined);
    return new SetTree(update(this.#root, 0, changes), size);
  }

  /** The same tree with the nodes of a branch known, which must have been checked against its root. */
  withBranch(path: Uint8Array, branch: SetBranch): SetTree {
    return new SetTree(expand(this.#root, 0, path, branch), this.size);
  }
}

function* leavesOf(node: SetNode): Generator<SetLeaf, void, void> {
  if (node === null) return;
  if (isFew(node)) return yield* leavesOfRows(node.rows);
  const { left, right } = known(node);
  yield* leavesOf(left);
  yield* leavesOf(right);
}

const NO_ROWS = new Uint8Array();

function update(node: SetNode, depth: number, changes: readonly SetChange[]): SetNode {
  if (changes.length === 0) return node;
  if (node === null || isFew(node)) {
    const rows = changeRows(node?.rows ?? NO_ROWS, changes);
    return treeOf(rows, allRows(rows), depth);
  }
  const { left, right } = known(node);
  const { zeros, ones } = part(changes, depth);
  return join(update(left, depth + 1, zeros), update(right, depth + 1, ones));
}

const NO_CHANGES: readonly SetChange[] = [];

/** By their next bit. Of most nodes all changes are on one side. */
function part(
  changes: readonly SetChange[],
  depth: number,
): { readonly zeros: readonly SetChange[]; readonly ones: readonly SetChange[] } {
  const zeros = changes.filter(({ path }) => bitAt(path, depth) === 0);
  if (zeros.length === changes.length) return { zeros: changes, ones: NO_CHANGES };
  if (zeros.length === 0) return { zeros, ones: changes };
  return { zeros, ones: changes.filter(({ path }) => bitAt(path, depth) === 1) };
}

/** Of rows in any order. */
function* treeInSteps(
  rows: Uint8Array,
  range: RowRange,
  { depth, atOnce }: { readonly depth: number; readonly atOnce: number },
): Generator<void, SetNode, void> {
  const { begin, end } = range;
  if (end - begin <= Math.max(atOnce, FEW)) {
    sortRange(rows, range, depth);
    return treeOf(rows, range, depth);
  }
  const middle = partRows(rows, range, depth);
  yield;
  const below = { depth: depth + 1, atOnce };
  const left = yield* treeInSteps(rows, { begin, end: middle }, below);
  yield;
  return inner(left, yield* treeInSteps(rows, { begin: middle, end }, below));
}

/** Of sorted rows. */
function treeOf(rows: Uint8Array, range: RowRange, depth: number): SetNode {
  const { begin, end } = range;
  if (begin === end) return null;
  if (end - begin <= FEW)
    return { hash: hashRows(rows, range, depth), rows: someRows(rows, range) };
  const middle = splitRows(rows, range, depth);
  return inner(
    treeOf(rows, { begin, end: middle }, depth + 1),
    treeOf(rows, { begin: middle, end }, depth + 1),
  );
}

/** A lone leaf rises to where it is alone, few stay together; everything else becomes an inner node. */
function join(left: SetNode, right: SetNode): SetNode {
  const few = fewOf(left, right);
  if (few !== undefined) return few;
  // A stub beside nothing may be a leaf that should rise: its hash does not say.
  if (left === null) known(right);
  if (right === null) known(left);
  return inner(left, right);
}

function inner(left: SetNode, right: SetNode): InnerNode {
  return { hash: hashInner(hashOfNode(left), hashOfNode(right)), left, right };
}

/** `undefined`: they are too many for one, or not known. */
function fewOf(left: SetNode, right: SetNode): FewNode | null | undefined {
  if (!(left === null || isFew(left)) || !(right === null || isFew(right))) return undefined;
  const [zeros, ones] = [left?.rows ?? NO_ROWS, right?.rows ?? NO_ROWS];
  const count = countRows(zeros) + countRows(ones);
  if (count > FEW) return undefined;
  if (count <= 1) return left ?? right;
  return { hash: hashInner(hashOfNode(left), hashOfNode(right)), rows: concatRows(zeros, ones) };
}

function expand(node: SetNode, depth: number, path: Uint8Array, branch: SetBranch): SetNode {
  // All of it is known already.
  if (node !== null && isFew(node)) return node;
  const sibling = branch.siblings[depth];
  if (sibling === undefined) return branch.leaf === null ? null : fewWith(branch.leaf);
  const stub = isEqualBytes(sibling, EMPTY_HASH) ? null : { hash: sibling };
  const isLeft = bitAt(path, depth) === 0;
  const before = node !== null && 'left' in node ? node : undefined;
  const onPath = expand((isLeft ? before?.left : before?.right) ?? null, depth + 1, path, branch);
  const beside = (isLeft ? before?.right : before?.left) ?? stub;
  return isLeft ? inner(onPath, beside) : inner(beside, onPath);
}

function fewWith(leaf: SetLeaf): FewNode {
  const rows = rowOf(leaf);
  return { hash: hashRows(rows, allRows(rows), 0), rows };
}

function isFew(node: FewNode | InnerNode | StubNode): node is FewNode {
  return 'rows' in node;
}

function known(node: SetNode): InnerNode {
  if (node !== null && 'left' in node) return node;
  throw new RegistryError(
    'invalid_proof',
    'expected a proof that reaches this part of the set, got only a hash of it',
  );
}

function hashOfNode(node: SetNode): Uint8Array {
  return node?.hash ?? EMPTY_HASH;
}
