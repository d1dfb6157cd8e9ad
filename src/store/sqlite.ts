/**
 * The store on SQLite: writes go through the commit lane in its own thread, reads happen here on a
 * connection that cannot write. `store.ts` says what holds; the files named `sqlite-*` say how.
 */
import { mkdirSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type Database from 'better-sqlite3';
import type { Approval } from '../core/approval.ts';
import { cleanedUp } from '../core/error.ts';
import type { Hash } from '../core/hash.ts';
import { FileWatch } from './file-watch.ts';
import { Lane, type LaneOptions } from './lane.ts';
import { DatabaseCopy } from './sqlite-copy.ts';
import { storageError } from './sqlite-errors.ts';
import { type InstanceLock, lockInstance } from './sqlite-lock.ts';
import { openReadOnly, type ReadOnlyOptions, SMALL_CACHE_BYTES } from './sqlite-open.ts';
import { type ReadStore, SqliteReader } from './sqlite-read.ts';
import type {
  AppendEntry,
  AppendOutcome,
  Compaction,
  PruneProgress,
  SnapshotTarget,
  Store,
  StoredProposal,
} from './store.ts';

export interface SqliteOptions extends LaneOptions {
  /** The main file; made, with its directory, when there is none. */
  readonly path: string;
  /**
   * Called once, when the outcome of a write is unknown or the files are gone. End the process with
   * SIGKILL: an orderly exit closes the database, which may hide what the disk did not take.
   */
  readonly onFatal: LaneOptions['onFatal'];
  /** How often the files are looked at when nothing is written. Default 1,000. */
  readonly watchMs?: number;
  /** How often the main file is brought up to the write-ahead log at least. Default 30,000. */
  readonly catchUpMs?: number;
}

/**
 * Throws `storage_locked` (another process has it), `storage_foreign`, `storage_newer`,
 * `storage_damaged` or `storage_failed`.
 */
export async function openSqliteStore(options: SqliteOptions): Promise<Store> {
  const path = resolvePath(options.path);
  const lock = lockInstance(path);
  let lane: Lane | undefined;
  try {
    lane = await Lane.open({ ...options, path });
    const watch = new FileWatch([path, `${path}-wal`]);
    const { watchMs = 1_000, catchUpMs = 30_000 } = options;
    const db = openReadOnly(path, { cacheBytes: SMALL_CACHE_BYTES });
    return new SqliteStore({ db, path, lane, lock, watch, watchMs, catchUpMs });
  } catch (error) {
    const both = await cleanedUp(error, async () => lane?.close());
    lock.release();
    throw both;
  }
}

/** Reads a database, also one that another process is writing. Throws like `openSqliteStore`. */
export function openSqliteReader({
  path,
  ...options
}: { readonly path: string } & ReadOnlyOptions): ReadStore {
  return new SqliteReader(openReadOnly(path, options), path);
}

interface Parts {
  readonly db: Database.Database;
  readonly path: string;
  readonly lane: Lane;
  readonly lock: InstanceLock;
  readonly watch: FileWatch;
  readonly watchMs: number;
  readonly catchUpMs: number;
}

class SqliteStore extends SqliteReader implements Store {
  readonly #lane: Lane;
  readonly #lock: InstanceLock;
  readonly #timers: readonly NodeJS.Timeout[];
  readonly #copy: DatabaseCopy;

  constructor({ db, path, lane, lock, watch, watchMs, catchUpMs }: Parts) {
    super(db, path);
    this.#lane = lane;
    this.#copy = new DatabaseCopy(path);
    this.#lock = lock;
    this.#timers = [
      setInterval(() => this.#look(watch), watchMs).unref(),
      setInterval(() => lane.catchUp(), catchUpMs).unref(),
    ];
  }

  append(batch: {
    readonly expected: number;
    readonly entries: readonly AppendEntry[];
  }): Promise<AppendOutcome> {
    return this.#lane.submit({ type: 'append', ...batch });
  }

  putProposal(proposal: StoredProposal): Promise<'added' | 'known'> {
    return this.#lane.submit({ type: 'put_proposal', proposal });
  }

  putApproval(
    payloadB3: Hash,
    approval: Approval,
    { isReplacing } = { isReplacing: false },
  ): Promise<'added' | 'known' | 'no_proposal'> {
    return this.#lane.submit({ type: 'put_approval', payloadB3, approval, isReplacing });
  }

  async dropProposals(payloadB3s: readonly Hash[]): Promise<void> {
    await this.#lane.submit({ type: 'drop_proposals', payloadB3s });
  }

  async putCheckpoint(note: string): Promise<void> {
    await this.#lane.submit({ type: 'put_checkpoint', note });
  }

  snapshot(target: SnapshotTarget): Promise<void> {
    return this.#copy.run(target);
  }

  compact({ expiredBefore }: { readonly expiredBefore: string }): Promise<Compaction> {
    return this.#lane.compact(expiredBefore);
  }

  async setOldest(oldest: number): Promise<void> {
    await this.#lane.submit({ type: 'set_oldest', oldest });
  }

  async prune({
    onProgress,
    signal,
  }: {
    readonly onProgress?: (progress: PruneProgress) => void;
    readonly signal?: AbortSignal;
  } = {}): Promise<void> {
    for (;;) {
      const began = performance.now();
      const progress = await this.#lane.submit({ type: 'prune_step' });
      onProgress?.(progress);
      if (progress.reached === progress.oldest || signal?.aborted === true) return;
      // As long a rest as it took: half of the lane is always left to commits.
      await sleep(performance.now() - began);
    }
  }

  /** After a failure nothing is closed, not even the lock is given back: the process must end. */
  override async [Symbol.asyncDispose](): Promise<void> {
    this.#stopTimers();
    if (this.#lane.isFailed) return;
    await this.#copy.stop();
    // The connection that closes last removes the write-ahead log: that is the lane's.
    await super[Symbol.asyncDispose]();
    await this.#lane.close();
    this.#lock.release();
  }

  #stopTimers(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }

  #look(watch: FileWatch): void {
    try {
      watch.assertSame();
    } catch (cause) {
      this.#stopTimers();
      this.#lane.fail(storageError(cause, 'to see the database files'));
    }
  }
}

/** One name for one file, whatever links lead to it: the lock stands beside it. */
function resolvePath(path: string): string {
  try {
    mkdirSync(dirname(path), { recursive: true });
    const found = statSync(path, { throwIfNoEntry: false });
    return found ? realpathSync(path) : join(realpathSync(dirname(path)), basename(path));
  } catch (cause) {
    throw storageError(cause, `a place for a database at ${path}`);
  }
}
