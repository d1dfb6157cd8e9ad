/** The file of the ballast: bytes that mean nothing and take room. When there is to be one is `ballast.ts`. */
import { randomFill } from 'node:crypto';
import { constants, type FileHandle, lstat, open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { RegistryError } from '../../core/error.ts';
import { syncDirectory } from '../sync-directory.ts';

const fillRandomly = promisify<Uint8Array, Uint8Array>(randomFill);

/** A commit beside it waits for the disk no longer than such a chunk takes. */
const CHUNK_BYTES = 1024 * 1024;

// A link would have its target emptied, and a named pipe would have to be waited for.
const OPEN = constants.O_WRONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** `undefined`: none is there. Throws for what is no regular file, which is not ours. */
export async function ballastSize(path: string): Promise<number | undefined> {
  const stat = await lstat(path).catch((cause: unknown) => {
    if (codeOf(cause) === 'ENOENT') return undefined;
    throw cause;
  });
  if (stat !== undefined && !stat.isFile())
    throw new RegistryError(
      'storage_failed',
      'expected a regular file as the ballast, got something else of this name: move it away',
    );
  return stat?.size;
}

export interface Filling {
  readonly bytes: number;
  /** Bytes beside them that must find room too, and are given back. */
  readonly spareBytes: number;
  readonly signal: AbortSignal;
}

/**
 * Takes the room anew and durably, in place of whatever the file held: a crash leaves a part. Throws what
 * the file system throws, and when the signal aborts; then the file is empty, unless that failed too.
 */
export async function fillBallast(path: string, filling: Filling): Promise<void> {
  await using file = await open(path, OPEN | constants.O_CREAT, 0o600);
  try {
    await writeRandom(file, filling);
    await file.truncate(filling.bytes);
    await file.sync();
  } catch (cause) {
    await file.truncate(0);
    throw cause;
  }
  await syncDirectory(dirname(path));
}

/** Leaves so many bytes of it. The file stays, also an empty one: it tells the next start that there was a ballast. */
export async function shortenBallast(path: string, bytes: number): Promise<void> {
  await using file = await open(path, OPEN);
  await file.truncate(bytes);
  // Some file systems give blocks back only with what is synced.
  await file.sync();
}

export async function removeBallast(path: string): Promise<void> {
  await rm(path, { force: true });
}

/** Random, so that no file system saves the room by packing it; synced as it grows, so that no commit waits for all of it. */
async function writeRandom(file: FileHandle, filling: Filling): Promise<void> {
  const { bytes, spareBytes, signal } = filling;
  const chunk = new Uint8Array(CHUNK_BYTES);
  for (let left = bytes + spareBytes; left > 0; left -= CHUNK_BYTES) {
    signal.throwIfAborted();
    await fillRandomly(chunk);
    await file.writeFile(chunk.subarray(0, left));
    await file.datasync();
  }
}

function codeOf(cause: unknown): string {
  return cause instanceof Error && 'code' in cause ? String(cause.code) : 'an error';
}
