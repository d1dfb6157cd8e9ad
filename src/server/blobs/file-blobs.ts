/**
 * Blobs as files. What is under a name was whole, hashed and durable when it got it, and a name never means
 * other bytes; who removes them is `collect`.
 */
import { constants, type Stats } from 'node:fs';
import { open, readdir, rename, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode, excerpt, firstError, RegistryError } from '../../core/error.ts';
import { formatHash, type Hash } from '../../core/hash.ts';
import type { BlobStore, BlobUpload, OpenBlob } from '../../http/blob-store.ts';
import type { Log } from '../../telemetry/log.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import { hashFile } from '../fast-hash/hash-file.ts';
import { createHasher } from '../fast-hash/hasher.ts';
import { giveBack } from '../give-back.ts';
import { BlobDisk } from './blob-disk.ts';
import { type BlobPaths, blobAddress, blobName, blobPath } from './blob-paths.ts';
import { BlobRoom } from './blob-room.ts';
import { BlobTurns } from './blob-turns.ts';
import { IncomingFile } from './incoming-file.ts';
import { StoredBlob } from './stored-blob.ts';

export interface BlobLimits {
  readonly maxBlobBytes: number;
  readonly quotaBytes: number;
  /** How long a blob that nothing names is kept after it was put last. */
  readonly graceMs: number;
  /** What uploads leave free on the disk. */
  readonly minFreeBytes: number;
}

export interface FileBlobsParts {
  readonly paths: BlobPaths;
  /** Asked at every use: a reload may change them. */
  readonly limits: () => BlobLimits;
  readonly metrics: Pick<Metrics, 'blobs' | 'blobPut' | 'blobsCollected' | 'blobDamaged'>;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Each holds a file, and a megabyte of what is arriving. */
const MAX_UPLOADS = 32;

interface Put {
  readonly isNew: boolean;
  readonly bytes: number;
}

export class FileBlobs implements BlobStore {
  readonly #turns = new BlobTurns();
  readonly #room: BlobRoom;
  readonly #disk: BlobDisk;
  readonly #parts: FileBlobsParts;
  #uploads = 0;
  #counted: Promise<void> | undefined;

  constructor(parts: FileBlobsParts) {
    this.#parts = parts;
    const { limits, metrics, paths } = parts;
    this.#room = new BlobRoom({ quota: () => limits().quotaBytes, metrics });
    this.#disk = new BlobDisk({ path: paths.root, minFreeBytes: () => limits().minFreeBytes });
  }

  /** Counts what is there, while it is read already: what is put waits for it. */
  count(): Promise<void> {
    this.#counted ??= this.#count();
    return this.#counted;
  }

  async open(address: Hash): Promise<OpenBlob | undefined> {
    const path = blobPath(this.#parts.paths, address);
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW).catch((cause) => {
      if (codeOf(cause) === 'ENOENT') return undefined;
      throw failure(cause, 'to read a blob');
    });
    if (file === undefined) return undefined;
    const found = await file.stat();
    if (!found.isFile()) {
      await file.close();
      throw new RegistryError(
        'storage_failed',
        `expected a file for ${address}, got something else`,
      );
    }
    const onFailure = (cause: unknown) => void this.#failed(address, cause);
    return new StoredBlob({ address, bytes: found.size, file, onFailure });
  }

  async put(address: Hash, upload: BlobUpload): Promise<Put> {
    const { metrics } = this.#parts;
    try {
      const done = await this.#put(address, upload);
      metrics.blobPut(done.isNew ? 'stored' : 'known');
      return done;
    } catch (cause) {
      const error = failure(cause, 'to keep a blob');
      const isOurs = ['internal', 'storage_failed'].includes(errorCode(error));
      metrics.blobPut(isOurs ? 'failed' : 'refused');
      throw error;
    }
  }

  /**
   * Answers its bytes; `undefined`: it stays, because it is being put, was put since `beforeMs`, or is named:
   * that is asked last, and nothing is awaited after it.
   */
  remove(
    address: Hash,
    { beforeMs, isNamed }: { readonly beforeMs: number; readonly isNamed: () => boolean },
  ): Promise<number | undefined> {
    return this.#turns.run(address, async () => {
      const path = blobPath(this.#parts.paths, address);
      const found = await statFile(path);
      if (found === undefined || found.mtimeMs >= beforeMs) return undefined;
      if (this.#turns.isUploading(address) || isNamed()) return undefined;
      await unlink(path);
      this.#room.count(-1, found.size);
      return found.size;
    });
  }

  async #put(address: Hash, upload: BlobUpload): Promise<Put> {
    const { maxBlobBytes } = this.#parts.limits();
    assertSize(upload.declaredBytes ?? 0, maxBlobBytes);
    if (this.#uploads >= MAX_UPLOADS)
      throw new RegistryError(
        'overloaded',
        `expected at most ${MAX_UPLOADS} blobs to be put at once, got one more: repeat it later`,
        { details: { reason: 'uploads', limit: MAX_UPLOADS } },
      );
    this.#uploads++;
    try {
      await this.count();
      // Held before it is looked for: what is seen here is not collected before this has ended.
      using _ = this.#turns.uploading(address);
      const known = await this.#turns.run(address, () => this.#find(address));
      // What has another length than is announced is damaged, or the announcement is no blob's: storing finds out.
      const isKnown = known !== undefined && (upload.declaredBytes ?? known.size) === known.size;
      return isKnown ? await this.#renew(address, upload) : await this.#store(address, upload);
    } finally {
      this.#uploads--;
    }
  }

  /** Of one that is there, what comes is only hashed: who sends something else is told so. */
  async #renew(address: Hash, upload: BlobUpload): Promise<Put> {
    const hasher = createHasher();
    let bytes = 0;
    for await (const piece of this.#bounded(upload)) {
      bytes += piece.length;
      hasher.update(piece);
      giveBack(piece);
    }
    assertHash(formatHash(hasher.digest()), address);
    await this.#turns.run(address, () => this.#makeYoung(address, bytes));
    return { isNew: false, bytes };
  }

  /** In its turn: who removes it looks before or after all of this. */
  async #makeYoung(address: Hash, bytes: number): Promise<void> {
    await using file = await open(blobPath(this.#parts.paths, address), 'r+');
    if ((await file.stat()).size !== bytes) {
      await this.#setAside(address);
      throw new RegistryError(
        'storage_damaged',
        `expected ${bytes} bytes kept of ${address}, got others: put it again`,
      );
    }
    const now = new Date(this.#parts.now());
    await file.utimes(now, now);
    await file.sync();
  }

  async #store(address: Hash, upload: BlobUpload): Promise<Put> {
    const { paths, log } = this.#parts;
    using promised = this.#room.promise();
    promised.atLeast(upload.declaredBytes ?? 0);
    using disk = await this.#disk.share(upload.declaredBytes ?? 0);
    await using incoming = await IncomingFile.create(paths.incoming, (left) =>
      log.error('what is left of a blob that was put cannot be removed', left),
    );
    let bytes = 0;
    for await (const piece of this.#bounded(upload)) {
      bytes += piece.length;
      promised.atLeast(bytes);
      await disk.atLeast(bytes);
      await incoming.add(piece);
      disk.wrote(incoming.writtenBytes);
    }
    assertHash(await incoming.end(), address);
    const isNew = await this.#turns.run(address, async () => {
      const found = await this.#find(address);
      // Of two who sent the same, one was first.
      if (found?.size === bytes) return false;
      if (found !== undefined) await this.#setAside(address);
      await incoming.place(blobPath(paths, address));
      promised.keep(bytes);
      return true;
    });
    return { isNew, bytes };
  }

  /** `undefined`: it is not there. */
  #find(address: Hash): Promise<Stats | undefined> {
    return statFile(blobPath(this.#parts.paths, address));
  }

  async *#bounded({ parts, declaredBytes }: BlobUpload): AsyncGenerator<Uint8Array, undefined> {
    const { maxBlobBytes } = this.#parts.limits();
    let bytes = 0;
    for await (const piece of parts) {
      bytes += piece.length;
      assertSize(bytes, maxBlobBytes);
      yield piece;
    }
    if (declaredBytes !== undefined && declaredBytes !== bytes)
      throw new RegistryError(
        'malformed',
        `expected the ${declaredBytes} bytes that were announced, got ${bytes}`,
      );
  }

  async #count(): Promise<void> {
    const { paths, log } = this.#parts;
    for (const shelf of paths.shelves)
      for (const name of await readdir(shelf)) {
        const found = await statFile(join(shelf, name));
        if (blobAddress(name) === undefined)
          log.warn('no blob has this name', { path: join(shelf, name) });
        else if (found !== undefined) this.#room.count(1, found.size);
      }
  }

  /** Never rejects. What a disk has changed is moved aside, so that it can be put again. */
  async #failed(address: Hash, cause: unknown): Promise<void> {
    const { log } = this.#parts;
    if (!(cause instanceof RegistryError && cause.code === 'storage_damaged')) {
      log.error('a blob cannot be read', { blob: address, cause });
      return;
    }
    try {
      await this.#turns.run(address, () => this.#setAside(address));
    } catch (error) {
      log.error('a blob was changed on the disk', { blob: address, cause: error });
    }
  }

  /** In its turn, and only when a second look says the same. */
  async #setAside(address: Hash): Promise<void> {
    const { log, metrics, paths } = this.#parts;
    // What was not counted yet is not to be taken off.
    await this.count();
    const path = blobPath(paths, address);
    const found = await statFile(path);
    if (found === undefined || (await hashFile(path)).hash === address) return;
    const aside = join(paths.damaged, blobName(address));
    await rename(path, aside);
    this.#room.count(-1, found.size);
    metrics.blobDamaged();
    log.error('a blob was changed on the disk: it was moved aside, put it again', {
      blob: address,
      path: aside,
    });
  }
}

async function statFile(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return undefined;
    throw cause;
  }
}

function assertSize(bytes: number, maxBytes: number): void {
  if (bytes > maxBytes)
    throw new RegistryError(
      'too_large',
      `expected a blob of at most ${maxBytes} bytes, got ${bytes}`,
      { details: { max_bytes: maxBytes } },
    );
}

function assertHash(got: Hash, expected: Hash): void {
  if (got !== expected)
    throw new RegistryError('hash_mismatch', `expected bytes of ${expected}, got those of ${got}`, {
      details: { expected, got },
    });
}

/** What a file system says, in words an operator can act on. */
function failure(cause: unknown, what: string): unknown {
  const first = firstError(cause);
  if (first instanceof RegistryError || !(first instanceof Error && 'code' in first)) return cause;
  const code = codeOf(first);
  const isFull = ['ENOSPC', 'EDQUOT', 'EROFS'].includes(code);
  return new RegistryError(
    isFull ? 'read_only' : 'storage_failed',
    `expected ${what}, got ${excerpt(code)}`,
    { cause, ...(isFull && { details: { reason: 'disk' } }) },
  );
}

function codeOf(cause: unknown): string {
  return cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
}
