/**
 * QV1 on Node's own crypto: the key is admitted once by the portable rule, then OpenSSL checks the
 * signature on the thread pool, 15 times faster and off the main thread. The two checks before it are
 * those on which Node's versions differ; `testing` holds both forms to the same verdicts.
 */
import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { isEqualBytes } from '../core/bytes.ts';
import {
  admitKey,
  IDENTITY_ENCODING,
  type SignedMessage,
  type Verifier,
} from '../core/verifier.ts';

// Admission costs milliseconds, so refused keys are remembered too; a flood of keys only evicts.
const MAX_KEYS = 4096;

export function createNativeVerifier(): Verifier {
  const keyOf = createKeys();
  return {
    admit: (publicKey) => keyOf(publicKey) !== undefined,
    verify: async ({ publicKey, message, signature }) => {
      const key = keyOf(publicKey);
      if (key === undefined || !isCandidate(signature)) return false;
      return isSignatureOf({ key, message, signature });
    },
  };
}

/** The same verdicts at once, on the thread that asks: for one that does nothing else. */
export function createBlockingVerifier(): { verify(signed: SignedMessage): boolean } {
  const keyOf = createKeys();
  return {
    verify: ({ publicKey, message, signature }) => {
      const key = keyOf(publicKey);
      if (key === undefined || !isCandidate(signature)) return false;
      try {
        return verify(null, message, key, signature);
      } catch {
        return false;
      }
    },
  };
}

/** `undefined` for a key that QV1 does not admit. */
function createKeys(): (publicKey: Uint8Array) => KeyObject | undefined {
  const keys = new Map<string, KeyObject | undefined>();
  return (publicKey) => {
    const name = Buffer.from(publicKey).toString('base64url');
    if (keys.has(name)) return keys.get(name);
    const oldest = keys.keys().next();
    if (keys.size >= MAX_KEYS && oldest.done !== true) keys.delete(oldest.value);
    const key = importKey(publicKey, name);
    keys.set(name, key);
    return key;
  };
}

function isCandidate(signature: Uint8Array): boolean {
  return signature.length === 64 && !isEqualBytes(signature.subarray(0, 32), IDENTITY_ENCODING);
}

function importKey(publicKey: Uint8Array, base64url: string): KeyObject | undefined {
  if (admitKey(publicKey) === undefined) return undefined;
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: base64url }, format: 'jwk' });
}

/** A verdict in every case: what OpenSSL cannot process is not a signature. On the thread pool. */
export function isSignatureOf(signed: {
  key: KeyObject;
  message: Uint8Array;
  signature: Uint8Array;
}): Promise<boolean> {
  return new Promise((resolve) => {
    verify(null, signed.message, signed.key, signed.signature, (error, isValid) =>
      resolve(error === null && isValid),
    );
  });
}
