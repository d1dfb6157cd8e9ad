/**
 * The descriptor set as a compact sparse Merkle tree over 256-bit paths: an immutable tree whose
 * updates share what did not change, so that old roots stay readable and cost log N. Proofs are read
 * and checked in `set-proof`.
 */
import { isEqualBytes } from './bytes.ts';
import { RegistryError } from './error.ts';
import { blake3Bytes, formatHash, type Hash } from './hash.ts';

/** `valueHash: null` removes the path. Both are 32 bytes. */
export interface SetChange {
  readonly path: Uint8Array;
  readonly valueHash: Uint8Array | null;
}

interface LeafNode extends SetLeaf {
  readonly hash: Uint8Array;
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

type SetNode = LeafNode | InnerNode | StubNode | null;

/** Siblings from the root down, and what stands at the end: the leaf there, or nothing. */
export interface SetBranch {
  readonly siblings: readonly Uint8Array[];
  readonly leaf: SetLeaf | null;
}

/** Both 32 bytes. */
export interface SetLeaf {
  readonly path: Uint8Array;
  readonly valueHash: Uint8Array;
}

export const EMPTY_HASH: Uint8Array = new Uint8Array(32);

export class SetTree {
  static readonly EMPTY: SetTree = new SetTree(null, 0);

  readonly #root: SetNode;
  /** Number of descriptors. */
  readonly size: number;

  private constructor(root: SetNode, size: number) {
    this.#root = root;
    this.size = size;
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

  /** The value hash at `path`, `undefined` when absent. Throws `invalid_proof` where only a hash is known. */
  get(path: Uint8Array): Uint8Array | undefined {
    const { leaf } = this.branch(path);
    return leaf !== null && isEqualBytes(leaf.path, path) ? leaf.valueHash : undefined;
  }

  /** The way to `path`; costs no hashing. Throws `invalid_proof` where only a hash is known. */
  branch(path: Uint8Array): SetBranch {
    const siblings: Uint8Array[] = [];
    let node = this.#root;
    for (let depth = 0; node !== null && !isLeaf(node); depth++) {
      const { left, right } = known(node);
      siblings.push(hashOfNode(bitAt(path, depth) === 0 ? right : left));
      node = bitAt(path, depth) === 0 ? left : right;
    }
    return { siblings, leaf: node };
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
    const leaves = changes.map(({ path, valueHash }) => {
      const existed = this.get(path) !== undefined;
      size += Number(valueHash !== null) - Number(existed);
      return { path, leaf: valueHash === null ? null : makeLeaf(path, valueHash) };
    });
    return new SetTree(update(this.#root, 0, leaves), size);
  }

  /** The same tree with the nodes of a branch known, which must have been checked against its root. */
  withBranch(path: Uint8Array, branch: SetBranch): SetTree {
    return new SetTree(expand(this.#root, 0, path, branch), this.size);
  }
}

export function hashLeaf(path: Uint8Array, valueHash: Uint8Array): Uint8Array {
  return blake3Bytes(prefixed(0, path, valueHash));
}

export function hashInner(left: Uint8Array, right: Uint8Array): Uint8Array {
  return blake3Bytes(prefixed(1, left, right));
}

/** One byte and two hashes of 32, as every node of every way to a changed leaf is hashed. */
function prefixed(prefix: number, left: Uint8Array, right: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(65);
  bytes[0] = prefix;
  bytes.set(left, 1);
  bytes.set(right, 33);
  return bytes;
}

/** Bit `depth` of a path, most significant first. */
export function bitAt(path: Uint8Array, depth: number): 0 | 1 {
  return ((path[depth >> 3]! >> (7 - (depth & 7))) & 1) as 0 | 1;
}

function* leavesOf(node: SetNode): Generator<SetLeaf, void, void> {
  if (node === null) return;
  if (isLeaf(node)) return yield node;
  const { left, right } = known(node);
  yield* leavesOf(left);
  yield* leavesOf(right);
}

interface LeafChange {
  readonly path: Uint8Array;
  readonly leaf: LeafNode | null;
}

function update(node: SetNode, depth: number, changes: readonly LeafChange[]): SetNode {
  if (changes.length === 0) return node;
  if (node === null || isLeaf(node)) {
    const kept =
      node !== null && !changes.some((c) => isEqualBytes(c.path, node.path)) ? [node] : [];
    return build([...kept, ...changes.flatMap((c) => c.leaf ?? [])], depth);
  }
  const { left, right } = known(node);
  return join(
    update(
      left,
      depth + 1,
      changes.filter((c) => bitAt(c.path, depth) === 0),
    ),
    update(
      right,
      depth + 1,
      changes.filter((c) => bitAt(c.path, depth) === 1),
    ),
  );
}

function build(leaves: readonly LeafNode[], depth: number): SetNode {
  if (leaves.length <= 1) return leaves[0] ?? null;
  return join(
    build(
      leaves.filter((l) => bitAt(l.path, depth) === 0),
      depth + 1,
    ),
    build(
      leaves.filter((l) => bitAt(l.path, depth) === 1),
      depth + 1,
    ),
  );
}

/** A lone leaf rises to where it is alone; everything else becomes an inner node. */
function join(left: SetNode, right: SetNode): SetNode {
  if (left === null && (right === null || isLeaf(right))) return right;
  if (right === null && left !== null && isLeaf(left)) return left;
  // A stub beside nothing may be a leaf that should rise: its hash does not say.
  if (left === null) known(right);
  if (right === null) known(left);
  return { hash: hashInner(hashOfNode(left), hashOfNode(right)), left, right };
}

function expand(node: SetNode, depth: number, path: Uint8Array, branch: SetBranch): SetNode {
  const sibling = branch.siblings[depth];
  if (sibling === undefined)
    return branch.leaf === null ? null : makeLeaf(branch.leaf.path, branch.leaf.valueHash);
  const stub = isEqualBytes(sibling, EMPTY_HASH) ? null : { hash: sibling };
  const isLeft = bitAt(path, depth) === 0;
  const inner = node !== null && 'left' in node ? node : undefined;
  const onPath = expand((isLeft ? inner?.left : inner?.right) ?? null, depth + 1, path, branch);
  const beside = (isLeft ? inner?.right : inner?.left) ?? stub;
  const [left, right] = isLeft ? [onPath, beside] : [beside, onPath];
  return { hash: hashInner(hashOfNode(left), hashOfNode(right)), left, right };
}

function makeLeaf(path: Uint8Array, valueHash: Uint8Array): LeafNode {
  return { hash: hashLeaf(path, valueHash), path, valueHash };
}

function isLeaf(node: LeafNode | InnerNode | StubNode): node is LeafNode {
  return 'path' in node;
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
