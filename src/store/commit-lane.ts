/**
 * The writing connection and its transactions: one batch is one, and the log is folded in between. What
 * it throws leaves an outcome unknown; after that it must not be used, nor the database closed.
 */
import { closeSync, fsyncSync, openSync, readSync, statSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import type Database from 'better-sqlite3';
import { RegistryError } from '../core/error.ts';
import { FileWatch } from './file-watch.ts';
import type { LaneReport, Write } from './lane-messages.ts';
import { Checkpointer } from './sqlite-checkpoint.ts';
import { hasNoSpace, isBusy, isFull } from './sqlite-errors.ts';
import { assertSynchronous, openWriter, WAL_LIMIT_BYTES } from './sqlite-open.ts';
import { Remains } from './sqlite-remains.ts';
import { SqliteWriter } from './sqlite-write.ts';
import type { StoreSizes } from './store.ts';

/** Folded in a few milliseconds: what prunes writes much, and one fold of it all would hold the lane for longer. */
const PRUNING_WAL_BYTES = 1024 * 1024;
const CHUNK_BYTES = 1024 * 1024;

export class CommitLane {
  readonly #db: Database.Database;
  readonly #path: string;
  readonly #writer: SqliteWriter;
  readonly #checkpointer: Checkpointer;
  readonly #remains: Remains;
  readonly #watch: FileWatch;
  readonly #changes: Database.Statement<[], number>;
  #mainFile: number | undefined;

  /** Throws what `openWriter` throws. */
  constructor(path: string) {
    this.#db = openWriter(path);
    this.#path = path;
    // SQLite syncs the directory of a new file, but ignores when that fails.
    syncDirectory(dirname(path));
    this.#writer = new SqliteWriter(this.#db);
    this.#checkpointer = new Checkpointer(this.#db, `${path}-wal`);
    this.#remains = new Remains(this.#db, path);
    this.#watch = new FileWatch([path, `${path}-wal`]);
    this.#changes = this.#db.prepare<[], number>('SELECT total_changes()').pluck();
    // Whether the process before this one erased something, or failed to sync, is not known.
    if (this.#checkpointer.emptyWhole() === 'done') return;
    this.#checkpointer.demand();
    writeAgain(`${path}-wal`);
  }

  /** Answers when the batch is durable, or certainly not written. */
  run(writes: readonly Write[]): LaneReport {
    this.#watch.assertSame();
    if (this.#checkpointer.isOwed) this.#checkpointer.emptyWhole();
    if (this.#checkpointer.isOwed) return notWritten('no space is left on the disk');
    try {
      this.#db.exec('BEGIN IMMEDIATE');
    } catch (error) {
      if (!isBusy(error)) throw error;
      return notWritten('another process holds the write lock');
    }
    try {
      return this.#commit(writes);
    } catch (error) {
      if (!isFull(error)) throw error;
      // SQLite may have rolled back by itself.
      if (this.#db.inTransaction) this.#db.exec('ROLLBACK');
      this.#checkpointer.owe();
      return notWritten('no space is left on the disk');
    }
  }

  /** The write-ahead log may hold what was erased, and could not be emptied. */
  get isFoldDemanded(): boolean {
    return this.#checkpointer.isDemanded;
  }

  /** A file may still hold what was erased: `wipe` is to be called. */
  get isWipeDemanded(): boolean {
    return this.isFoldDemanded || this.#remains.isDemanded;
  }

  /**
   * Empties the write-ahead log of what was erased, then overwrites some of what is left of it in the main file; to be
   * called again while that is demanded. `undefined`: the log is long, somebody reads it, or writes, or there is no space.
   */
  wipe(): LaneReport | undefined {
    this.#watch.assertSame();
    if (this.#checkpointer.empty() !== 'done') return undefined;
    try {
      this.#db.exec('BEGIN IMMEDIATE');
    } catch (error) {
      if (isBusy(error)) return undefined;
      throw error;
    }
    try {
      if (statSync(`${this.#path}-wal`).size > 0) return undefined;
      this.#remains.step();
    } catch (error) {
      // A file system that shares what copies have in common needs room to write anew.
      if (hasNoSpace(error)) return undefined;
      if (!(error instanceof RegistryError)) throw error;
      // Nothing was written: what is damaged can be read where it is whole.
      this.#remains.giveUp();
      return { type: 'not_wiped', error: { code: error.code, message: error.message } };
    } finally {
      this.#db.exec('ROLLBACK');
    }
    return { type: 'checkpointed' };
  }

  /** To be called soon after a batch that said it is due; `undefined` when somebody reads the log, there is no space, or it is long. */
  fold(): LaneReport | undefined {
    this.#watch.assertSame();
    return this.#checkpointer.fold() === 'done' ? { type: 'checkpointed' } : undefined;
  }

  /** The log is long: it is to be folded beside the lane, as `LogFold` does, and `foldedBeside` called then. */
  get isToFold(): boolean {
    return this.#checkpointer.isToFold;
  }

  /** A descriptor of the main file, for who syncs what was folded beside the lane. Its own, until `close`. */
  get mainFile(): number {
    this.#mainFile ??= openSync(this.#path, 'r+');
    return this.#mainFile;
  }

  /** It was, or could not be for want of space: `cut` finds out. */
  foldedBeside(): void {
    this.#checkpointer.foldedBeside();
  }

  /** The log was long: `cut` is to be called. */
  get isToCut(): boolean {
    return this.#checkpointer.isToCut;
  }

  /** A step of making its file short; `undefined`: somebody reads the log, or writes, or there is no space. */
  cut(): LaneReport | undefined {
    this.#watch.assertSame();
    return this.#checkpointer.cut() ? { type: 'checkpointed' } : undefined;
  }

  /** To be called every so often, however little was written; `undefined` while it is long, somebody reads it, or there is no space. */
  catchUp(): LaneReport | undefined {
    this.#watch.assertSame();
    return this.#checkpointer.catchUp() ? { type: 'checkpointed' } : undefined;
  }

  /**
   * Drops some of what had expired; where nothing is left of it, folds the log. The main file keeps its size: its free
   * pages are written next, and giving them back would take a rewrite of the whole file.
   */
  compact(expiredBefore: string): LaneReport {
    const before = this.#sizes();
    const dropped = this.run([{ type: 'drop_expired', before: expiredBefore }]);
    if (dropped.type !== 'done') return dropped;
    const droppedProposals = Number(dropped.answers[0]);
    const isFolding = droppedProposals === 0 || dropped.isFoldDue;
    const folded = isFolding ? this.#checkpointer.empty() : 'partly';
    if (folded === 'no_space') return notWritten('no space is left on the disk');
    if (droppedProposals > 0)
      return { type: 'compacting', compaction: { droppedProposals, before } };
    return {
      type: 'compacted',
      compaction: {
        droppedProposals,
        before,
        after: this.#sizes(),
        freeBytes: this.#number('freelist_count') * this.#number('page_size'),
        isLogFolded: folded === 'done',
      },
    };
  }

  /** Empties the log into the main file first; when that fails the database stays open. */
  close(): LaneReport {
    this.#checkpointer.emptyWhole();
    this.#db.close();
    // Closing a file lets go of all locks that the process has on it.
    this.#remains.close();
    if (this.#mainFile !== undefined) closeSync(this.#mainFile);
    return { type: 'closed' };
  }

  #sizes(): StoreSizes {
    return {
      mainBytes: statSync(this.#path).size,
      logBytes: statSync(`${this.#path}-wal`).size,
    };
  }

  #number(pragma: string): number {
    return Number(this.#db.pragma(pragma, { simple: true }));
  }

  #commit(writes: readonly Write[]): LaneReport {
    const changesBefore = this.#changes.get();
    const answers = writes.map((write) => this.#writer.apply(write));
    const isChanged = this.#changes.get() !== changesBefore;
    const start = performance.now();
    this.#db.exec('COMMIT');
    const fsyncSeconds = (performance.now() - start) / 1_000;
    assertSynchronous(this.#db);
    if (writes.some(isErasing)) {
      this.#checkpointer.demand();
      this.#remains.demand();
    }
    const isFoldDue = this.#checkpointer.isDue(
      writes.some(isPruning) ? PRUNING_WAL_BYTES : WAL_LIMIT_BYTES,
    );
    return { type: 'done', answers, fsyncSeconds: isChanged ? fsyncSeconds : null, isFoldDue };
  }
}

/** What went is still in the write-ahead log, where it was written once. */
function isErasing(write: Write): boolean {
  return write.type === 'append' && write.entries.some(({ erases }) => erases !== undefined);
}

function isPruning({ type }: Write): boolean {
  return type === 'prune_step' || type === 'drop_expired';
}

function notWritten(reason: string): LaneReport {
  const message = `expected a writable database, got nothing written: ${reason}`;
  return { type: 'not_written', error: { code: 'read_only', message } };
}

/**
 * As it is: after a sync that failed, pages that show it may be on no disk, and are never written again by themselves. What
 * is appended behind them would be lost with them.
 */
function writeAgain(path: string): void {
  const descriptor = openSync(path, 'r+');
  try {
    const chunk = Buffer.alloc(CHUNK_BYTES);
    for (let at = 0; ; ) {
      const length = readSync(descriptor, chunk, 0, CHUNK_BYTES, at);
      if (length === 0) break;
      at += writeSync(descriptor, chunk, 0, length, at);
    }
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Makes the names in it durable. */
function syncDirectory(directory: string): void {
  const descriptor = openSync(directory, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
