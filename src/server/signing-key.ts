/**
 * A key that a service signs with, opened: from a PEM file that is read once, or as a program. What it
 * is used for (a log's checkpoints, a cosigner's times) is the caller's. Key bytes stay in here: no
 * message, log line or cause holds any.
 */
import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { constants, type FileHandle, open } from 'node:fs/promises';
import { RegistryError } from '../core/error.ts';
import type { CheckpointSigner } from '../registry/options.ts';
import { isExposed } from './file-privacy.ts';
import type { KeySource } from './key-source.ts';
import { openSigningProgram } from './signing-program.ts';

const MAX_PEM_BYTES = 64 * 1024;

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
  const privateKey = importKey(path, await readPem(path));
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  const isMlDsa = privateKey.asymmetricKeyType === 'ml-dsa-44';
  return {
    type: isMlDsa ? 'ml-dsa-44' : 'ed25519',
    // RFC 8410, RFC 9881: the key is the end of its SubjectPublicKeyInfo.
    publicKey: new Uint8Array(spki.subarray(isMlDsa ? -1312 : -32)),
    sign: (message) => signBytes(privateKey, message),
  };
}

/** Of an open handle, so that what is judged is what is read. */
async function readPem(path: string): Promise<string> {
  try {
    // Not blocking: a named pipe is to be refused, not waited for.
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    await assertPrivate(file, path);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_PEM_BYTES + 1));
    if (bytesRead > MAX_PEM_BYTES) throw noKey(path, `more than ${MAX_PEM_BYTES} bytes`);
    return buffer.toString('latin1', 0, bytesRead);
  } catch (cause) {
    if (cause instanceof RegistryError) throw cause;
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'an error';
    throw new RegistryError(
      'invalid_request',
      `expected a readable key at ${path}, got ${code}: make one with \`quorate keygen\`, or change the path, its owner or mode`,
      { cause },
    );
  }
}

async function assertPrivate(file: FileHandle, path: string): Promise<void> {
  const stat = await file.stat();
  if (!stat.isFile())
    throw new RegistryError(
      'invalid_request',
      `expected a regular file at ${path}, got something else: name the key file itself`,
    );
  const mode = (stat.mode & 0o777).toString(8).padStart(4, '0');
  if (isExposed(stat, process.getuid?.()))
    throw new RegistryError(
      'invalid_request',
      `expected a key that its owner alone may use at ${path}, got mode ${mode}: chmod 600 ${path}`,
    );
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
