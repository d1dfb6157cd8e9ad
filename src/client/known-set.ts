/**
 * What a trusted set root says about served descriptors, and how a set known by that root alone comes
 * to be known where it is needed: by proofs, or by the whole set once. Nothing is believed beyond the root.
 */

import { isEqualBytes } from '../core/bytes.ts';
import { descriptorPath, descriptorValueHash, encodeDescriptor } from '../core/descriptor.ts';
import { RegistryError } from '../core/error.ts';
import { formatHash, parseHash } from '../core/hash.ts';
import { type Change, compareKeys, type Descriptor } from '../core/payload.ts';
import { type SetProofVerdict, verifyBranch } from '../core/set-proof.ts';
import type { SetLeaf } from '../core/set-rows.ts';
import { SetTree } from '../core/set-tree.ts';
import type { ServedDescriptor } from './answers.ts';

export type Key = Pick<Descriptor, 'kind' | 'id'>;

/** What a leaf says of the set after it. */
export type SetIdentity = Pick<SetTree, 'root' | 'size'>;

/** Those of `keys` whose place in the set is hidden behind a hash. */
export function unknownKeys(set: SetTree, keys: readonly Key[]): readonly Key[] {
  return keys.filter((key) => {
    try {
      set.branch(descriptorPath(key));
      return false;
    } catch (error) {
      if (error instanceof RegistryError && error.code === 'invalid_proof') return true;
      throw error;
    }
  });
}

/** The same set with the way to `key` known. Throws `invalid_proof`. */
export function withProof(set: SetTree, key: Key, { branch }: ServedDescriptor): SetTree {
  judge(set, key, branch);
  return set.withBranch(descriptorPath(key), branch);
}

/** The descriptor at `key`, `null` when it is proven absent. Throws `invalid_proof`. */
export function provenDescriptor(
  set: SetTree,
  key: Key,
  { branch, descriptor }: ServedDescriptor,
): Descriptor | null {
  const verdict = judge(set, key, branch);
  const name = `${key.kind}/${key.id}`;
  if (verdict.state === 'absent') {
    if (descriptor !== null)
      throw invalidProof(`expected ${name} absent as its proof says, got a descriptor`);
    return null;
  }
  if (descriptor === null)
    throw invalidProof(`expected ${name} present as its proof says, got none`);
  const valueHash = descriptorValueHash(encodeServed(descriptor));
  // The value hash covers kind and id, and the rules of the log put it at their path and no other.
  if (!isEqualBytes(valueHash, verdict.valueHash))
    throw invalidProof(`expected the bytes of ${name} that its proof names, got others`);
  return descriptor;
}

/** `items` as a tree. Throws `invalid_proof` unless they are the set of that root and size, sorted. */
export function treeOf(items: readonly Descriptor[], expected: SetIdentity): SetTree {
  items.forEach((item, i) => {
    const before = items[i - 1];
    if (before !== undefined && compareKeys(before, item) >= 0)
      throw invalidProof(
        `expected a set sorted by kind and id, each once, got ${item.kind}/${item.id} after ${before.kind}/${before.id}`,
      );
  });
  const set = SetTree.EMPTY.with(
    items.map((item) => ({
      path: descriptorPath(item),
      valueHash: descriptorValueHash(encodeServed(item)),
    })),
  );
  return assertSameSet(set, expected);
}

/** The same of a set by its hashes alone. Throws `invalid_proof` unless they are of that root and size, each path once. */
export function treeOfHashes(leaves: readonly SetLeaf[], expected: SetIdentity): SetTree {
  const paths = new Set(leaves.map(({ path }) => formatHash(path)));
  if (paths.size !== leaves.length)
    throw invalidProof(`expected each path once, got ${paths.size} in ${leaves.length} leaves`);
  return assertSameSet(SetTree.EMPTY.with(leaves), expected);
}

/** The set before `changes`, from the one after them: a fence names what stood there. */
export function undone(after: SetTree, changes: readonly Change[], before: SetIdentity): SetTree {
  const undoing = changes.map((change) => ({
    path: descriptorPath(change),
    valueHash: change.replaces === null ? null : parseHash(change.replaces),
  }));
  return assertSameSet(after.with(undoing), before);
}

function assertSameSet(set: SetTree, expected: SetIdentity): SetTree {
  if (set.size !== expected.size || set.root !== expected.root)
    throw invalidProof(
      `expected the ${expected.size} descriptors of set root ${expected.root}, got ${set.size} that give ${set.root}`,
    );
  return set;
}

function judge(
  set: SetTree,
  key: Key,
  branch: ServedDescriptor['branch'],
): Exclude<SetProofVerdict, { state: 'invalid' }> {
  const verdict = verifyBranch({ root: set.rootHash, path: descriptorPath(key) }, branch);
  if (verdict.state === 'invalid')
    throw invalidProof(
      `expected a proof of ${key.kind}/${key.id} under ${set.root}, got one that fails: ${verdict.reason}`,
    );
  return verdict;
}

/** JSON escapes can spell text that canonical JSON cannot carry; no committed descriptor has any. */
function encodeServed(descriptor: Descriptor): Uint8Array {
  try {
    return encodeDescriptor(descriptor);
  } catch (cause) {
    throw new RegistryError(
      'invalid_proof',
      `expected ${descriptor.kind}/${descriptor.id} as it was committed, got other text`,
      { cause },
    );
  }
}

function invalidProof(message: string): RegistryError {
  return new RegistryError('invalid_proof', message);
}
