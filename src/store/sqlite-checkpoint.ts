/**
 * Folds the write-ahead log into the main file, between transactions and at both ends of a run: when it is
 * long, and after a while also when it is short, so that the main file is never far behind. At
 * the start this is recovery: after a failed fsync the page cache may show log pages that the disk
 * lacks, and copying them all makes them durable before anything is built on them.
 */
import { statSync } from 'node:fs';
import type Database from 'better-sqlite3';
import { isFull } from './sqlite-errors.ts';
import { BUSY_MS } from './sqlite-open.ts';

/** For readers. The lane is held meanwhile; those who read for longer keep the log for the next time. */
const READERS_MS = 5;

/** In frames of the log: how many it has, and how many of them are in the main file. */
interface PassiveState {
  readonly busy: number;
  readonly log: number;
  readonly checkpointed: number;
}

export class Checkpointer {
  readonly #db: Database.Database;
  readonly #walPath: string;
  /** What a reader kept in the log at the last fold. */
  #keptBytes = 0;
  #isOwed = true;
  #isDemanded = false;

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
    const isKept = this.#keptBytes > 0;
    if (this.#isDemanded && !isKept) return true;
    return statSync(this.#walPath).size > this.#keptBytes + limitBytes;
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

  /**
   * `done`: the log is empty and the main file durable. `partly`: a reader still needs the log, it goes on
   * growing. `no_space`: owed. Throws for everything else, which is fatal.
   */
  run(): 'done' | 'partly' | 'no_space' {
    try {
      const isBusy = this.#fold();
      this.#isOwed = false;
      this.#isDemanded &&= isBusy;
      this.#keptBytes = isBusy ? statSync(this.#walPath).size : 0;
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
    if (this.#isOwed) return this.run() === 'done';
    try {
      const [state] = this.#db.pragma('wal_checkpoint(PASSIVE)') as readonly PassiveState[];
      return state?.busy === 0 && state.checkpointed === state.log;
    } catch (error) {
      if (!isFull(error)) throw error;
      this.#isOwed = true;
      return false;
    }
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
