/** Entries as they come back from a store: re-hashed before anyone sees them, because disks lie. */
import { RegistryError } from '../core/error.ts';
import { hashOf } from '../core/hash.ts';
import { decodeLeaf, entryHash, type Leaf } from '../core/leaf.ts';
import { type DecodedPayload, decodePayload } from '../core/payload.ts';
import type { StoredEntry } from '../store/store.ts';

/** Throws `storage_damaged` unless every byte hashes to what the entry says. */
export function assertStoredEntry(entry: StoredEntry): Leaf {
  const leaf = readLeaf(entry);
  const wrong =
    (entryHash(entry.leaf) !== entry.entryHash && 'leaf') ||
    (leaf.version !== entry.version && 'version') ||
    (hashOf(entry.payload) !== leaf.payload_b3 && 'payload') ||
    (hashOf(entry.approvals) !== leaf.approvals_b3 && 'approvals');
  if (wrong !== false)
    throw damaged(
      `expected the ${wrong} of version ${entry.version} to hash to its entry, got other bytes`,
    );
  return leaf;
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

function readLeaf(entry: StoredEntry): Leaf {
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
