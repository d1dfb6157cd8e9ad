/**
 * Which signatures under a checkpoint hold, and for when: one rule for log keys and cosigners, clients
 * and witnesses. A known key whose signature fails refuses the whole note, as signed-note demands.
 */
import { encodeUtf8 } from '../bytes.ts';
import { RegistryError } from '../error.ts';
import type { Verifier } from '../verifier.ts';
import type { VerifierKey } from '../vkey.ts';
import { type Checkpoint, parseCheckpoint } from './checkpoint.ts';
import { cosignedMessage, cosignedSubtree, decodeCosignature } from './cosignature.ts';
import { isSignatureBy, type Note, type NoteSignature, parseNote } from './note.ts';

const ED25519_BYTES = 64;
const ML_DSA_BYTES = 2420;

/** Ed25519 by QV1; ML-DSA-44 where the platform has it: without it such keys are unknown ones. */
export interface NoteVerifier extends Pick<Verifier, 'verify'> {
  verifyMlDsa?(signed: {
    readonly publicKey: Uint8Array;
    readonly message: Uint8Array;
    readonly signature: Uint8Array;
  }): Promise<boolean>;
}

/** A checkpoint under which at least one signature was asked about. */
export interface SignedCheckpoint extends Checkpoint {
  /** The whole note, as it came. */
  readonly note: string;
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

/** Judges nothing yet. Throws `invalid_checkpoint`. */
export function readSignedCheckpoint(note: string): SignedCheckpoint {
  const parsed: Note = parseNote(note);
  return { ...parseCheckpoint(parsed.text), ...parsed, note };
}

/**
 * The keys among `keys` that signed, each with the newest time it vouches for (POSIX seconds; `null`
 * for a signature without time). Throws `invalid_signature` when a known key's signature fails.
 */
export async function signersOf(
  checkpoint: Omit<SignedCheckpoint, 'note'>,
  keys: readonly VerifierKey[],
  verifier: NoteVerifier,
): Promise<ReadonlyMap<VerifierKey, number | null>> {
  const found = new Map<VerifierKey, number | null>();
  for (const signature of checkpoint.signatures) {
    const key = keys.find((candidate) => isSignatureBy(signature, candidate));
    if (key === undefined) continue;
    const verdict = await judge(checkpoint, { key, signature, verifier });
    if (verdict === 'unknown') continue;
    if (verdict === 'invalid')
      throw new RegistryError(
        'invalid_signature',
        `expected a signature by ${key.name}+${key.keyId} over this checkpoint, got one that does not verify`,
        { details: { key: `${key.name}+${key.keyId}` } },
      );
    const before = found.get(key) ?? null;
    found.set(key, verdict.time === null ? before : Math.max(before ?? 0, verdict.time));
  }
  return found;
}

async function judge(
  checkpoint: Omit<SignedCheckpoint, 'note'>,
  {
    key,
    signature: { signature },
    verifier,
  }: { key: VerifierKey; signature: NoteSignature; verifier: NoteVerifier },
): Promise<{ readonly time: number | null } | 'invalid' | 'unknown'> {
  const { publicKey } = key;
  if (key.type === 'ed25519') {
    const message = encodeUtf8(checkpoint.text);
    return (await verifier.verify({ publicKey, message, signature })) ? { time: null } : 'invalid';
  }
  if (key.type === 'ml-dsa-44' && verifier.verifyMlDsa === undefined) return 'unknown';
  const bytes = key.type === 'cosigner' ? ED25519_BYTES : ML_DSA_BYTES;
  const cosignature = decodeCosignature(signature, bytes);
  if (cosignature === undefined) return 'invalid';
  const { timestamp } = cosignature;
  const isValid =
    key.type === 'cosigner'
      ? await verifier.verify({
          publicKey,
          message: cosignedMessage(checkpoint.text, timestamp),
          signature: cosignature.signature,
        })
      : await verifier.verifyMlDsa?.({
          publicKey,
          message: cosignedSubtree(checkpoint, { cosigner: key.name, timestamp }),
          signature: cosignature.signature,
        });
  if (isValid !== true) return 'invalid';
  return { time: timestamp === 0 ? null : timestamp };
}
