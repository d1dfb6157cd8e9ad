/**
 * A key that a service signs with, opened: from a PEM file that is read once, or as a program. What it
 * is used for (a log's checkpoints, a cosigner's times) is the caller's. Key bytes stay in here: no
 * message, log line or cause holds any.
 */
import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { RegistryError } from '../core/error.ts';
import type { CheckpointSigner } from '../registry/options.ts';
import type { KeySource } from './key-source.ts';
import { readSmallFile } from './private-file.ts';
import { openSigningProgram } from './signing-program.ts';

const KEY_FILE = {
  what: 'a private key',
  isPrivate: true,
  remedy: 'make one with `quorate keygen`, or change the path, its owner or mode',
};

/** Throws `invalid_request`, naming the source and the remedy. */
export function openSigningKey(source: KeySource): Promise<CheckpointSigner> {
  return 'file' in source ? openKeyFile(source.file) : openSigningProgram(source.program);
}

/** `undefined` when there is no such file; throws as `openSigningKey` for any other reason. */
export async function openKeyFileIfAny(path: string): Promise<CheckpointSigner | undefined> {
  try {
    return await openKeyFile(path);
  } catch (error) {
    const cause = error instanceof RegistryError ? error.cause : undefined;
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
    throw error;
  }
}

async function openKeyFile(path: string): Promise<CheckpointSigner> {
  const privateKey = importKey(path, await readSmallFile({ path, ...KEY_FILE }));
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  const isMlDsa = privateKey.asymmetricKeyType === 'ml-dsa-44';
  return {
    type: isMlDsa ? 'ml-dsa-44' : 'ed25519',
    // RFC 8410, RFC 9881: the key is the end of its SubjectPublicKeyInfo.
    publicKey: new Uint8Array(spki.subarray(isMlDsa ? -1312 : -32)),
    sign: (message) => signBytes(privateKey, message),
  };
}

/** OpenSSL's own error is left out: what it quotes is not known. */
function importKey(path: string, pem: string): KeyObject {
  if (pem.includes('BEGIN ENCRYPTED PRIVATE KEY'))
    throw noKey(path, 'an encrypted one: a service has nobody to ask for the passphrase');
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: pem, format: 'pem' });
  } catch {
    throw noKey(
      path,
      pem.includes('PRIVATE KEY') ? 'one that this Node.js cannot read' : 'something else',
    );
  }
  const type = key.asymmetricKeyType;
  if (type !== 'ed25519' && type !== 'ml-dsa-44') throw noKey(path, `${type}`);
  return key;
}

function noKey(path: string, got: string): RegistryError {
  return new RegistryError(
    'invalid_request',
    `expected a pkcs8 pem key (ed25519 or ml-dsa-44, not encrypted) at ${path}, got ${got}: make one with \`quorate keygen\``,
  );
}

/** On the thread pool. */
function signBytes(privateKey: KeyObject, message: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    sign(null, message, privateKey, (error, signature) =>
      error === null ? resolve(new Uint8Array(signature)) : reject(error),
    );
  });
}
