/**
 * A database read from one end to the other, for who verifies all of it: rows as they stand, in the order in
 * which they can be held against each other. A page of versions at a time, and of each column all of a page in
 * one piece: a row that becomes an object of its own costs more than all else that is done with it. Judged by
 * nobody on the way out.
 */
import type Database from 'better-sqlite3';
import { RegistryError } from '../core/error.ts';
import { type Cell, lengthOf, list, Page, type Piece, piece } from './sqlite-columns.ts';
import { storageError } from './sqlite-errors.ts';
import { assertSound } from './sqlite-integrity.ts';
import { openReadOnly, type ReadOnlyOptions } from './sqlite-open.ts';

/** Of each row one. */
type Numbers = readonly number[];

/** By version. */
export interface EntryPage {
  readonly versions: Numbers;
  readonly types: readonly string[];
  readonly leafBytes: Numbers;
  readonly payloadBytes: Numbers;
  readonly approvalsBytes: Numbers;
  readonly entryHashes: Piece;
  /** What the entry is found by. */
  readonly payloadB3s: Piece;
  readonly leaves: Piece;
  readonly payloads: Piece;
  readonly approvals: Piece;
}

/** The payloads of some versions, and what their entries did to descriptors. A key is `kind/id`. */
export interface ChangePage {
  readonly payloads: PayloadColumns;
  /** What was put at these versions. */
  readonly values: ValueColumns;
  /** What ended at these versions. */
  readonly ended: EndedColumns;
}

/** By version. */
export interface PayloadColumns {
  readonly versions: Numbers;
  readonly lengths: Numbers;
  readonly bytes: Piece;
}

/** By version and key. */
export interface ValueColumns {
  readonly setVersions: Numbers;
  readonly keyLengths: Numbers;
  readonly lengths: Numbers;
  readonly keys: Piece;
  readonly hashes: Piece;
  readonly bytes: Piece;
}

/** By version and key. */
export interface EndedColumns {
  readonly endVersions: Numbers;
  readonly keyLengths: Numbers;
  readonly keys: Piece;
}

/** Of the set at the head, in no order that says anything. A key is `kind/id`. */
export interface SetPage {
  readonly keyLengths: Numbers;
  readonly lengths: Numbers;
  readonly keys: Piece;
  readonly hashes: Piece;
  readonly bytes: Piece;
}

/** As `SetPage`, without what the descriptors say. */
export interface CurrentPage {
  readonly keyLengths: Numbers;
  readonly keys: Piece;
  readonly hashes: Piece;
}

/** Of one level of the tree. */
export interface NodePage {
  /** Sorted. */
  readonly places: Numbers;
  readonly hashes: Piece;
}

/** Of so many versions: payloads of at most a mebibyte each, and as much again of values. */
const PAGE_VERSIONS = 16;
/** Of one level of the tree. */
export const PAGE_NODES = 1024;
/** A value has up to a mebibyte. */
const PAGE_VALUES = 64;
/** Without it 360 bytes. */
const PAGE_CURRENT = 1024;

const ENTRIES = `SELECT ${[
  ...['version', 'json_quote(type)', ...['leaf', 'payload', 'approvals'].map(lengthOf)].map(list),
  ...['entry_hash', 'payload_b3', 'leaf', 'payload', 'approvals'].map(piece),
]}
FROM (SELECT * FROM entries WHERE version >= ? AND version < ? ORDER BY version)`;

const PAYLOADS = `SELECT ${[...['version', lengthOf('payload')].map(list), piece('payload')]}
FROM (SELECT version, payload FROM entries WHERE version >= ? AND version < ? ORDER BY version)`;

const VALUES = `SELECT ${[
  ...['set_version', ...['key', 'bytes'].map(lengthOf)].map(list),
  ...['key', 'value_hash', 'bytes'].map(piece),
]}
FROM (SELECT set_version, kind || '/' || id AS key, value_hash, bytes
  FROM spans CROSS JOIN descriptors USING (descriptor)
  WHERE set_version >= ? AND set_version < ? ORDER BY set_version, kind, id)`;

const ENDED = `SELECT ${[...['end_version', lengthOf('key')].map(list), piece('key')]}
FROM (SELECT end_version, kind || '/' || id AS key
  FROM spans CROSS JOIN descriptors USING (descriptor)
  WHERE end_version >= ? AND end_version < ? ORDER BY end_version, kind, id)`;

const SET = `SELECT max(descriptor), ${[
  ...['key', 'bytes'].map(lengthOf).map(list),
  ...['key', 'value_hash', 'bytes'].map(piece),
]}
FROM (SELECT descriptor, kind || '/' || id AS key, value_hash, bytes
  FROM spans INDEXED BY spans_current CROSS JOIN descriptors USING (descriptor)
  WHERE end_version IS NULL AND descriptor > ? ORDER BY descriptor LIMIT ${PAGE_VALUES})`;

const CURRENT = `SELECT max(descriptor), ${[list(lengthOf('key')), ...['key', 'value_hash'].map(piece)]}
FROM (SELECT descriptor, kind || '/' || id AS key, value_hash
  FROM spans INDEXED BY spans_current CROSS JOIN descriptors USING (descriptor)
  WHERE end_version IS NULL AND descriptor > ? ORDER BY descriptor LIMIT ${PAGE_CURRENT})`;

const NODES = `SELECT ${[list('place'), piece('hash')]}
FROM (SELECT place, hash FROM nodes WHERE level = ? AND place >= ? AND place < ? ORDER BY place)`;

export class DatabaseScan implements Disposable {
  readonly #db: Database.Database;
  readonly #path: string;
  readonly #nodes: PageReader;

  /** Throws what `openReadOnly` throws. */
  constructor(path: string, options: ReadOnlyOptions = {}) {
    this.#db = openReadOnly(path, options);
    this.#path = path;
    this.#nodes = this.#reader(NODES);
  }

  /** SQLite's own check, every index held against its table. Throws `storage_damaged`. */
  assertSound(): void {
    this.#read(() => assertSound(this.#db));
  }

  /** From version 0 up to where there are no more. */
  *entryPages(): Generator<EntryPage> {
    const read = this.#reader(ENTRIES);
    for (let from = 0; ; from += PAGE_VERSIONS) {
      const page = read(from, from + PAGE_VERSIONS);
      const versions = page.list<number>(0);
      if (versions.length === 0) return;
      yield {
        versions,
        types: page.list<string>(1),
        leafBytes: page.list<number>(2),
        payloadBytes: page.list<number>(3),
        approvalsBytes: page.list<number>(4),
        entryHashes: page.piece(5),
        payloadB3s: page.piece(6),
        leaves: page.piece(7),
        payloads: page.piece(8),
        approvals: page.piece(9),
      };
    }
  }

  /** From version 0 up to where there are no more payloads. */
  *changePages(): Generator<ChangePage> {
    const readPayloads = this.#reader(PAYLOADS);
    const readValues = this.#reader(VALUES);
    const readEnded = this.#reader(ENDED);
    for (let from = 0; ; from += PAGE_VERSIONS) {
      const to = from + PAGE_VERSIONS;
      const payloads = payloadColumns(readPayloads(from, to));
      if (payloads.versions.length === 0) return;
      yield {
        payloads,
        values: valueColumns(readValues(from, to)),
        ended: endedColumns(readEnded(from, to)),
      };
    }
  }

  /** From the first descriptor up to where there are no more. */
  *setPages(): Generator<SetPage> {
    for (const page of this.#pagesAfter(SET))
      yield {
        keyLengths: page.list<number>(1),
        lengths: page.list<number>(2),
        keys: page.piece(3),
        hashes: page.piece(4),
        bytes: page.piece(5),
      };
  }

  /** As `setPages`. */
  *currentPages(): Generator<CurrentPage> {
    for (const page of this.#pagesAfter(CURRENT))
      yield { keyLengths: page.list<number>(1), keys: page.piece(2), hashes: page.piece(3) };
  }

  /** Each begins after the last descriptor of the one before, which its first column names. */
  *#pagesAfter(sql: string): Generator<Page> {
    const read = this.#reader(sql);
    for (let after = Number.MIN_SAFE_INTEGER; ; ) {
      const page = read(after);
      const last = page.number(0);
      if (last === null) return;
      // Numbers that are not told apart would give the same page for ever.
      if (!Number.isSafeInteger(last) || last <= after) throw outOfOrder(last);
      after = last;
      yield page;
    }
  }

  /**
   * In all, also at versions that no entry has. `slashed`: descriptors of which `kind/id` says not where the kind ends.
   * `gone`: values that ended where all was dropped.
   */
  counts(): {
    readonly values: number;
    readonly ended: number;
    readonly nodes: number;
    readonly slashed: number;
    readonly gone: number;
  } {
    return {
      slashed: this.#count("descriptors WHERE instr(kind, '/') > 0"),
      gone: this.#count('spans WHERE end_version <= (SELECT max(reached) FROM retention)'),
      values: this.#count('spans'),
      ended: this.#count('spans WHERE end_version IS NOT NULL'),
      nodes: this.#count('nodes'),
    };
  }

  /** Of one level of the tree from the place `from` on: those of `PAGE_NODES` places. */
  nodes(level: number, from: number): NodePage {
    const page = this.#nodes(level, from, from + PAGE_NODES);
    return { places: page.list<number>(0), hashes: page.piece(1) };
  }

  [Symbol.dispose](): void {
    this.#db.close();
  }

  #reader(sql: string): PageReader {
    const statement = this.#db.prepare<number[], Cell[]>(sql).raw();
    return (...parameters) => new Page(this.#read(() => statement.get(...parameters) ?? []));
  }

  #count(from: string): number {
    return this.#read(() =>
      Number(this.#db.prepare<[], number>(`SELECT count(*) FROM ${from}`).pluck().get()),
    );
  }

  #read<T>(read: () => T): T {
    try {
      return read();
    } catch (cause) {
      throw storageError(cause, `a readable database at ${this.#path}`);
    }
  }
}

type PageReader = (...parameters: readonly number[]) => Page;
function outOfOrder(last: number): RegistryError {
  return new RegistryError('storage_damaged', `expected descriptors in order, got ${last}`);
}

function payloadColumns(page: Page): PayloadColumns {
  return { versions: page.list<number>(0), lengths: page.list<number>(1), bytes: page.piece(2) };
}

function valueColumns(page: Page): ValueColumns {
  return {
    setVersions: page.list<number>(0),
    keyLengths: page.list<number>(1),
    lengths: page.list<number>(2),
    keys: page.piece(3),
    hashes: page.piece(4),
    bytes: page.piece(5),
  };
}

function endedColumns(page: Page): EndedColumns {
  return {
    endVersions: page.list<number>(0),
    keyLengths: page.list<number>(1),
    keys: page.piece(2),
  };
}
