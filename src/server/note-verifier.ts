/**
 * Signatures under checkpoints on Node's own crypto: Ed25519 by QV1, and ML-DSA-44 where this Node has
 * it. Which keys count is decided by who asks.
 */
import { createPublicKey, type KeyObject } from 'node:crypto';
import type { NoteVerifier } from '../core/tlog/note-signatures.ts';
import { createNativeVerifier, isSignatureOf } from './native-verifier.ts';

export const ML_DSA_KEY_BYTES = 1312;
/** A SubjectPublicKeyInfo of ML-DSA-44 (RFC 9881) up to its key. */
const ML_DSA_SPKI = Buffer.from('30820532300b06096086480165030403110382052100', 'hex');

export function createNoteVerifier(): NoteVerifier {
  const { verify: verifyEd25519 } = createNativeVerifier();
  if (!hasMlDsa()) return { verify: verifyEd25519 };
  return {
    verify: verifyEd25519,
    verifyMlDsa: async ({ publicKey, message, signature }) => {
      const key = importMlDsaKey(publicKey);
      return key !== undefined && isSignatureOf({ key, message, signature });
    },
  };
}

/** Whether the OpenSSL of this Node knows ML-DSA-44; every 1,312 bytes are such a key. */
export function hasMlDsa(): boolean {
  return importMlDsaKey(new Uint8Array(ML_DSA_KEY_BYTES)) !== undefined;
}

function importMlDsaKey(publicKey: Uint8Array): KeyObject | undefined {
  if (publicKey.length !== ML_DSA_KEY_BYTES) return undefined;
  try {
    const key = Buffer.concat([ML_DSA_SPKI, publicKey]);
    return createPublicKey({ key, format: 'der', type: 'spki' });
  } catch {
    return undefined;
  }
}
