/**
 * A database read from one end to the other, for who verifies all of it: rows as they stand, in the order in
 * which they can be held against each other, one at a time. Judged by nobody on the way out.
 */
import type Database from 'better-sqlite3';
import { storageError } from './sqlite-errors.ts';
import { assertSound } from './sqlite-integrity.ts';
import { openReadOnly } from './sqlite-open.ts';

export interface ScannedEntry {
  readonly version: number;
  /** 32 bytes. */
  readonly entryHash: Uint8Array;
  /** 32 bytes: what the entry is found by. */
  readonly payloadB3: Uint8Array;
  readonly type: string;
  readonly leaf: Uint8Array;
  readonly payload: Uint8Array;
  readonly approvals: Uint8Array;
}

export interface ScannedValue {
  readonly kind: string;
  readonly id: string;
  readonly setVersion: number;
  /** `null`: current. */
  readonly endVersion: number | null;
  /** 32 bytes. */
  readonly valueHash: Uint8Array;
  readonly bytes: Uint8Array;
}

/** A value that does not end where the next one of its descriptor begins. */
export interface ScannedEnd {
  readonly kind: string;
  readonly id: string;
  /** `null`: it has no end, though another follows it. */
  readonly endVersion: number | null;
}

export interface ScannedNode {
  readonly place: number;
  /** 32 bytes. */
  readonly hash: Uint8Array;
}

export class DatabaseScan implements Disposable {
  readonly #db: Database.Database;
  readonly #path: string;
  /** A connection with one of them open cannot be closed. */
  readonly #open = new Set<Iterator<unknown>>();

  /** Throws what `openReadOnly` throws. */
  constructor(path: string) {
    this.#db = openReadOnly(path);
    this.#path = path;
  }

  /** SQLite's own check, every index held against its table. Throws `storage_damaged`. */
  assertSound(): void {
    try {
      assertSound(this.#db);
    } catch (cause) {
      throw this.#unreadable(cause);
    }
  }

  /** By version. */
  entries(): Iterable<ScannedEntry> {
    return this.#rows<ScannedEntry>(
      `SELECT version, entry_hash AS entryHash, payload_b3 AS payloadB3, type, leaf, payload, approvals
       FROM entries ORDER BY version`,
    );
  }

  /** By version. */
  payloads(): Iterable<Pick<ScannedEntry, 'version' | 'payload'>> {
    return this.#rows<Pick<ScannedEntry, 'version' | 'payload'>>(
      'SELECT version, payload FROM entries ORDER BY version',
    );
  }

  /** By the version that put them. */
  values(): Iterable<ScannedValue> {
    return this.#rows<ScannedValue>(
      `SELECT kind, id, set_version AS setVersion, end_version AS endVersion,
         value_hash AS valueHash, bytes
       FROM spans JOIN descriptors USING (descriptor) ORDER BY set_version`,
    );
  }

  /** By the version that ended them, those without an end first: of a whole index, what was removed. */
  ends(): Iterable<ScannedEnd> {
    return this.#rows<ScannedEnd>(
      `SELECT kind, id, end_version AS endVersion FROM (
         SELECT descriptor, end_version,
           lead(set_version) OVER (PARTITION BY descriptor ORDER BY set_version) AS next
         FROM spans
       ) JOIN descriptors USING (descriptor)
       WHERE end_version IS NOT next ORDER BY end_version`,
    );
  }

  /** Of one level of the tree, by place. */
  nodes(level: number): Iterable<ScannedNode> {
    return this.#rows<ScannedNode>(
      'SELECT place, hash FROM nodes WHERE level = ? ORDER BY place',
      level,
    );
  }

  nodeCount(): number {
    for (const { count } of this.#rows<{ readonly count: number }>(
      'SELECT count(*) AS count FROM nodes',
    ))
      return count;
    return 0;
  }

  [Symbol.dispose](): void {
    for (const rows of this.#open) rows.return?.();
    this.#db.close();
  }

  *#rows<T>(sql: string, ...values: readonly number[]): Generator<T> {
    let rows: IterableIterator<T> | undefined;
    try {
      rows = this.#db.prepare<number[], T>(sql).iterate(...values);
      this.#open.add(rows);
      yield* rows;
    } catch (cause) {
      throw this.#unreadable(cause);
    } finally {
      if (rows !== undefined) this.#open.delete(rows);
    }
  }

  #unreadable(cause: unknown): Error {
    return storageError(cause, `a readable database at ${this.#path}`);
  }
}
