/** Proof that one descriptor is, or is not, in a set: its wire form and its check against a set root. */
import { isEqualBytes } from './bytes.ts';
import type { Json } from './canonical.ts';
import { Check } from './check.ts';
import { formatHash, type Hash, parseHash } from './hash.ts';
import { bitAt, EMPTY_HASH, hashInner, hashLeaf } from './set-hash.ts';
import type { SetBranch } from './set-rows.ts';

export interface SetProof {
  /** From the root down; the zero hash where nothing stands. */
  readonly siblings: readonly Hash[];
  /** The leaf found at the end of the path: the descriptor's own, another one, or none. */
  readonly leaf: { readonly path: Hash; readonly value_hash: Hash } | null;
}

export type SetProofVerdict =
  | { readonly state: 'present'; readonly valueHash: Uint8Array }
  | { readonly state: 'absent' }
  | { readonly state: 'invalid'; readonly reason: string };

export function encodeSetProof({ siblings, leaf }: SetBranch): SetProof {
  return {
    siblings: siblings.map(formatHash),
    leaf:
      leaf === null
        ? null
        : { path: formatHash(leaf.path), value_hash: formatHash(leaf.valueHash) },
  };
}

/** Throws `invalid_proof`. */
export function readSetProof(value: Json, pointer = ''): SetProof {
  const check = new Check('invalid_proof');
  const object = check.members(value, pointer, ['leaf', 'siblings']);
  const siblings = check
    .array(object.siblings, `${pointer}/siblings`, { min: 0, max: 256 })
    .map((hash, i) => check.hash(hash, `${pointer}/siblings/${i}`));
  if (object.leaf === null) return { siblings, leaf: null };
  const leaf = check.members(object.leaf, `${pointer}/leaf`, ['path', 'value_hash']);
  return {
    siblings,
    leaf: {
      path: check.hash(leaf.path, `${pointer}/leaf/path`),
      value_hash: check.hash(leaf.value_hash, `${pointer}/leaf/value_hash`),
    },
  };
}

export function decodeSetProof({ siblings, leaf }: SetProof): SetBranch {
  return {
    siblings: siblings.map(parseHash),
    leaf:
      leaf === null ? null : { path: parseHash(leaf.path), valueHash: parseHash(leaf.value_hash) },
  };
}

/** What a branch says of `path` under `root` (32 bytes each); a verdict, never a throw. */
export function verifyBranch(
  { root, path }: { root: Uint8Array; path: Uint8Array },
  { siblings, leaf }: SetBranch,
): SetProofVerdict {
  if (siblings.length > 256)
    return { state: 'invalid', reason: 'more siblings than a path has bits' };
  if (leaf !== null && !sharesPrefix(leaf.path, path, siblings.length))
    return { state: 'invalid', reason: 'its leaf does not stand on the way to the path' };
  const hash = siblings.reduceRight(
    (below, sibling, depth) =>
      bitAt(path, depth) === 0 ? hashInner(below, sibling) : hashInner(sibling, below),
    leaf === null ? EMPTY_HASH : hashLeaf(leaf.path, leaf.valueHash),
  );
  if (!isEqualBytes(hash, root))
    return { state: 'invalid', reason: 'it does not lead to the set root' };
  return leaf !== null && isEqualBytes(leaf.path, path)
    ? { state: 'present', valueHash: leaf.valueHash }
    : { state: 'absent' };
}

function sharesPrefix(a: Uint8Array, b: Uint8Array, bits: number): boolean {
  for (let depth = 0; depth < bits; depth++) if (bitAt(a, depth) !== bitAt(b, depth)) return false;
  return true;
}
