/**
 * Snapshots of the database: copied while commits go on, packed into one file, both verified, and only then
 * given a name. What is unfinished has a directory of its own, which the next one removes.
 */
import { mkdir, rename, rm, stat, statfs } from 'node:fs/promises';
import { dirname, extname, join } from 'node:path';
import { cleanedUp, RegistryError } from '../../core/error.ts';
import type { Hash } from '../../core/hash.ts';
import { formatTime } from '../../core/time.ts';
import type { Store } from '../../store/store.ts';
import type { Log } from '../../telemetry/log.ts';
import { runBoth, runThread, type ThreadProgress } from '../reporting-thread.ts';
import { syncDirectory } from '../sync-directory.ts';
import { assertFacts, type SnapshotHeader, snapshotName } from './header.ts';
import type { Packed } from './pack.ts';
import type { PackData } from './pack-worker.ts';
import { storageFailure } from './storage-failure.ts';
import { verifyInThreads } from './verify-threads.ts';

export interface SnapshotParts {
  readonly store: Pick<Store, 'snapshot' | 'storageBytes'>;
  /** Puts the newest checkpoint that was published into the store, and so into the copy. Default: it has the one kept last. */
  readonly keepCheckpoint?: () => Promise<void>;
  /** `null`: nothing is on disk. */
  readonly dataDir: string | null;
  /** What it leaves free, so that nobody is refused because one is made. Default: 0. */
  readonly minFreeBytes?: () => number;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Milliseconds of a clock that never goes back. */
  readonly monotonicMs: () => number;
}

export interface Snapshot {
  readonly id: Hash;
  readonly header: SnapshotHeader;
  /** Its name in the directory `snapshots` of the data directory. */
  readonly file: string;
  /** The directory. */
  readonly directory: string;
  /** Of the file. */
  readonly bytes: number;
  readonly seconds: number;
}

export interface SnapshotState {
  readonly phase: 'copying' | 'verifying';
  /** Bytes of the database. */
  readonly done: number;
  readonly total: number;
}

/** What is being made, and what an earlier process left half made. */
const UNFINISHED = '.unfinished';
/** Left to the registry: what it writes meanwhile must not find the disk full. */
const RESERVE_BYTES = 16 * 1024 * 1024;

/** Where a server keeps its snapshots. */
export function snapshotDirectory(dataDir: string): string {
  return join(dataDir, 'snapshots');
}

export class Snapshots {
  readonly #parts: SnapshotParts;
  readonly #directory: string | null;
  /** What an earlier process left half made is gone. */
  readonly #cleaned: Promise<void>;
  readonly #made = new Set<Hash>();
  #state: SnapshotState | null = null;

  constructor(parts: SnapshotParts) {
    const { dataDir } = parts;
    this.#parts = parts;
    this.#directory = dataDir === null ? null : snapshotDirectory(dataDir);
    this.#cleaned = this.#directory === null ? Promise.resolve() : this.#clean(this.#directory);
  }

  /** How far the one that is being made is; `null`: none is. */
  get state(): SnapshotState | null {
    return this.#state;
  }

  /** Whether it was made, and so verified, by this one. */
  hasMade(id: Hash): boolean {
    return this.#made.has(id);
  }

  /** Throws `read_only` unless as many bytes may be written beside what is to be left free. */
  async assertRoom(directory: string, bytes: number): Promise<void> {
    const { minFreeBytes = () => 0 } = this.#parts;
    await assertRoom(directory, bytes + minFreeBytes());
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
      throw storageFailure(cause, `to write a snapshot in ${directory}`);
    } finally {
      this.#state = null;
    }
  }

  async #make(directory: string, signal: AbortSignal): Promise<Omit<Snapshot, 'seconds'>> {
    const { store, keepCheckpoint } = this.#parts;
    await this.#cleaned;
    await mkdir(directory, { recursive: true, mode: 0o700 });
    // For the copy and, should nothing compress, as much again for the file.
    await this.assertRoom(directory, 2 * (await store.storageBytes()));
    const unfinished = join(directory, UNFINISHED);
    await mkdir(unfinished, { mode: 0o700 });
    try {
      const database = join(unfinished, 'registry.db');
      // What is committed from here on may be in the copy too, and then under no checkpoint yet.
      await keepCheckpoint?.();
      await store.snapshot({
        path: database,
        signal,
        onProgress: ({ doneBytes: done, totalBytes: total }) => {
          this.#state = { phase: 'copying', done, total };
        },
      });
      const packed = join(unfinished, 'packed');
      const { id, header } = await this.#packVerified({ database, packed, signal });
      const { size: bytes } = await stat(packed);
      const file = snapshotName({ version: header.version, id });
      await giveName(packed, join(directory, file));
      this.#made.add(id);
      return { id, header, file, directory, bytes };
    } finally {
      await this.#clean(directory);
    }
  }

  /** The copy is verified in threads while another one writes the file and reads it again. */
  async #packVerified({
    database,
    packed,
    signal,
  }: {
    readonly database: string;
    readonly packed: string;
    readonly signal: AbortSignal;
  }): Promise<Packed> {
    const { size: total } = await stat(database);
    const shares = { verified: 0, packed: 0 };
    const onProgress = (part: keyof typeof shares) => (progress: ThreadProgress) => {
      shares[part] = progress.done / progress.total;
      const done = Math.floor(((shares.verified + shares.packed) / 2) * total);
      this.#state = { phase: 'verifying', done, total };
    };
    const data: PackData = { database, to: packed, createdAt: formatTime(this.#parts.now()) };
    const [facts, made] = await runBoth(
      signal,
      (either) =>
        verifyInThreads(database, {
          foreign: undefined,
          onProgress: onProgress('verified'),
          signal: either,
        }),
      (either) =>
        runThread<Packed>({
          // In src this file ends in .ts, in dist in .js, and so does the thread's.
          program: new URL(`./pack-worker${extname(import.meta.url)}`, import.meta.url),
          name: 'the writing of a snapshot',
          data,
          signal: either,
          onProgress: onProgress('packed'),
        }),
    );
    assertFacts(made.header, facts);
    return made;
  }

  /** Never rejects: where it cannot be removed, the next snapshot cannot be made, and says so. */
  async #clean(directory: string): Promise<void> {
    const path = join(directory, UNFINISHED);
    await rm(path, { recursive: true, force: true }).catch((cause: unknown) =>
      this.#parts.log.warn('an unfinished snapshot cannot be removed', { path, cause }),
    );
  }
}

/** Where the name is not known to be durable it is taken away. */
async function giveName(path: string, name: string): Promise<void> {
  await rename(path, name);
  try {
    const directory = dirname(name);
    await syncDirectory(directory);
    await syncDirectory(dirname(directory));
  } catch (error) {
    throw await cleanedUp(error, () => rm(name, { force: true }));
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
