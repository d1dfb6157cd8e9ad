/**
 * A blob into a file: beside it first, as `FILE.part`, which a later run goes on with; under its name only
 * when all of it hashes to its address.
 */
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import { cleanedUp, errorCode, firstError, RegistryError } from '../core/error.ts';
import { formatHash, type Hash, type Hasher } from '../core/hash.ts';
import { createHasher } from '../server/fast-hash/hasher.ts';
import { giveBack } from '../server/give-back.ts';
import { type BlobTarget, receiveBlob } from './blob-transfer.ts';
import { fileError } from './files.ts';

export interface BlobFileOptions {
  readonly address: Hash;
  readonly path: string;
  readonly onProgress: (doneBytes: number, totalBytes: number) => void;
}

/** How often a transfer that broke off is taken up again when nothing came of it. */
const MAX_ATTEMPTS = 4;
const PIECE_BYTES = 512 * 1024;

/** Answers its bytes. Throws `hash_mismatch` (what came is another blob: it is thrown away) and what `receiveBlob` throws. */
export async function fetchBlobFile(target: BlobTarget, options: BlobFileOptions): Promise<number> {
  const part = `${options.path}.part`;
  try {
    await using file = await open(part, 'a+');
    const bytes = await fetchAll(target, options, file);
    await file.sync();
    await rename(part, options.path);
    return bytes;
  } catch (cause) {
    if (errorCode(cause) === 'hash_mismatch')
      throw await cleanedUp(cause, () => rm(part, { force: true }));
    const both = await cleanedUp(cause, () => removeEmpty(part));
    const first = firstError(both);
    if (first instanceof Error && 'syscall' in first) throw fileError(`to write ${part}`, first);
    throw both;
  }
}

/** Of a blob of which nothing came there is nothing to go on with. */
async function removeEmpty(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found?.size === 0) await rm(path, { force: true });
}

async function fetchAll(
  target: BlobTarget,
  options: BlobFileOptions,
  file: FileHandle,
): Promise<number> {
  let { hasher, bytes } = await hashBegun(file);
  const begun = bytes;
  if (begun > 0 && formatHash(hasher.digest()) === options.address) return bytes;
  for (let attempt = 1; ; attempt++) {
    const before = bytes;
    try {
      ({ hasher, bytes } = await fetchRest(target, options, { file, hasher, bytes }));
      break;
    } catch (error) {
      const isGone = error instanceof RegistryError && error.code === 'range_not_satisfiable';
      const isBroken = error instanceof RegistryError && error.code === 'unavailable';
      if ((!isGone && !isBroken) || attempt === MAX_ATTEMPTS) throw error;
      // What is there is no beginning of the blob, or more than all of it.
      if (isGone) await file.truncate(0);
      ({ hasher, bytes } = await hashBegun(file));
      if (bytes > before) attempt = 0;
    }
  }
  const got = formatHash(hasher.digest());
  if (got === options.address) return bytes;
  if (begun === 0) throw mismatch(options.address, got);
  // What an earlier run had left may have been another's: once more, from the beginning.
  await file.truncate(0);
  return fetchAll(target, options, file);
}

interface Begun {
  readonly hasher: Hasher;
  readonly bytes: number;
}

async function fetchRest(
  target: BlobTarget,
  { address, onProgress }: BlobFileOptions,
  { file, ...begun }: Begun & { readonly file: FileHandle },
): Promise<Begun> {
  const received = await receiveBlob(target, { address, from: begun.bytes });
  let { hasher, bytes } = begun;
  if (!received.isRest) {
    await file.truncate(0);
    hasher = createHasher();
    bytes = 0;
  }
  for await (const piece of received.pieces) {
    const writing = file.appendFile(piece);
    hasher.update(piece);
    await writing;
    bytes += piece.length;
    giveBack(piece);
    onProgress(bytes, received.bytes);
  }
  if (bytes === received.bytes) return { hasher, bytes };
  throw new RegistryError(
    'unavailable',
    `expected ${received.bytes} bytes of ${address}, got ${bytes}`,
  );
}

async function hashBegun(file: FileHandle): Promise<Begun> {
  const hasher = createHasher();
  const piece = new Uint8Array(PIECE_BYTES);
  for (let bytes = 0; ; ) {
    const { bytesRead } = await file.read(piece, 0, PIECE_BYTES, bytes);
    if (bytesRead === 0) return { hasher, bytes };
    hasher.update(piece.subarray(0, bytesRead));
    bytes += bytesRead;
  }
}

export function mismatch(expected: Hash, got: Hash): RegistryError {
  return new RegistryError(
    'hash_mismatch',
    `expected the bytes of ${expected}, got those of ${got}`,
    {
      details: { expected, got },
    },
  );
}
