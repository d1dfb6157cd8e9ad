/** How the nodes of a descriptor set's tree are hashed. What stands in the tree is `set-tree`. */
import { blake3Bytes } from './hash.ts';

export const EMPTY_HASH: Uint8Array = new Uint8Array(32);

const LEAF = 0;
const INNER = 1;

/** Scratch: nothing runs between its filling and the end of the hash, and it says nothing after that. */
const preimage = new Uint8Array(65);

export function hashLeaf(path: Uint8Array, valueHash: Uint8Array): Uint8Array {
  return hashPair(LEAF, path, valueHash);
}

export function hashInner(left: Uint8Array, right: Uint8Array): Uint8Array {
  return hashPair(INNER, left, right);
}

/** Of a leaf whose path and value hash are the 64 bytes of `rows` from `at` on. */
export function hashRow(rows: Uint8Array, at: number): Uint8Array {
  preimage[0] = LEAF;
  for (let i = 0; i < 64; i++) preimage[i + 1] = rows[at + i]!;
  return blake3Bytes(preimage);
}

/** One byte and two hashes of 32, as every node of every way to a changed leaf is hashed. */
function hashPair(prefix: number, left: Uint8Array, right: Uint8Array): Uint8Array {
  preimage[0] = prefix;
  preimage.set(left, 1);
  preimage.set(right, 33);
  return blake3Bytes(preimage);
}

/** Bit `depth` of a path, most significant first. */
export function bitAt(path: Uint8Array, depth: number): 0 | 1 {
  return ((path[depth >> 3]! >> (7 - (depth & 7))) & 1) as 0 | 1;
}
