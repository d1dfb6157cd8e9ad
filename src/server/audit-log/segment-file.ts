/**
 * One file of an audit log, open for appending. What was appended survives the process at once and a
 * power failure after `sync`; a failed append is taken back, and what a failed sync may have lost is written again.
 */
import { constants, fstatSync, statSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { cleanedUp, RegistryError } from '../../core/error.ts';

const { O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;
/** Appended and not yet synced; held in memory, to be written again. */
const MAX_UNSYNCED_BYTES = 1024 * 1024;

export class SegmentFile {
  readonly path: string;
  readonly #handle: FileHandle;
  #bytes: number;
  #syncedBytes: number;
  #unsynced: Uint8Array[] = [];
  #syncing: Promise<void> | undefined;
  #isTorn = false;
  /** Of a failed sync, until what it may have lost is written again. */
  #unsafe: { readonly error: unknown } | undefined;

  private constructor(path: string, handle: FileHandle, bytes: number) {
    this.path = path;
    this.#handle = handle;
    this.#bytes = bytes;
    this.#syncedBytes = bytes;
  }

  /** A new file for this user alone, never one that is there, nor through a link. */
  static async create(path: string): Promise<SegmentFile> {
    const flags = O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW;
    return new SegmentFile(path, await open(path, flags, 0o600), 0);
  }

  /** `bytes`: up to where it is known to be good; what follows is cut off. */
  static async reopen(path: string, bytes: number): Promise<SegmentFile> {
    const handle = await open(path, O_WRONLY | O_APPEND | O_NOFOLLOW);
    try {
      if ((await handle.stat()).size !== bytes) await handle.truncate(bytes);
      await handle.sync();
    } catch (error) {
      throw await cleanedUp(error, () => handle.close());
    }
    return new SegmentFile(path, handle, bytes);
  }

  get bytes(): number {
    return this.#bytes;
  }

  get isSuspect(): boolean {
    return this.#isTorn || this.#unsafe !== undefined;
  }

  /** Not to be called while another one runs. */
  async append(bytes: Uint8Array): Promise<void> {
    if (this.#bytes + bytes.length - this.#syncedBytes > MAX_UNSYNCED_BYTES) await this.sync();
    this.#assertUntouched();
    try {
      await writeAll(this.#handle, bytes);
    } catch (error) {
      this.#isTorn = true;
      // What cannot be taken back now is taken back by `mend`.
      await this.#cutBack().catch(() => undefined);
      throw error;
    }
    this.#bytes += bytes.length;
    this.#unsynced.push(bytes);
  }

  /** What was appended before the call is durable after it. After a failure only `mend` helps. */
  async sync(): Promise<void> {
    while (this.#syncing !== undefined) await this.#syncing.catch(() => undefined);
    // A second fsync may succeed and prove nothing.
    if (this.#unsafe !== undefined) throw this.#unsafe.error;
    if (this.#unsynced.length === 0) return;
    this.#syncing = this.#sync();
    try {
      await this.#syncing;
    } finally {
      this.#syncing = undefined;
    }
  }

  async #sync(): Promise<void> {
    const { length } = this.#unsynced;
    const bytes = this.#bytes;
    try {
      await this.#handle.sync();
    } catch (error) {
      this.#unsafe = { error };
      throw error;
    }
    this.#unsynced = this.#unsynced.slice(length);
    this.#syncedBytes = bytes;
  }

  async mend(): Promise<void> {
    if (this.#isTorn) await this.#cutBack();
    if (this.#unsafe !== undefined) await this.#rewrite();
  }

  async close(): Promise<void> {
    await using _ = this.#handle;
    await this.mend();
    await this.sync();
  }

  async #cutBack(): Promise<void> {
    await this.#handle.truncate(this.#bytes);
    this.#isTorn = false;
  }

  /**
   * After a failed fsync the page cache may call clean what the disk never got: another fsync proves
   * nothing unless the same bytes are written again, in place, so that no end of the process can lose them.
   */
  async #rewrite(): Promise<void> {
    await this.#syncing?.catch(() => undefined);
    this.#assertUntouched();
    // Not the handle for appending: Linux appends through it wherever it is told to write.
    await using handle = await open(this.path, O_WRONLY | O_NOFOLLOW);
    let position = this.#syncedBytes;
    for (const bytes of this.#unsynced) {
      await writeAll(handle, bytes, position);
      position += bytes.length;
    }
    await handle.sync();
    this.#unsynced = [];
    this.#syncedBytes = this.#bytes;
    this.#unsafe = undefined;
  }

  /**
   * Whoever moved, removed, cut or wrote it: what is appended now would not be where it is looked for. At
   * once: the kernel has both at hand, and the way to the thread pool and back would take twenty times as long.
   */
  #assertUntouched(): void {
    const held = fstatSync(this.#handle.fd);
    const found = statSync(this.path, { throwIfNoEntry: false });
    if (found?.ino !== held.ino || found.dev !== held.dev)
      throw new RegistryError(
        'storage_damaged',
        `expected the audit log to go on in ${this.path}, got ${found === undefined ? 'no file' : 'another file'} there`,
      );
    if (held.size !== this.#bytes)
      throw new RegistryError(
        'storage_damaged',
        `expected ${this.path} to have ${this.#bytes} bytes, got ${held.size}: somebody else writes to it`,
      );
  }
}

/** `position`: at the end where it is not given. */
async function writeAll(handle: FileHandle, bytes: Uint8Array, position?: number): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const at = position === undefined ? null : position + done;
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, at);
    done += bytesWritten;
  }
}
