/**
 * What stays of rows although SQLite overwrites what it deletes: where it rebuilds a page to balance a tree, rows move
 * within the page, and between the pointers to rows and the first row stays what stood there. No row and no free
 * block is there, so `secure_delete` never reaches it, and an erased payload may stand on in it.
 *
 * It is overwritten past SQLite, and only where the main file is the whole database and nobody else may change it:
 * under the write lock, while the write-ahead log is empty. No other byte is written.
 */
import { closeSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import type Database from 'better-sqlite3';
import { RegistryError } from '../core/error.ts';

/** Their rows have bytes of payloads. */
const TABLES = ['entries', 'spans', 'proposals'];
/** Of one step. */
const STEP_MS = 2;

// As the file format of SQLite has it: https://www.sqlite.org/fileformat2.html, 1.6.
const INTERIOR = { type: 0x05, headerBytes: 12 };
const LEAF = { type: 0x0d, headerBytes: 8 };
const ROWS_AT = 3;
const FIRST_ROW_AT = 5;
const LAST_CHILD_AT = 8;
const POINTER_BYTES = 2;
const CHILD_BYTES = 4;
const MAX_DEPTH = 20;
const MAX_PAGE_BYTES = 0x10000;

interface Place {
  /** A page. */
  readonly root: number;
  /** A row id: the leaves before it have been looked at. */
  readonly from: number;
}

interface Leaf {
  /** The first row id after it; `undefined`: it is the last. */
  readonly from: number | undefined;
  /** In the file, where neither rows nor free blocks are; `undefined`: it holds zeros. */
  readonly nothing: { readonly at: number; readonly bytes: number } | undefined;
}

export class Remains {
  readonly #db: Database.Database;
  readonly #path: string;
  readonly #page: Buffer;
  readonly #zeros: Buffer;
  #file: number | undefined;
  /** Still to be looked at. */
  #places: readonly Place[] = [];

  /** Of a connection that may write. Something was erased before: then all of it is demanded. */
  constructor(db: Database.Database, path: string) {
    const pageBytes = Number(db.pragma('page_size', { simple: true }));
    this.#db = db;
    this.#path = path;
    this.#page = Buffer.alloc(pageBytes);
    this.#zeros = Buffer.alloc(pageBytes);
    if (db.prepare('SELECT 1 FROM erasures').get() !== undefined) this.demand();
  }

  /** Something was erased: all is looked at, from the beginning. */
  demand(): void {
    const rootOf = this.#db
      .prepare<[string], number>(
        `SELECT rootpage FROM sqlite_schema WHERE type = 'table' AND name = ?`,
      )
      .pluck();
    this.#places = TABLES.map((table) => ({ root: rootOf.get(table) ?? 0, from: 0 }));
  }

  get isDemanded(): boolean {
    return this.#places.length > 0;
  }

  /** Until something is erased again, or the next start. */
  giveUp(): void {
    this.#places = [];
  }

  /**
   * Some milliseconds of it; once nothing is left to look at, it is durable. Expects the write lock and an empty
   * write-ahead log. Throws `storage_damaged` before it writes, and what the file system throws when it does.
   */
  step(now: () => number = () => performance.now()): void {
    const end = now() + STEP_MS;
    this.#file ??= openSync(this.#path, 'r+');
    // Pages that the connection holds would be written again as they were.
    this.#db.pragma('shrink_memory');
    do {
      const [place, ...others] = this.#places;
      if (place === undefined) return;
      const { from, nothing } = this.#leafWith(this.#file, place);
      this.#wipe(this.#file, nothing);
      const places = from === undefined ? others : [{ ...place, from }, ...others];
      if (places.length === 0) fsyncSync(this.#file);
      this.#places = places;
    } while (now() < end);
  }

  /** To be called after the connection's: closing a file lets go of all locks that the process has on it. */
  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
  }

  /** Of the one that has `from`, or would have it. Throws `storage_damaged` for all that it cannot read. */
  #leafWith(file: number, place: Place): Leaf {
    try {
      return this.#findLeaf(file, place);
    } catch (cause) {
      throw cause instanceof RegistryError ? cause : damaged('readable tables', String(cause));
    }
  }

  #findLeaf(file: number, { root, from }: Place): Leaf {
    let page = root;
    let last: number | undefined;
    for (let depth = 0; depth < MAX_DEPTH; depth++) {
      this.#read(file, page);
      const type = this.#page[0];
      if (type === LEAF.type)
        return { from: last === undefined ? undefined : last + 1, nothing: this.#nothingIn(page) };
      if (type !== INTERIOR.type) throw damaged(`a page of a table at ${page}`, `type ${type}`);
      const child = this.#childWith(from);
      page = child.page;
      last = child.last ?? last;
    }
    throw damaged(`a table at page ${root}`, 'one that is too deep');
  }

  #read(file: number, page: number): void {
    const { length } = this.#page;
    const got = page < 1 ? 0 : readSync(file, this.#page, 0, length, (page - 1) * length);
    if (got !== length) throw damaged(`page ${page} of the file`, `${got} bytes`);
  }

  /** `last`: the highest row id it may have; `undefined`: it is the last child. */
  #childWith(rowId: number): { readonly page: number; readonly last?: number } {
    const rows = this.#page.readUInt16BE(ROWS_AT);
    for (let row = 0; row < rows; row++) {
      const at = this.#page.readUInt16BE(INTERIOR.headerBytes + row * POINTER_BYTES);
      const last = this.#varint(at + CHILD_BYTES);
      if (rowId <= last) return { page: this.#page.readUInt32BE(at), last };
    }
    return { page: this.#page.readUInt32BE(LAST_CHILD_AT) };
  }

  /** Most significant first, seven bits a byte but for a ninth. Of our row ids, none has nine. */
  #varint(at: number): number {
    let value = 0;
    for (let i = 0; i < 8; i++) {
      const byte = this.#page.readUInt8(at + i);
      value = value * 0x80 + (byte & 0x7f);
      if (byte < 0x80) return value;
    }
    throw damaged('a row id', 'one that is too large');
  }

  /** Between the pointers to rows and the first of them. */
  #nothingIn(page: number): Leaf['nothing'] {
    const { length } = this.#page;
    const rows = this.#page.readUInt16BE(ROWS_AT);
    const begin = LEAF.headerBytes + rows * POINTER_BYTES;
    const end = this.#page.readUInt16BE(FIRST_ROW_AT) || MAX_PAGE_BYTES;
    for (let at = LEAF.headerBytes; at < begin; at += POINTER_BYTES)
      if (this.#page.readUInt16BE(at) < end)
        throw damaged(`rows of page ${page} from ${end} on`, 'one before');
    if (begin > end || end > length) throw damaged(`rows in page ${page}`, `${begin} to ${end}`);
    const isWiped = this.#page.subarray(begin, end).equals(this.#zeros.subarray(begin, end));
    return isWiped ? undefined : { at: (page - 1) * length + begin, bytes: end - begin };
  }

  #wipe(file: number, nothing: Leaf['nothing']): void {
    if (nothing !== undefined) writeSync(file, this.#zeros, 0, nothing.bytes, nothing.at);
  }
}

function damaged(expected: string, got: string): RegistryError {
  return new RegistryError(
    'storage_damaged',
    `expected ${expected}, got ${got}: the file is damaged: restore it from a backup or a replica`,
  );
}
