/**
 * Folds the write-ahead log into the main file, between transactions and at both ends of a run: when it is
 * long, and after a while also when it is short, so that the main file is never far behind. At
 * the start this is recovery: after a failed fsync the page cache may show log pages that the disk
 * lacks, and copying them all makes them durable before anything is built on them.
 * What is folded is overwritten by the next writes: a batch that lengthens the file takes a fifth longer,
 * and emptying it takes as long as the fold. So that is done only where something must go from it.
 * A log that grew long in the middle of a run, behind a reader or in one large batch, would hold the lane for long: it
 * is folded beside the lane (`log-fold.ts`), and its file then cut off in steps, for that takes as long again.
 */
import { statSync } from 'node:fs';
import type Database from 'better-sqlite3';
import { isBusy, isFull } from './sqlite-errors.ts';
import { BUSY_MS, LOG_ROOM_BYTES } from './sqlite-open.ts';
import { SCHEMA_VERSION } from './sqlite-schema.ts';

/** For readers. The lane is held meanwhile; those who read for longer keep the log for the next time. */
const READERS_MS = 5;

/** The file of a longer log is `long`: what the lane itself folds, or cuts off, in one step. Some 10 ms. */
const STEP_BYTES = 8 * 1024 * 1024;

/** By so much a log grows that a reader kept, before it is tried again: sooner than it is long. */
const AGAIN_BYTES = 2 * 1024 * 1024;

/** Of a frame, before its page. */
const FRAME_HEADER_BYTES = 24;

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

/**
 * `done`: the main file is durable and holds everything, and nobody reads the log, which begins again. `partly`: a reader
 * still needs it, it goes on growing. `no_space`: owed.
 */
type Folded = 'done' | 'partly' | 'no_space';

export class Checkpointer {
  readonly #db: Database.Database;
  readonly #walPath: string;
  /** What was not folded at the last fold, because a reader kept it from being done; `undefined`: none did. */
  #keptBytes: number | undefined;
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

  /** `limitBytes`: of what is not folded, beside what could not be before. What is demanded is due at once. */
  isDue(limitBytes: number): boolean {
    if (this.#long !== 'no') return false;
    const kept = this.#keptBytes;
    if (this.#isDemanded && kept === undefined) return true;
    const growth = kept === undefined ? limitBytes : Math.min(AGAIN_BYTES, limitBytes);
    return restBytes(this.#db, 'NOOP') > (kept ?? 0) + growth;
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

  /** As `empty`, but its file keeps its room, unless something must go from it or the disk is full. */
  fold(): Folded | 'long' {
    if (this.#isLong()) return 'long';
    return this.#fold(this.#isDemanded || this.#isOwed ? 'TRUNCATE' : 'RESTART');
  }

  /** As `emptyWhole`, unless the log is `long`: then nothing is done. */
  empty(): Folded | 'long' {
    return this.#isLong() ? 'long' : this.emptyWhole();
  }

  /** However long the log is, for when nobody waits for the lane: it is folded, and its file empty. Throws what is fatal. */
  emptyWhole(): Folded {
    return this.#fold('TRUNCATE');
  }

  #fold(mode: 'RESTART' | 'TRUNCATE'): Folded {
    try {
      const isBusy = this.#foldBeforeReaders(mode);
      this.#isOwed = false;
      if (mode === 'TRUNCATE') this.#isDemanded &&= isBusy;
      this.#keptBytes = isBusy ? restBytes(this.#db, 'NOOP') : undefined;
      return isBusy ? 'partly' : 'done';
    } catch (error) {
      if (!isFull(error)) throw error;
      this.#isOwed = true;
      return 'no_space';
    }
  }

  /**
   * Whether the main file holds everything afterwards, and durably. Waits for no reader, and leaves the log
   * its room. Throws as `emptyWhole` does.
   */
  catchUp(): boolean {
    if (this.#isOwed) return this.emptyWhole() === 'done';
    return !this.#isLong() && this.#foldAll();
  }

  /**
   * A step of making the file short that a long log left. SQLite cuts it off where a write begins the log again, down to
   * its limit, so the limit is led down and something is written. Answers whether the file got shorter, and the main
   * file held everything before; if not, somebody reads the log or writes, or there is no space. Throws as `emptyWhole` does.
   */
  cut(): boolean {
    if (restBytes(this.#db, 'NOOP') > STEP_BYTES) {
      this.#long = 'to_fold';
      return false;
    }
    if (!this.#foldAll()) return false;
    const bytes = this.#logBytes();
    this.#limit(Math.max(bytes - STEP_BYTES, LOG_ROOM_BYTES));
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
      this.#keptBytes = undefined;
      this.#limit(LOG_ROOM_BYTES);
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
  #foldBeforeReaders(mode: 'RESTART' | 'TRUNCATE'): boolean {
    this.#db.pragma(`busy_timeout = ${READERS_MS}`);
    try {
      return this.#db.pragma(`wal_checkpoint(${mode})`, { simple: true }) !== 0;
    } finally {
      this.#db.pragma(`busy_timeout = ${BUSY_MS}`);
    }
  }
}

/** Of the log, that are not in the main file afterwards. `NOOP`: nothing is folded. */
function restBytes(db: Database.Database, mode: 'PASSIVE' | 'NOOP'): number {
  const [state] = db.pragma(`wal_checkpoint(${mode})`) as readonly LogState[];
  if (state?.busy !== 0) return Number.POSITIVE_INFINITY;
  const frameBytes = Number(db.pragma('page_size', { simple: true })) + FRAME_HEADER_BYTES;
  return (state.log - state.checkpointed) * frameBytes;
}
