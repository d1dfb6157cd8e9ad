/**
 * Keys on disk, Ed25519 but for a log's second one: PKCS8 PEM, encrypted when there is a passphrase, readable to their owner only
 * and never overwritten; and what is public of them in a second file beside.
 */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { type FileHandle, open, readFile, rm, stat } from 'node:fs/promises';
import { cleanedUp, RegistryError } from '../core/error.ts';
import { fileError } from './files.ts';

/** `publicKey`: 32 bytes, of `ml-dsa-44` 1,312. */
export interface KeyPair {
  readonly privateKey: KeyObject;
  readonly publicKey: Uint8Array;
}

const KEY_BYTES = { ed25519: 32, 'ml-dsa-44': 1312 } as const;

export type KeyAlgorithm = keyof typeof KEY_BYTES;

export function isKeyAlgorithm(name: string): name is KeyAlgorithm {
  return Object.hasOwn(KEY_BYTES, name);
}

export interface NewKeyFile {
  readonly path: string;
  /** Default `ed25519`. */
  readonly algorithm?: KeyAlgorithm;
  /** `undefined`: the key is not encrypted. */
  readonly passphrase: string | undefined;
  /** The file beside it, made from the public key. */
  readonly publicPath: string;
  readonly publicText: (publicKey: Uint8Array) => string;
}

/** Both files or none. Throws `invalid_request` when one of them exists, or this Node lacks the algorithm. */
export async function createKeyFile(file: NewKeyFile): Promise<Uint8Array> {
  const { privateKey, publicKey } = generatePair(file.algorithm ?? 'ed25519');
  const encryption =
    file.passphrase === undefined ? {} : { cipher: 'aes-256-cbc', passphrase: file.passphrase };
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem', ...encryption });
  await createFile(file.path, pem.toString(), 0o600);
  try {
    await createFile(file.publicPath, file.publicText(publicKey), 0o644);
  } catch (error) {
    throw await cleanedUp(error, () => rm(file.path));
  }
  return publicKey;
}

/** `askPassphrase` is called only for an encrypted key. Throws `invalid_request`. */
export async function readKeyFile(
  path: string,
  askPassphrase: () => Promise<string>,
): Promise<KeyPair> {
  const pem = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw fileError(`a readable key at ${path}`, cause);
  });
  if (!pem.includes('BEGIN ENCRYPTED PRIVATE KEY')) return pairOf(importKey(path, pem));
  return pairOf(importKey(path, pem, await askPassphrase()));
}

/** Whether somebody beside the owner may read or write the file. What is no file, such as a pipe, is closed. */
export async function isOpenToOthers(path: string): Promise<boolean> {
  const found = await stat(path);
  return found.isFile() && (found.mode & 0o077) !== 0;
}

export function generatePair(algorithm: KeyAlgorithm): KeyPair {
  // Two calls, for the types know one algorithm each.
  if (algorithm === 'ed25519') return pairOf(generateKeyPairSync('ed25519').privateKey);
  try {
    return pairOf(generateKeyPairSync('ml-dsa-44').privateKey);
  } catch (cause) {
    throw new RegistryError(
      'invalid_request',
      `expected a Node.js with ML-DSA-44, got ${process.version} without`,
      { cause },
    );
  }
}

function importKey(path: string, pem: string, passphrase?: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey({
      key: pem,
      format: 'pem',
      ...(passphrase !== undefined && { passphrase }),
    });
  } catch (cause) {
    const expected =
      passphrase === undefined ? `a pkcs8 pem key at ${path}` : `the passphrase of ${path}`;
    throw new RegistryError('invalid_request', `expected ${expected}, got another`, { cause });
  }
  if (key.asymmetricKeyType !== 'ed25519')
    throw new RegistryError(
      'invalid_request',
      `expected an ed25519 key at ${path}, got ${key.asymmetricKeyType}`,
    );
  return key;
}

function pairOf(privateKey: KeyObject): KeyPair {
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  const bytes = KEY_BYTES[privateKey.asymmetricKeyType === 'ml-dsa-44' ? 'ml-dsa-44' : 'ed25519'];
  // RFC 8410, RFC 9881: the key is the end of its SubjectPublicKeyInfo.
  return { privateKey, publicKey: new Uint8Array(spki.subarray(-bytes)) };
}

/** O_EXCL: a file that is there stays as it is. Durable when it resolves, for it may be the only copy; else none is left. */
async function createFile(path: string, text: string, mode: number): Promise<void> {
  const file = await open(path, 'wx', mode).catch((cause: unknown) => {
    throw fileError(`to create ${path}, which must not exist yet`, cause);
  });
  try {
    await writeWhole(file, text);
  } catch (cause) {
    throw await cleanedUp(fileError(`to write ${path}`, cause), () => rm(path));
  }
}

async function writeWhole(handle: FileHandle, text: string): Promise<void> {
  await using file = handle;
  await file.writeFile(text);
  await file.sync();
}
