/**
 * A cosigner's own end: its verifier key, and one cosignature over a checkpoint at a time. One form
 * for a witness and for the clock; when to sign is theirs to decide.
 */
import { RegistryError } from '../core/error.ts';
import type { Checkpoint } from '../core/tlog/checkpoint.ts';
import { cosignedMessage, cosignedSubtree, encodeCosignature } from '../core/tlog/cosignature.ts';
import type { NoteSignature } from '../core/tlog/note.ts';
import { encodeVerifierKey, parseVerifierKey, type VerifierKey } from '../core/vkey.ts';
import type { CheckpointSigner } from './options.ts';

export interface CosignerKey {
  readonly signer: CheckpointSigner;
  /** As readers must know it. */
  readonly vkey: string;
  readonly key: VerifierKey;
}

/** Throws `invalid_request` for a name that cannot stand in a note. */
export function createCosignerKey(name: string, signer: CheckpointSigner): CosignerKey {
  const type = signer.type === 'ed25519' ? 'cosigner' : signer.type;
  const vkey = encodeVerifierKey({ name, type, publicKey: signer.publicKey });
  const key = parseVerifierKey(vkey);
  if (key === undefined || name.length > 255)
    throw new RegistryError(
      'invalid_request',
      `expected a cosigner's name without spaces and "+", such as witness.example.com/w1, got ${JSON.stringify(name)}`,
    );
  return { signer, vkey, key };
}

/** `timestamp`: POSIX seconds. */
export async function cosign(
  checkpoint: Checkpoint & { readonly text: string },
  { signer, key }: CosignerKey,
  timestamp: number,
): Promise<NoteSignature> {
  const message =
    signer.type === 'ed25519'
      ? cosignedMessage(checkpoint.text, timestamp)
      : cosignedSubtree(checkpoint, { cosigner: key.name, timestamp });
  const signature = encodeCosignature({ timestamp, signature: await signer.sign(message) });
  return { name: key.name, keyId: key.keyId, signature };
}
