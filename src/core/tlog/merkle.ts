/**
 * The RFC 6962 tree as arithmetic and SHA-256: which complete subtrees a root or a proof is made of,
 * how they fold, and how proofs are checked. Where the hashes are kept is the caller's affair.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { concatBytes } from '@noble/hashes/utils.js';
import { isEqualBytes } from '../bytes.ts';

/** Names the complete subtree over the 2^level leaves from `index * 2^level` on. */
export interface NodePlace {
  readonly level: number;
  readonly index: number;
}

export interface TreeNode extends NodePlace {
  /** 32 bytes. */
  readonly hash: Uint8Array;
}

/** Answers the hashes of complete subtrees, in the order asked for. */
export type ReadNodes = (places: readonly NodePlace[]) => Promise<readonly Uint8Array[]>;

/** Leaves from `begin` up to, not including, `end`. */
interface Range {
  readonly begin: number;
  readonly end: number;
}

const LEAF_PREFIX = Uint8Array.of(0);
const NODE_PREFIX = Uint8Array.of(1);

/** RFC 9162 2.1.1: the root of no leaves. */
export const EMPTY_ROOT: Uint8Array = sha256(new Uint8Array());

/** RFC 9162 2.1.1: the hash of one leaf's bytes. */
export function recordHash(record: Uint8Array): Uint8Array {
  return sha256(concatBytes(LEAF_PREFIX, record));
}

export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  return sha256(concatBytes(NODE_PREFIX, left, right));
}

/** The complete subtrees that a range falls into, left to right, each as large as it can be. */
export function subtreesOf({ begin, end }: Range): readonly NodePlace[] {
  const places: NodePlace[] = [];
  for (let at = begin; at < end; ) {
    let [level, width] = [0, 1];
    while (at % (width * 2) === 0 && at + width * 2 <= end) [level, width] = [level + 1, width * 2];
    places.push({ level, index: at / width });
    at += width;
  }
  return places;
}

/** The root over consecutive subtrees, as `subtreesOf` names them; `EMPTY_ROOT` for none. */
export function foldSubtrees(hashes: readonly Uint8Array[]): Uint8Array {
  const last = hashes.at(-1);
  if (last === undefined) return EMPTY_ROOT;
  return hashes.slice(0, -1).reduceRight((right, left) => nodeHash(left, right), last);
}

/** The root of the tree's first `size` leaves. */
export async function rootAt(size: number, read: ReadNodes): Promise<Uint8Array> {
  return foldSubtrees(await read(subtreesOf({ begin: 0, end: size })));
}

/** RFC 9162 2.1.3.1, the leaf's sibling first. Expects `index < size`. */
export function proveInclusion(
  { index, size }: { readonly index: number; readonly size: number },
  read: ReadNodes,
): Promise<readonly Uint8Array[]> {
  const ranges: Range[] = [];
  let [begin, end] = [0, size];
  while (end - begin > 1) {
    const middle = begin + splitOf(end - begin);
    if (index < middle) {
      ranges.unshift({ begin: middle, end });
      end = middle;
    } else {
      ranges.unshift({ begin, end: middle });
      begin = middle;
    }
  }
  return readRanges(ranges, read);
}

/** RFC 9162 2.1.4.1: that the first `from` leaves of a tree of `size` are the tree of `from`. Expects `from <= size`. */
export function proveConsistency(
  { from, size }: { readonly from: number; readonly size: number },
  read: ReadNodes,
): Promise<readonly Uint8Array[]> {
  if (from === 0 || from === size) return Promise.resolve([]);
  const ranges: Range[] = [];
  let [begin, end] = [0, size];
  while (from < end) {
    const middle = begin + splitOf(end - begin);
    if (from <= middle) {
      ranges.unshift({ begin: middle, end });
      end = middle;
    } else {
      ranges.unshift({ begin, end: middle });
      begin = middle;
    }
  }
  // Everything left of here is the old tree itself, which the verifier knows.
  if (begin > 0) ranges.unshift({ begin, end });
  return readRanges(ranges, read);
}

export interface InclusionClaim {
  /** 32 bytes: `recordHash` of the leaf. */
  readonly record: Uint8Array;
  readonly index: number;
  readonly size: number;
  readonly proof: readonly Uint8Array[];
  /** 32 bytes. */
  readonly root: Uint8Array;
}

/** RFC 9162 2.1.3.2. */
export function isIncluded(claim: InclusionClaim): boolean {
  const folded = foldInclusion(claim);
  return folded !== undefined && isEqualBytes(folded.root, claim.root);
}

/**
 * What a proof of inclusion says of the tree: its root, and the root of the tree that ends with this
 * leaf (a leaf's left siblings are all of that older tree). `undefined`: the proof has not the form of
 * one for this place.
 */
export function foldInclusion({
  record,
  index,
  size,
  proof,
}: Omit<InclusionClaim, 'root'>): { root: Uint8Array; prefixRoot: Uint8Array } | undefined {
  if (!areCounts([index, size]) || index >= size || !areHashes([record, ...proof]))
    return undefined;
  let [fn, sn, root, prefixRoot] = [index, size - 1, record, record];
  for (const sibling of proof) {
    if (sn === 0) return undefined;
    if (fn % 2 === 1 || fn === sn) {
      root = nodeHash(sibling, root);
      prefixRoot = nodeHash(sibling, prefixRoot);
      while (fn % 2 === 0 && fn !== 0) [fn, sn] = [fn / 2, Math.floor(sn / 2)];
    } else root = nodeHash(root, sibling);
    [fn, sn] = [Math.floor(fn / 2), Math.floor(sn / 2)];
  }
  return sn === 0 ? { root, prefixRoot } : undefined;
}

export interface ConsistencyClaim {
  readonly from: number;
  readonly size: number;
  readonly proof: readonly Uint8Array[];
  /** 32 bytes each. */
  readonly fromRoot: Uint8Array;
  readonly root: Uint8Array;
}

/** RFC 9162 2.1.4.2; a tree is consistent with the empty one without a proof. */
export function isConsistent({ from, size, proof, fromRoot, root }: ConsistencyClaim): boolean {
  if (!areCounts([from, size]) || from > size || !areHashes([fromRoot, root, ...proof]))
    return false;
  if (from === size) return proof.length === 0 && isEqualBytes(fromRoot, root);
  if (from === 0) return proof.length === 0 && isEqualBytes(fromRoot, EMPTY_ROOT);
  const [first, ...rest] = isPowerOfTwo(from) ? [fromRoot, ...proof] : proof;
  if (first === undefined) return false;
  let [fn, sn, older, newer] = [from - 1, size - 1, first, first];
  while (fn % 2 === 1) [fn, sn] = [Math.floor(fn / 2), Math.floor(sn / 2)];
  for (const hash of rest) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      older = nodeHash(hash, older);
      newer = nodeHash(hash, newer);
      while (fn % 2 === 0 && fn !== 0) [fn, sn] = [fn / 2, Math.floor(sn / 2)];
    } else newer = nodeHash(newer, hash);
    [fn, sn] = [Math.floor(fn / 2), Math.floor(sn / 2)];
  }
  return sn === 0 && isEqualBytes(older, fromRoot) && isEqualBytes(newer, root);
}

/** Each range is one hash of a proof; all nodes are read at once. */
async function readRanges(
  ranges: readonly Range[],
  read: ReadNodes,
): Promise<readonly Uint8Array[]> {
  const places = ranges.map(subtreesOf);
  const hashes = await read(places.flat());
  let at = 0;
  return places.map(({ length }) => {
    at += length;
    return foldSubtrees(hashes.slice(at - length, at));
  });
}

/** The largest power of two below `count`, which is 2 or more. */
function splitOf(count: number): number {
  let half = 1;
  while (half * 2 < count) half *= 2;
  return half;
}

/** Proofs come from outside: -1 or a half would walk the tree's path of another leaf. */
function areCounts(values: readonly number[]): boolean {
  return values.every((value) => Number.isSafeInteger(value) && value >= 0);
}

/** A node's two hashes given as one "hash" of 64 bytes, beside an empty one, would hash to the same node. */
function areHashes(values: readonly Uint8Array[]): boolean {
  return values.every(({ length }) => length === 32);
}

function isPowerOfTwo(value: number): boolean {
  return 2 ** Math.round(Math.log2(value)) === value;
}
