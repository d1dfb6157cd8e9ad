/** Entries as they come back from a store: re-hashed before anyone sees them, because disks lie. */
import { RegistryError } from '../core/error.ts';
import { type Hash, hashOf } from '../core/hash.ts';
import { decodeLeaf, entryHash, type Leaf } from '../core/leaf.ts';
import { type DecodedPayload, decodePayload, type PayloadType } from '../core/payload.ts';
import type { StoredEntry } from '../store/store.ts';

/** Which bytes may be missing, because they were let go of. */
export interface LetGo {
  isPruned(version: number, type: PayloadType): boolean;
  isErased(version: number): boolean;
}

const NOTHING_LET_GO: LetGo = { isPruned: () => false, isErased: () => false };

/** Throws `storage_damaged` unless every byte that was not let go of hashes to what the entry says. */
export function assertStoredEntry(entry: StoredEntry, letGo: LetGo = NOTHING_LET_GO): Leaf {
  const leaf = readLeaf(entry);
  const { payload, approvals, version } = entry;
  const isPruned = letGo.isPruned(version, leaf.type);
  const mayLack = isPruned || letGo.isErased(version);
  const wrong =
    (entryHash(entry.leaf) !== entry.entryHash && 'leaf') ||
    (leaf.version !== version && 'version') ||
    (!(mayLack && payload.length === 0) && hashOf(payload) !== leaf.payload_b3 && 'payload') ||
    (!(isPruned && approvals.length === 0) &&
      hashOf(approvals) !== leaf.approvals_b3 &&
      'approvals');
  if (wrong !== false)
    throw damaged(
      `expected the ${wrong} of version ${entry.version} to hash to its entry, got other bytes`,
    );
  return leaf;
}

/**
 * Leaves from `from` on, with their entry hashes. Each is named by the one after it; the last of them must be
 * named by a leaf after it or be the head, else it is left out.
 */
export function assertStoredLeaves(
  bytes: readonly Uint8Array[],
  { from, head }: { from: number; head: { readonly version: number; readonly entry_hash: Hash } },
): readonly { readonly leaf: Leaf; readonly entryHash: Hash }[] {
  const leaves = bytes.map((leaf, i) => ({
    leaf: readLeaf({ leaf, version: from + i }),
    entryHash: entryHash(leaf),
  }));
  return leaves.filter(({ leaf, entryHash }, i) => {
    const version = from + i;
    const named = version === head.version ? head.entry_hash : leaves[i + 1]?.leaf.prev_hash;
    if (named !== undefined && (named !== entryHash || leaf.version !== version))
      throw damaged(`expected the leaf of version ${version} to hash to ${named}, got other bytes`);
    return named !== undefined;
  });
}

/** The payload of an entry that was asserted. */
export function storedPayload(entry: StoredEntry): DecodedPayload {
  try {
    return decodePayload(entry.payload);
  } catch (cause) {
    // What is no payload may be anything: neither this nor the cause is quoted.
    throw damaged(
      `expected a payload at version ${entry.version}, got ${entry.payload.length} bytes that are none (${codeOf(cause)})`,
    );
  }
}

export function damaged(message: string, cause?: unknown): RegistryError {
  return new RegistryError('storage_damaged', message, { cause });
}

/** Whether it says something of the store, and not of who read it. */
export function isOfStore(error: unknown): boolean {
  return error instanceof RegistryError && error.code.startsWith('storage_');
}

export function isDamage(error: unknown): boolean {
  return codeOf(error) === 'storage_damaged';
}

function readLeaf(entry: Pick<StoredEntry, 'leaf' | 'version'>): Leaf {
  try {
    return decodeLeaf(entry.leaf);
  } catch (cause) {
    throw damaged(
      `expected a leaf at version ${entry.version}, got ${entry.leaf.length} bytes that are none (${codeOf(cause)})`,
    );
  }
}

function codeOf(error: unknown): string {
  return error instanceof RegistryError ? error.code : 'internal';
}
