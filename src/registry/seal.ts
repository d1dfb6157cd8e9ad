/**
 * From durable entries to a signed checkpoint: they are read back and re-hashed, the tree's edge too,
 * and only then do the log's keys sign.
 */
import { encodeUtf8, isEqualBytes } from '../core/bytes.ts';
import type { Chain } from '../core/chain.ts';
import { RegistryError } from '../core/error.ts';
import type { Governance } from '../core/governance.ts';
import { type Checkpoint, encodeCheckpoint } from '../core/tlog/checkpoint.ts';
import { cosignedSubtree, encodeCosignature } from '../core/tlog/cosignature.ts';
import { subtreesOf } from '../core/tlog/merkle.ts';
import { isSignatureBy, type Note, type NoteSignature } from '../core/tlog/note.ts';
import { parseVerifierKey, type VerifierKey } from '../core/vkey.ts';
import type { Store } from '../store/store.ts';
import type { CheckpointSigner } from './options.ts';
import { assertStoredEntry, damaged } from './stored.ts';

/** The log keys of a governance that are here, each with who signs for it. */
export interface LogKeyInForce {
  readonly key: VerifierKey;
  readonly signer: CheckpointSigner;
}

export function logKeysInForce(
  { log_keys }: Pick<Governance, 'log_keys'>,
  signers: readonly CheckpointSigner[],
): readonly LogKeyInForce[] {
  return log_keys.flatMap((vkey) => {
    const key = parseVerifierKey(vkey);
    const signer = signers.find(
      ({ type, publicKey }) => type === key?.type && isEqualBytes(publicKey, key.publicKey),
    );
    return key === undefined || signer === undefined ? [] : [{ key, signer }];
  });
}

/** Whether all these keys have signed. */
export function isSignedByAll(
  { signatures }: Pick<Note, 'signatures'>,
  keys: readonly LogKeyInForce[],
): boolean {
  return keys.every(({ key }) => signatures.some((line) => isSignatureBy(line, key)));
}

/** Whether a checkpoint by these keys would have the Ed25519 signature that every reader can check. */
export function isSignable(keys: readonly LogKeyInForce[]): boolean {
  return keys.some(({ key }) => key.type === 'ed25519');
}

/** Why it would not, and what to do. */
export function unsignable(
  { log_keys }: Pick<Governance, 'log_keys'>,
  signers: readonly CheckpointSigner[],
): RegistryError {
  return new RegistryError(
    'not_ready',
    `expected an ed25519 log key that governance names (${log_keys.join(', ')}), got ${signers.length === 0 ? 'none' : 'only others'}: configure \`log_key\` and restart`,
  );
}

/**
 * Reads back the entries from `from` to the chain's head. Throws `storage_damaged` unless they hash to
 * themselves, follow each other up to the chain's head, and the stored nodes have the tree's edge.
 */
export async function assertReadBack(store: Store, chain: Chain, from: number): Promise<void> {
  let previous: string | null | undefined;
  for (let version = from; version <= chain.version; ) {
    const page = await store.entries({ from: version, limit: chain.version + 1 - version });
    if (page.length === 0) throw damaged(`expected version ${version} in the log, got nothing`);
    for (const entry of page) {
      const leaf = assertStoredEntry(entry);
      const isNext = leaf.version === version && leaf.prev_hash === (previous ?? leaf.prev_hash);
      if (!isNext) throw damaged(`expected version ${version} to follow the one before`);
      previous = entry.entryHash;
      version++;
    }
  }
  if (previous !== chain.entryHash)
    throw damaged(`expected the log to lead to ${chain.entryHash}, got ${previous}`);
  const edge = await store.nodes(subtreesOf({ begin: 0, end: chain.tree.size }));
  const isSame = chain.tree.edge.every((hash, i) =>
    isEqualBytes(hash, edge[i] ?? new Uint8Array()),
  );
  if (!isSame) throw damaged(`expected the nodes of the tree of ${chain.tree.size}, got others`);
}

/** The checkpoint of the chain's tree as a note, by the keys that its governance names. Throws what a signer throws. */
export async function signCheckpoint(
  { origin, tree }: Chain,
  keys: readonly LogKeyInForce[],
): Promise<Checkpoint & Note> {
  const checkpoint = { origin, size: tree.size, root: tree.root };
  const text = encodeCheckpoint(checkpoint);
  const signatures = await Promise.all(
    keys.map((key) => signatureOf(key, { ...checkpoint, text })),
  );
  return { ...checkpoint, text, signatures };
}

async function signatureOf(
  { key, signer }: LogKeyInForce,
  { text, ...checkpoint }: Checkpoint & { readonly text: string },
): Promise<NoteSignature> {
  const { name, keyId } = key;
  if (key.type === 'ed25519')
    return { name, keyId, signature: await signer.sign(encodeUtf8(text)) };
  // tlog-cosignature: a log that signs its own checkpoint says nothing about time.
  const message = cosignedSubtree(checkpoint, { cosigner: name, timestamp: 0 });
  const signature = encodeCosignature({ timestamp: 0, signature: await signer.sign(message) });
  return { name, keyId, signature };
}
