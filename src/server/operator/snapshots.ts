/**
 * Snapshots of the database: copied while commits go on, durable, verified, and only then given their
 * name. What is unfinished has a directory of its own, which the next one removes.
 */
import { mkdir, rename, rm, stat, statfs } from 'node:fs/promises';
import { dirname, extname, join } from 'node:path';
import { RegistryError } from '../../core/error.ts';
import type { Store } from '../../store/store.ts';
import type { Log } from '../../telemetry/log.ts';
import { runThread } from '../reporting-thread.ts';
import { syncDirectory } from './sync-directory.ts';
import type { VerifiedCopy } from './verify-copy.ts';

export interface SnapshotParts {
  readonly store: Pick<Store, 'snapshot' | 'storageBytes'>;
  /** `null`: nothing is on disk. */
  readonly dataDir: string | null;
  readonly log: Log;
  /** Milliseconds of a clock that never goes back. */
  readonly monotonicMs: () => number;
}

export interface Snapshot extends VerifiedCopy {
  /** Its name in the directory `snapshots` of the data directory. */
  readonly file: string;
  readonly bytes: number;
  readonly seconds: number;
}

export interface SnapshotState {
  readonly phase: 'copying' | 'verifying';
  /** Bytes of the copy, then entries. */
  readonly done: number;
  readonly total: number;
}

/** What is being made, and what an earlier process left half made. */
const UNFINISHED = '.unfinished';
/** Left to the registry: what it writes meanwhile must not find the disk full. */
const RESERVE_BYTES = 16 * 1024 * 1024;

export class Snapshots {
  readonly #parts: SnapshotParts;
  readonly #directory: string | null;
  /** What an earlier process left half made is gone. */
  readonly #cleaned: Promise<void>;
  #state: SnapshotState | null = null;

  constructor(parts: SnapshotParts) {
    const { dataDir } = parts;
    this.#parts = parts;
    this.#directory = dataDir === null ? null : join(dataDir, 'snapshots');
    this.#cleaned = this.#directory === null ? Promise.resolve() : this.#clean(this.#directory);
  }

  /** How far the one that is being made is; `null`: none is. */
  get state(): SnapshotState | null {
    return this.#state;
  }

  /** Throws `invalid_request`, `overloaded`, `not_initialised`, `read_only`, `unavailable`, or `storage_...`; then nothing is left. */
  async make(signal: AbortSignal): Promise<Snapshot> {
    const directory = this.#directory;
    if (directory === null)
      throw new RegistryError(
        'invalid_request',
        'expected a registry on disk, got one in memory: there is no file to copy',
      );
    if (this.#state !== null)
      throw new RegistryError('overloaded', 'expected one snapshot at a time, got one more');
    this.#state = { phase: 'copying', done: 0, total: 0 };
    const { monotonicMs } = this.#parts;
    const startedMs = monotonicMs();
    try {
      const made = await this.#make(directory, signal);
      return { ...made, seconds: (monotonicMs() - startedMs) / 1000 };
    } catch (cause) {
      throw failure(cause, directory);
    } finally {
      this.#state = null;
    }
  }

  async #make(directory: string, signal: AbortSignal): Promise<Omit<Snapshot, 'seconds'>> {
    const { store } = this.#parts;
    await this.#cleaned;
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await assertRoom(directory, await store.storageBytes());
    const unfinished = join(directory, UNFINISHED);
    await mkdir(unfinished, { mode: 0o700 });
    try {
      const path = join(unfinished, 'registry.db');
      const onProgress = (state: SnapshotState) => {
        this.#state = state;
      };
      await store.snapshot({
        path,
        signal,
        onProgress: ({ doneBytes: done, totalBytes: total }) =>
          onProgress({ phase: 'copying', done, total }),
      });
      const copy = await runThread<VerifiedCopy>({
        // In src this file ends in .ts, in dist in .js, and so does the thread's.
        program: new URL(`./snapshot-worker${extname(import.meta.url)}`, import.meta.url),
        name: 'the verification of a snapshot',
        data: path,
        signal,
        onProgress: (progress) => onProgress({ phase: 'verifying', ...progress }),
      });
      const { size: bytes } = await stat(path);
      const file = `registry-${copy.version}-${copy.entryHash.slice(3, 15)}.db`;
      await rename(path, join(directory, file));
      await syncDirectory(directory);
      await syncDirectory(dirname(directory));
      return { ...copy, file, bytes };
    } finally {
      await this.#clean(directory);
    }
  }

  /** Never rejects: where it cannot be removed, the next snapshot cannot be made, and says so. */
  async #clean(directory: string): Promise<void> {
    const path = join(directory, UNFINISHED);
    await rm(path, { recursive: true, force: true }).catch((cause: unknown) =>
      this.#parts.log.warn('an unfinished snapshot cannot be removed', { path, cause }),
    );
  }
}

async function assertRoom(directory: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  const needed = bytes + RESERVE_BYTES;
  if (bavail * bsize < needed)
    throw new RegistryError(
      'read_only',
      `expected ${needed} bytes free for a snapshot, got ${bavail * bsize}: make room; nothing was written`,
    );
}

/** What the file system says, in words an operator can act on. */
function failure(cause: unknown, directory: string): unknown {
  if (cause instanceof RegistryError || !(cause instanceof Error && 'code' in cause)) return cause;
  return new RegistryError(
    cause.code === 'ENOSPC' || cause.code === 'EDQUOT' ? 'read_only' : 'storage_failed',
    `expected to write a snapshot in ${directory}, got ${cause.code}`,
    { cause },
  );
}
