/**
 * Folds the write-ahead log into the main file, between transactions and at both ends of a run: when it is
 * long, and after a while also when it is short, so that the main file is never far behind. At
 * the start this is recovery: after a failed fsync the page cache may show log pages that the disk
 * lacks, and copying them all makes them durable before anything is built on them.
 * A log that grew long in the middle of a run, behind a reader or in one large batch, would hold the lane for long: it
 * is folded beside the lane (`log-fold.ts`), and its file then cut off in steps, for that takes as long again.
 */
import { statSync } from 'node:fs';
import type Database from 'better-sqlite3';
import { isBusy, isFull } from './sqlite-errors.ts';
import { BUSY_MS, WAL_LIMIT_BYTES } from './sqlite-open.ts';
import { SCHEMA_VERSION } from './sqlite-schema.ts';

/** For readers. The lane is held meanwhile; those who read for longer keep the log for the next time. */
const READERS_MS = 5;

/** The file of a longer log is `long`: what the lane itself folds, or cuts off, in one step. Some 10 ms. */
const STEP_BYTES = 8 * 1024 * 1024;

/** By so much a log grows that a reader kept, before it is tried again: sooner than it is long. */
const AGAIN_BYTES = 2 * 1024 * 1024;

/** In frames of the log: how many it has, and how many of them are in the main file. */
interface LogState {
  /** 1: another fold is under way, and nothing else is told. */
  readonly busy: number;
  readonly log: number;
  readonly checkpointed: number;
}

/**
 * Copies what no reader keeps from the log to the main file, and waits for nobody; SQLite syncs that only if nothing was
 * written meanwhile. Answers how many bytes of the log are not there afterwards. What it throws is fatal but for a full disk.
 */
export function foldPassively(db: Database.Database): number {
  return restBytes(db, 'PASSIVE');
}

export class Checkpointer {
  readonly #db: Database.Database;
  readonly #walPath: string;
  /** What a reader kept in the log at the last fold. */
  #keptBytes = 0;
  #isOwed = true;
  #isDemanded = false;
  /** From the first step that found it so. The lane's other steps leave it alone. */
  #long: 'no' | 'to_fold' | 'to_cut' = 'no';

  constructor(db: Database.Database, walPath: string) {
    this.#db = db;
    this.#walPath = walPath;
  }

  /** Nothing more may be written before one went through: space is missing, and the log may hold it. */
  get isOwed(): boolean {
    return this.#isOwed;
  }

  /** `limitBytes`: of the log, beside what could not be folded before. What is demanded is due at once. */
  isDue(limitBytes: number): boolean {
    if (this.#long !== 'no') return false;
    const isKept = this.#keptBytes > 0;
    if (this.#isDemanded && !isKept) return true;
    const growth = isKept ? Math.min(AGAIN_BYTES, limitBytes) : limitBytes;
    return this.#logBytes() > this.#keptBytes + growth;
  }

  /** The log may hold what must go, until one went through. */
  get isDemanded(): boolean {
    return this.#isDemanded;
  }

  demand(): void {
    this.#isDemanded = true;
  }

  owe(): void {
    this.#isOwed = true;
  }

  /** The log is long, and another connection is to fold it: `foldPassively` until little is left, then `foldedBeside`. */
  get isToFold(): boolean {
    return this.#long === 'to_fold';
  }

  foldedBeside(): void {
    this.#long = 'to_cut';
  }

  /** The log was long: `cut` is to be called until it is not. */
  get isToCut(): boolean {
    return this.#long === 'to_cut';
  }

  /** As `runWhole`, unless the log is `long`: then nothing is done. */
  run(): 'done' | 'partly' | 'no_space' | 'long' {
    return this.#isLong() ? 'long' : this.runWhole();
  }

  /**
   * However long the log is: for when nobody waits for the lane. `done`: the log is empty and the main file durable.
   * `partly`: a reader still needs the log, it goes on growing. `no_space`: owed. Throws for everything else, which is fatal.
   */
  runWhole(): 'done' | 'partly' | 'no_space' {
    try {
      const isBusy = this.#fold();
      this.#isOwed = false;
      this.#isDemanded &&= isBusy;
      this.#keptBytes = isBusy ? this.#logBytes() : 0;
      return isBusy ? 'partly' : 'done';
    } catch (error) {
      if (!isFull(error)) throw error;
      this.#isOwed = true;
      return 'no_space';
    }
  }

  /**
   * Whether the main file holds everything afterwards, and durably. Waits for no reader, and leaves the log
   * its room, which the next writes take again. Throws as `run` does.
   */
  catchUp(): boolean {
    if (this.#isOwed) return this.runWhole() === 'done';
    return !this.#isLong() && this.#foldAll();
  }

  /**
   * A step of making the file short that a long log left. SQLite cuts it off where a write begins the log again, down to
   * its limit, so the limit is led down and something is written. Answers whether the file got shorter, and the main
   * file held everything before; if not, somebody reads the log or writes, or there is no space. Throws as `run` does.
   */
  cut(): boolean {
    if (restBytes(this.#db, 'NOOP') > STEP_BYTES) {
      this.#long = 'to_fold';
      return false;
    }
    if (!this.#foldAll()) return false;
    const bytes = this.#logBytes();
    this.#limit(Math.max(bytes - STEP_BYTES, WAL_LIMIT_BYTES));
    try {
      // The value that it has: a page is written.
      this.#db.pragma(`user_version = ${SCHEMA_VERSION}`);
    } catch (error) {
      if (!isFull(error) && !isBusy(error)) throw error;
      return false;
    }
    const left = this.#logBytes();
    if (left <= STEP_BYTES) {
      this.#long = 'no';
      this.#keptBytes = 0;
      this.#limit(WAL_LIMIT_BYTES);
    }
    return left < bytes;
  }

  /** Durable, and the log keeps its room. */
  #foldAll(): boolean {
    try {
      return foldPassively(this.#db) === 0;
    } catch (error) {
      if (!isFull(error)) throw error;
      this.#isOwed = true;
      return false;
    }
  }

  #isLong(): boolean {
    if (this.#long === 'no' && this.#logBytes() > STEP_BYTES) {
      this.#long = 'to_fold';
      // Else the next write that begins the log again would cut all of it off.
      this.#limit(-1);
    }
    return this.#long !== 'no';
  }

  #logBytes(): number {
    return statSync(this.#walPath).size;
  }

  /** Of the file, in bytes; -1: none. */
  #limit(bytes: number): void {
    this.#db.pragma(`journal_size_limit = ${bytes}`);
  }

  /** Answers whether a reader kept it from being done. */
  #fold(): boolean {
    this.#db.pragma(`busy_timeout = ${READERS_MS}`);
    try {
      return this.#db.pragma('wal_checkpoint(TRUNCATE)', { simple: true }) !== 0;
    } finally {
      this.#db.pragma(`busy_timeout = ${BUSY_MS}`);
    }
  }
}

/** Of the log, that are not in the main file afterwards. `NOOP`: nothing is folded. */
function restBytes(db: Database.Database, mode: 'PASSIVE' | 'NOOP'): number {
  const [state] = db.pragma(`wal_checkpoint(${mode})`) as readonly LogState[];
  if (state?.busy !== 0) return Number.POSITIVE_INFINITY;
  return (state.log - state.checkpointed) * Number(db.pragma('page_size', { simple: true }));
}
