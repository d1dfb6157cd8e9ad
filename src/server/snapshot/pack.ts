/**
 * A database written as a snapshot file: compressed and hashed in one pass over it. The header stands before
 * what it is known from, so its place is kept free and it is written last: until then the file is none.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { constants, createZstdCompress } from 'node:zlib';
import { RegistryError } from '../../core/error.ts';
import { formatHash, type Hash } from '../../core/hash.ts';
import { createHasher } from '../fast-hash/hasher.ts';
import { encodeHeader, MAX_HEADER_BYTES, type SnapshotHeader, snapshotId } from './header.ts';

export interface PackOptions {
  /** A database that nobody writes to. */
  readonly database: string;
  /** A file that is not there yet. */
  readonly to: string;
  readonly header: Omit<SnapshotHeader, 'bytes' | 'content' | 'packedBytes'>;
  /** Bytes of the database. */
  readonly onProgress: (done: number, total: number) => void;
}

export interface Packed {
  readonly id: Hash;
  readonly header: SnapshotHeader;
}

/** Measured on databases of registries: higher levels take more time than they save space. */
const LEVEL = 1;
const CHUNK_BYTES = 1024 * 1024;
const NOT_YET: Hash = `b3:${'0'.repeat(64)}`;

/** The file's bytes are durable when it resolves; its name is the caller's matter. Throws what the file system throws. */
export async function packDatabase({
  database,
  to,
  header,
  onProgress,
}: PackOptions): Promise<Packed> {
  await using from = await open(database, 'r');
  const { size: bytes } = await from.stat();
  await using file = await open(to, 'wx', 0o600);
  const draft = { ...header, bytes, content: NOT_YET, packedBytes: 0 };
  const begin = encodeHeader(draft).length;
  if (begin > MAX_HEADER_BYTES)
    throw new RegistryError(
      'too_large',
      `expected a header of at most ${MAX_HEADER_BYTES} bytes, got ${begin}`,
    );
  const packed = await compress({ from, file, begin, bytes, onProgress });
  const whole: SnapshotHeader = { ...draft, ...packed };
  const line = encodeHeader(whole);
  await writeAt(file, line, 0);
  await file.sync();
  return { id: snapshotId(line), header: whole };
}

interface Compressing {
  readonly from: FileHandle;
  readonly file: FileHandle;
  /** Where in `file`. */
  readonly begin: number;
  /** Of the database. */
  readonly bytes: number;
  readonly onProgress: PackOptions['onProgress'];
}

async function compress({
  from,
  file,
  begin,
  bytes,
  onProgress,
}: Compressing): Promise<Pick<SnapshotHeader, 'content' | 'packedBytes'>> {
  const hasher = createHasher();
  let [done, at] = [0, begin];
  const read = async function* (): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunksOf(from, bytes)) {
      hasher.update(chunk);
      yield chunk;
      done += chunk.length;
      onProgress(done, bytes);
    }
  };
  const write = async (chunks: AsyncIterable<Uint8Array>): Promise<void> => {
    for await (const chunk of chunks) {
      await writeAt(file, chunk, at);
      at += chunk.length;
    }
  };
  const zip = createZstdCompress({
    chunkSize: CHUNK_BYTES,
    pledgedSrcSize: bytes,
    params: { [constants.ZSTD_c_compressionLevel]: LEVEL },
  });
  await pipeline(read, zip, write);
  return { content: formatHash(hasher.digest()), packedBytes: at - begin };
}

/** Each in memory of its own: it is compressed by another thread while the next is read. */
async function* chunksOf(file: FileHandle, bytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes; ) {
    const length = Math.min(CHUNK_BYTES, bytes - at);
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafeSlow(length), 0, length, at);
    if (bytesRead === 0)
      throw new RegistryError(
        'storage_failed',
        `expected ${bytes} bytes of the copy, got ${at}: somebody cut it short`,
      );
    yield buffer.subarray(0, bytesRead);
    at += bytesRead;
  }
}

async function writeAt(file: FileHandle, chunk: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < chunk.length; )
    done += (await file.write(chunk, done, chunk.length - done, at + done)).bytesWritten;
}
