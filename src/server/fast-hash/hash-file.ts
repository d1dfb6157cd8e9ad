/** The hash of a file, of which never more than two pieces are in memory. */
import { type FileHandle, open } from 'node:fs/promises';
import { formatHash, type Hash } from '../../core/hash.ts';
import { createHasher } from './hasher.ts';

export interface HashedFile {
  readonly hash: Hash;
  readonly bytes: number;
}

export interface HashFileOptions {
  /** Told after each piece. */
  readonly onProgress?: (doneBytes: number) => void;
  /** Its reason is thrown. */
  readonly signal?: AbortSignal;
}

const PIECE_BYTES = 512 * 1024;

/** `file`: a path, or an open file, which is read from its beginning and left open. Throws what reading throws. */
export async function hashFile(
  file: string | FileHandle,
  options: HashFileOptions = {},
): Promise<HashedFile> {
  if (typeof file !== 'string') return hashOpen(file, options);
  await using opened = await open(file);
  return await hashOpen(opened, options);
}

/** One piece is read while the one before is hashed. */
async function hashOpen(
  file: FileHandle,
  { onProgress, signal }: HashFileOptions,
): Promise<HashedFile> {
  const hasher = createHasher();
  let [piece, next] = [new Uint8Array(PIECE_BYTES), new Uint8Array(PIECE_BYTES)];
  let bytes = 0;
  let reading = file.read(piece, 0, PIECE_BYTES, 0);
  for (;;) {
    const { bytesRead } = await reading;
    if (bytesRead === 0) return { hash: formatHash(hasher.digest()), bytes };
    signal?.throwIfAborted();
    bytes += bytesRead;
    reading = file.read(next, 0, PIECE_BYTES, bytes);
    hasher.update(piece.subarray(0, bytesRead));
    [piece, next] = [next, piece];
    onProgress?.(bytes);
  }
}
