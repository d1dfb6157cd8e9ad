/**
 * A blob while it arrives: hashed and written piece by piece into a file without a name that anybody reads.
 * At most two batches are in memory: one being written, one being gathered.
 */
import { randomBytes } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { formatHash, type Hash, type Hasher } from '../../core/hash.ts';
import { createHasher } from '../fast-hash/hasher.ts';
import { giveBack } from '../give-back.ts';
import { syncDirectory } from '../sync-directory.ts';

const BATCH_BYTES = 512 * 1024;
/** Pieces may be a byte each, and each costs two hundred. */
const BATCH_PIECES = 1_024;

/** Told of what could not be closed or removed. */
export type OnLeft = (left: { readonly path: string; readonly cause: unknown }) => void;

export class IncomingFile implements AsyncDisposable {
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #onLeft: OnLeft;
  readonly #hasher: Hasher = createHasher();
  #batch: Uint8Array[] = [];
  #batchBytes = 0;
  /** Hashed, and being written. */
  #done: readonly Uint8Array[] = [];
  #writing: Promise<void> = Promise.resolve();
  #writtenBytes = 0;
  #isPlaced = false;

  private constructor(file: FileHandle, path: string, onLeft: OnLeft) {
    this.#file = file;
    this.#path = path;
    this.#onLeft = onLeft;
  }

  /** For this user alone. Throws what the file system throws, as everything here does but its clean-up. */
  static async create(directory: string, onLeft: OnLeft): Promise<IncomingFile> {
    const path = join(directory, `${randomBytes(16).toString('hex')}.tmp`);
    return new IncomingFile(await open(path, 'wx', 0o600), path, onLeft);
  }

  /** So many are in the file, durable or not. */
  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  /** Resolves when more may come. The piece is this file's from now on, and its memory is given back. */
  async add(piece: Uint8Array): Promise<void> {
    this.#batch.push(piece);
    this.#batchBytes += piece.length;
    if (this.#batchBytes >= BATCH_BYTES || this.#batch.length >= BATCH_PIECES) await this.#flush();
  }

  /** Everything is written, not yet durable. Answers its hash. */
  async end(): Promise<Hash> {
    await this.#flush();
    await this.#writing;
    return formatHash(this.#hasher.digest());
  }

  /** Durable when it resolves, under its name; a name that may not last is taken back. */
  async place(path: string): Promise<void> {
    await this.#file.sync();
    await rename(this.#path, path);
    this.#isPlaced = true;
    try {
      await syncDirectory(dirname(path));
    } catch (cause) {
      await this.#clean(path, rm(path, { force: true }));
      throw cause;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing.catch(() => undefined);
    await this.#clean(this.#path, this.#file.close());
    if (!this.#isPlaced) await this.#clean(this.#path, rm(this.#path, { force: true }));
  }

  /** Never rejects: whatever came before is what counts. */
  async #clean(path: string, done: Promise<void>): Promise<void> {
    await done.catch((cause: unknown) => this.#onLeft({ path, cause }));
  }

  /** A batch is hashed while it is being written. */
  async #flush(): Promise<void> {
    const batch = this.#batch;
    this.#batch = [];
    this.#batchBytes = 0;
    await this.#writing;
    for (const piece of this.#done) giveBack(piece);
    this.#writing = this.#write(batch);
    // Whoever adds the next batch, ends or disposes of it hears of it.
    this.#writing.catch(() => undefined);
    for (const piece of batch) this.#hasher.update(piece);
    this.#done = batch;
  }

  async #write(batch: readonly Uint8Array[]): Promise<void> {
    await writeAll(this.#file, batch);
    for (const { length } of batch) this.#writtenBytes += length;
  }
}

/** A file system may take a part of what it is given. */
export async function writeAll(
  file: Pick<FileHandle, 'writev'>,
  pieces: readonly Uint8Array[],
): Promise<void> {
  let rest = pieces.filter(({ length }) => length > 0);
  while (rest.length > 0) {
    const { bytesWritten } = await file.writev(rest);
    rest = after(rest, bytesWritten);
  }
}

function after(pieces: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let left = bytes;
  const at = pieces.findIndex(({ length }) => {
    if (length > left) return true;
    left -= length;
    return false;
  });
  const [partial, ...others] = at < 0 ? [] : pieces.slice(at);
  return partial === undefined ? [] : [partial.subarray(left), ...others];
}
