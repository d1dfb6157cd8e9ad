/**
 * A snapshot file read from any stream: its header, then the database, hashed while it is written. Nothing
 * of the stream is believed: what is longer, shorter or other than the header says is refused when that shows.
 */
import { open } from 'node:fs/promises';
import { constants, createZstdDecompress, type ZstdOptions } from 'node:zlib';
import { RegistryError } from '../../core/error.ts';
import { formatHash, type Hash } from '../../core/hash.ts';
import { createHasher } from '../fast-hash/hasher.ts';
import {
  assertWanted,
  decodeHeader,
  MAX_HEADER_BYTES,
  type SnapshotHeader,
  snapshotId,
} from './header.ts';
import { storageFailure } from './storage-failure.ts';
import { throughZip } from './zip.ts';

export type Chunks = AsyncIterable<Uint8Array>;

export interface OpenedSnapshot {
  readonly id: Hash;
  readonly header: SnapshotHeader;
  /** Of the line, its end included. */
  readonly headerBytes: number;
  /** What follows the line; to be read once, or ended with `return`. */
  readonly body: SnapshotBody;
}

export interface SnapshotBody extends AsyncIterableIterator<Uint8Array> {
  /** Ends the source, whether it was read from or not. */
  return(): Promise<IteratorResult<Uint8Array>>;
}

export interface UnpackOptions {
  /** A file that is not there yet, which is not synced; `null`: nothing is written, all is checked. */
  readonly to: string | null;
  /** Bytes of the database. */
  readonly onProgress: (done: number, total: number) => void;
  readonly signal: AbortSignal;
}

/** 2^27: of what our own programs write, level and all, none asks for more; a hostile one asks for gigabytes. */
const MAX_WINDOW_LOG = 27;
const NEWLINE = 0x0a;

/**
 * Reads the header alone. `wanted`: the id or name of the one that was chosen, should one have been. Throws
 * `storage_damaged` (also for another one) or `storage_newer`, and what the stream throws.
 */
export async function openSnapshot(source: Chunks, wanted?: string): Promise<OpenedSnapshot> {
  const chunks = source[Symbol.asyncIterator]();
  try {
    const { line, rest } = await readLine(chunks);
    const said = { id: snapshotId(line), header: decodeHeader(line) };
    if (wanted !== undefined) assertWanted(wanted, said);
    return { ...said, headerBytes: line.length + 1, body: bodyOf(rest, chunks) };
  } catch (error) {
    await chunks.return?.();
    throw error;
  }
}

/** Throws `storage_damaged`, `read_only` (no space), `storage_failed`, or what the signal was aborted with. */
export async function unpackSnapshot(
  { header, body }: Pick<OpenedSnapshot, 'header' | 'body'>,
  { to, onProgress, signal }: UnpackOptions,
): Promise<void> {
  // Where the file cannot be made, or the signal has fired, nobody reads of it.
  await using _ = { [Symbol.asyncDispose]: async () => void (await body.return()) };
  await using file = to === null ? null : await open(to, 'wx', 0o600);
  const content = await unpackBody(body, {
    packedBytes: header.packedBytes,
    bytes: header.bytes,
    take: async (chunk) => void (await file?.writeFile(chunk)),
    onProgress,
    signal,
  });
  if (content !== header.content)
    throw damaged(`a database that hashes to ${header.content}`, content);
}

export interface UnpackBody extends Omit<UnpackOptions, 'to'> {
  /** Of the body. */
  readonly packedBytes: number;
  /** Of the database. */
  readonly bytes: number;
  /** Gets the database, piece by piece. */
  readonly take: (chunk: Uint8Array) => Promise<void>;
}

/** Answers what the database hashes to. Throws as `unpackSnapshot`, or what `take` throws. */
export async function unpackBody(
  body: Chunks,
  { packedBytes, bytes, take, onProgress, signal }: UnpackBody,
): Promise<Hash> {
  const hasher = createHasher();
  let done = 0;
  const takeAndHash = async (chunk: Uint8Array): Promise<void> => {
    done += chunk.length;
    if (done > bytes) throw damaged(`${bytes} bytes of database`, 'more');
    // Taken by the system while it is hashed here.
    const taken = take(chunk);
    hasher.update(chunk);
    await taken;
    onProgress(done, bytes);
  };
  const zip = (options: ZstdOptions) =>
    createZstdDecompress({
      ...options,
      rejectGarbageAfterEnd: true,
      params: { [constants.ZSTD_d_windowLogMax]: MAX_WINDOW_LOG },
    });
  try {
    await throughZip({ chunks: exactly(body, packedBytes), zip, take: takeAndHash, signal });
  } catch (cause) {
    throw signal.aborted ? signal.reason : unzipError(cause);
  }
  if (done !== bytes) throw damaged(`${bytes} bytes of database`, String(done));
  return formatHash(hasher.digest());
}

async function readLine(
  chunks: AsyncIterator<Uint8Array>,
): Promise<{ readonly line: Uint8Array; readonly rest: Uint8Array }> {
  const held: Uint8Array[] = [];
  for (let bytes = 0; ; ) {
    const { value: chunk, done } = await chunks.next();
    if (done === true) throw damaged('a header line', `${bytes} bytes without its end`);
    const end = chunk.indexOf(NEWLINE);
    held.push(end < 0 ? chunk : chunk.subarray(0, end));
    bytes += end < 0 ? chunk.length : end;
    if (bytes >= MAX_HEADER_BYTES)
      throw damaged(`a header line of at most ${MAX_HEADER_BYTES} bytes`, 'a longer one');
    if (end >= 0) return { line: Buffer.concat(held), rest: chunk.subarray(end + 1) };
  }
}

/** No generator: one that nobody has read from ends without its `finally`, and would leave the source open. */
function bodyOf(rest: Uint8Array, chunks: AsyncIterator<Uint8Array>): SnapshotBody {
  let first = rest.length > 0 ? rest : undefined;
  return {
    next: async () => {
      if (first === undefined) return await chunks.next();
      const value = first;
      first = undefined;
      return { value, done: false };
    },
    return: async () => {
      first = undefined;
      await chunks.return?.();
      return { value: undefined, done: true };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

async function* exactly(body: Chunks, expected: number): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > expected) throw damaged(`${expected} bytes after the header`, 'more');
    yield chunk;
  }
  if (bytes < expected)
    throw damaged(`${expected} bytes after the header`, `${bytes}: the end is missing`);
}

/** Of zlib: what it is given is no stream of its format, ends before that does, or goes on after it. */
const OF_ZSTD = /^(ZSTD_|Z_|ERR_TRAILING_JUNK)/;

function unzipError(cause: unknown): unknown {
  if (!(cause instanceof Error && 'code' in cause && OF_ZSTD.test(String(cause.code))))
    return storageFailure(cause, 'to read and write a snapshot');
  return new RegistryError(
    'storage_damaged',
    `expected a compressed database, got bytes that do not decompress (${cause.code}): ${AGAIN}`,
    { cause },
  );
}

const AGAIN =
  'it was damaged on its way or where it was kept: take another copy or another snapshot';

function damaged(expected: string, got: string): RegistryError {
  return new RegistryError(
    'storage_damaged',
    `expected a snapshot with ${expected}, got ${got}: ${AGAIN}`,
  );
}
