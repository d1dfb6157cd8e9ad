/**
 * A database written as a snapshot file: compressed, then read again from there, and hashed while it is held
 * against the database byte by byte. The header stands before what it is known from, so its place is kept free
 * and it is written last: until then the file is none.
 */
import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { constants, createZstdCompress, type ZstdOptions } from 'node:zlib';
import { RegistryError } from '../../core/error.ts';
import type { Hash } from '../../core/hash.ts';
import { encodeHeader, MAX_HEADER_BYTES, type SnapshotHeader, snapshotId } from './header.ts';
import { unpackBody } from './unpack.ts';
import { throughZip } from './zip.ts';

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
  // Two passes, of the database and of the file.
  const pass = (before: number) => (done: number) =>
    onProgress(Math.floor((before * bytes + done) / 2), bytes);
  const packedBytes = await compress({ from, file, begin, bytes, onProgress: pass(0) });
  const content = await readAgain({ from, to, begin, bytes, packedBytes, onProgress: pass(1) });
  const whole: SnapshotHeader = { ...draft, content, packedBytes };
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
  readonly onProgress: (done: number) => void;
}

/** Answers how many bytes it became. */
async function compress({ from, file, begin, bytes, onProgress }: Compressing): Promise<number> {
  let [done, at] = [0, begin];
  const read = async function* (): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunksOf(from, bytes)) {
      done += chunk.length;
      yield chunk;
      onProgress(done);
    }
  };
  const zip = (options: ZstdOptions) =>
    createZstdCompress({
      ...options,
      pledgedSrcSize: bytes,
      params: { [constants.ZSTD_c_compressionLevel]: LEVEL },
    });
  const take = async (chunk: Uint8Array): Promise<void> => {
    await writeAt(file, chunk, at);
    at += chunk.length;
  };
  await throughZip({ chunks: read(), zip, take });
  return at - begin;
}

interface ReadingAgain extends Omit<Compressing, 'file'> {
  readonly to: string;
  readonly packedBytes: number;
}

/** Answers the hash of what came out of the file, and was the database. Throws `storage_damaged`. */
async function readAgain({
  from,
  to,
  begin,
  bytes,
  packedBytes,
  onProgress,
}: ReadingAgain): Promise<Hash> {
  const expected = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  let at = 0;
  const body = createReadStream(to, { start: begin, highWaterMark: CHUNK_BYTES });
  return await unpackBody(body, {
    packedBytes,
    bytes,
    take: async (chunk) => {
      const { bytesRead } = await from.read(expected, 0, chunk.length, at);
      if (!expected.subarray(0, bytesRead).equals(chunk))
        throw new RegistryError(
          'storage_damaged',
          `expected the database at byte ${at} as it went into ${to}, got another: the disk or the memory is failing`,
        );
      at += chunk.length;
    },
    onProgress,
    signal: new AbortController().signal,
  });
}

/** Each in memory of its own, which is given back when it was compressed. */
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
