/**
 * A reader that can see one moment of a database that another process writes: what is read together then belongs
 * together, also while entries are pruned or erased.
 */
import type Database from 'better-sqlite3';
import { openReadOnly } from './sqlite-open.ts';
import { SqliteReader } from './sqlite-read.ts';

interface LettingGoRow {
  readonly oldest: number;
  readonly reached: number;
  readonly erased: number;
}

export interface ErasedRow {
  readonly version: number;
  readonly erasedBy: number;
  /** Of its payload and the values that it put. */
  readonly bytesLeft: number;
}

export class MomentReader extends SqliteReader {
  readonly #db: Database.Database;
  readonly #lettingGo: Database.Statement<[], LettingGoRow>;
  readonly #erased: Database.Statement<[], ErasedRow>;
  readonly #begun: LettingGoRow | undefined;

  /** Owns the connection from now on. */
  constructor(db: Database.Database, path: string) {
    super(db, path);
    this.#db = db;
    this.#lettingGo = db.prepare(
      'SELECT oldest, reached, (SELECT count(*) FROM erasures) AS erased FROM (SELECT 0) LEFT JOIN retention',
    );
    this.#erased = db.prepare(
      `SELECT x.version, x.erased_by AS erasedBy, length(e.payload) + coalesce(
         (SELECT sum(length(bytes)) FROM spans WHERE set_version = x.version), 0) AS bytesLeft
       FROM erasures x LEFT JOIN entries e ON e.version = x.version ORDER BY x.version`,
    );
    this.#begun = this.#lettingGo.get();
  }

  /** By version. */
  async erased(): Promise<readonly ErasedRow[]> {
    return this.#erased.all();
  }

  /**
   * All that `work` reads here is of one moment, also what it does so within. To be short: the writer cannot empty its
   * write-ahead log meanwhile.
   */
  async atOneMoment<T>(work: () => Promise<T>): Promise<T> {
    if (this.#db.inTransaction) return work();
    this.#db.exec('BEGIN');
    try {
      return await work();
    } finally {
      if (this.#db.inTransaction) this.#db.exec('ROLLBACK');
    }
  }

  /** Whether something was pruned or erased since this was opened, or is about to be. */
  async hasLetGo(): Promise<boolean> {
    const [begun, now] = [this.#begun, this.#lettingGo.get()];
    return (
      now?.reached !== now?.oldest ||
      now?.oldest !== begun?.oldest ||
      now?.reached !== begun?.reached ||
      now?.erased !== begun?.erased
    );
  }
}

/** Throws like `openSqliteStore`. */
export function openMomentReader({ path }: { readonly path: string }): MomentReader {
  return new MomentReader(openReadOnly(path), path);
}
