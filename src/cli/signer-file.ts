/** What is public of a signer, in the file that `keygen` writes beside the key: read strictly. */
import { canonicalText } from '../core/canonical.ts';
import { Check, SIGNER_ID } from '../core/check.ts';
import { RegistryError } from '../core/error.ts';
import type { Signer } from '../core/governance.ts';
import { parseVerifierKey } from '../core/vkey.ts';
import { readInput, readJson } from './files.ts';
import type { Io } from './io.ts';

/** `alice.pem` to `alice.pub.json`. */
export function signerPath(keyPath: string): string {
  return `${keyPath.replace(/\.pem$/, '')}.pub.json`;
}

/** `log.pem` to `log.vkey`. */
export function verifierKeyPath(keyPath: string): string {
  return `${keyPath.replace(/\.pem$/, '')}.vkey`;
}

export function encodeSigner(signer: Signer): string {
  return `${canonicalText(signer)}\n`;
}

/** Throws `malformed` or `invalid_governance`, naming the file. */
export async function readSigner(io: Pick<Io, 'stdin'>, path: string): Promise<Signer> {
  const check = new Check('invalid_governance');
  const value = await readJson(io, path);
  try {
    const object = check.members(value, '', ['algo', 'public_key', 'signer_id']);
    return {
      signer_id: check.text(object.signer_id, '/signer_id', SIGNER_ID),
      algo: check.literal(object.algo, '/algo', 'ed25519'),
      public_key: check.base64(object.public_key, '/public_key', 32),
    };
  } catch (cause) {
    if (!(cause instanceof RegistryError)) throw cause;
    throw new RegistryError(cause.code, `${path}: ${cause.message}`, {
      cause,
      details: cause.details,
    });
  }
}

/** `given`: a C2SP verifier key, or a file that holds one. */
export async function readVerifierKey(io: Pick<Io, 'stdin'>, given: string): Promise<string> {
  const key = parseVerifierKey(given) === undefined ? (await readInput(io, given)).trim() : given;
  if (parseVerifierKey(key) === undefined)
    throw new RegistryError(
      'invalid_governance',
      `expected a c2sp ed25519 verifier key in ${given}, got none`,
    );
  return key;
}
