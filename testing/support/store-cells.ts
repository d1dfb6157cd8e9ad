/**
 * Where each byte of each row lies in a closed SQLite file, so that a test can change one as a disk
 * would: not through SQLite, which would keep the rest in step. The file format is documented at
 * sqlite.org/fileformat2.html, and numbers in brackets below are its sections.
 */
import { readFileSync } from 'node:fs';
import Database from 'better-sqlite3';

/** A part of one row. Constants and nulls have no bytes of their own: they are in the row's `header`. */
export interface Cell {
  /** The table or index. */
  readonly tree: string;
  /** The row's place in the tree's order of pages, from 0. */
  readonly row: number;
  /** `size`, `rowid`, `header`, or a column's name. */
  readonly part: string;
  /** Of its bytes in the file. */
  readonly offsets: readonly number[];
}

interface Tree {
  readonly name: string;
  readonly root: number;
  /** Of a record, in order. */
  readonly columns: readonly string[];
}

/** Of every table and index but the schema's own, in a file whose write-ahead log is empty. */
export function cellsOf(path: string): readonly Cell[] {
  const file = new DatabaseFile(readFileSync(path));
  return treesOf(path).flatMap(({ name, root, columns }) =>
    file.rowsOf(root).flatMap((parts, row) =>
      parts
        .map(([column, offsets]) => ({
          tree: name,
          row,
          part: typeof column === 'number' ? (columns[column] ?? `column ${column}`) : column,
          offsets,
        }))
        .filter(({ offsets }) => offsets.length > 0),
    ),
  );
}

function treesOf(path: string): readonly Tree[] {
  const db = new Database(path, { readonly: true });
  const roots = db
    .prepare<[], { type: string; name: string; root: number }>(
      'SELECT type, name, rootpage AS root FROM sqlite_schema WHERE rootpage > 0',
    )
    .all();
  const names = (sql: string, name: string) =>
    db.prepare<[string], string | null>(sql).pluck().all(name);
  const trees = roots.map(({ type, name, root }) => ({
    name,
    root,
    columns:
      type === 'table'
        ? names('SELECT name FROM pragma_table_info(?)', name)
        : names('SELECT name FROM pragma_index_xinfo(?)', name),
  }));
  db.close();
  return trees.map((tree) => ({ ...tree, columns: tree.columns.map((c) => c ?? 'rowid') }));
}

type Part = readonly [part: string | number, offsets: readonly number[]];

const HEADER_BYTES = 100;
const INTERIOR_INDEX = 2;
const INTERIOR_TABLE = 5;
const LEAF_TABLE = 13;

class DatabaseFile {
  readonly #bytes: Buffer;
  readonly #pageBytes: number;
  readonly #usable: number;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    const size = bytes.readUInt16BE(16);
    this.#pageBytes = size === 1 ? 65_536 : size;
    this.#usable = this.#pageBytes - bytes[20]!;
  }

  /** [1.6] The parts of every row in a tree. */
  rowsOf(page: number): readonly (readonly Part[])[] {
    const start = (page - 1) * this.#pageBytes;
    const header = start + (page === 1 ? HEADER_BYTES : 0);
    const type = this.#bytes[header]!;
    const isInterior = type === INTERIOR_INDEX || type === INTERIOR_TABLE;
    const pointers = header + (isInterior ? 12 : 8);
    const count = this.#bytes.readUInt16BE(header + 3);
    const rows: (readonly Part[])[] = [];
    for (let i = 0; i < count; i++) {
      const cell = start + this.#bytes.readUInt16BE(pointers + 2 * i);
      if (isInterior) rows.push(...this.rowsOf(this.#bytes.readUInt32BE(cell)));
      if (type !== INTERIOR_TABLE) rows.push(this.#partsOf(cell + (isInterior ? 4 : 0), type));
    }
    if (isInterior) rows.push(...this.rowsOf(this.#bytes.readUInt32BE(header + 8)));
    return rows;
  }

  #partsOf(cell: number, type: number): readonly Part[] {
    const size = this.#varint(cell);
    const rowid = type === LEAF_TABLE ? this.#varint(size.end) : { end: size.end };
    const record = this.#payload(rowid.end, { bytes: size.value, type });
    return [
      ['size', range(cell, size.end)],
      ['rowid', range(size.end, rowid.end)],
      ...this.#columns(record),
    ];
  }

  /** [1.6] Where the bytes of a record lie, which may go on in overflow pages. */
  #payload(at: number, { bytes, type }: { bytes: number; type: number }): readonly number[] {
    const usable = this.#usable;
    const most = type === LEAF_TABLE ? usable - 35 : Math.floor(((usable - 12) * 64) / 255) - 23;
    if (bytes <= most) return range(at, at + bytes);
    const least = Math.floor(((usable - 12) * 32) / 255) - 23;
    const kept = least + ((bytes - least) % (usable - 4));
    const local = kept <= most ? kept : least;
    const offsets = range(at, at + local);
    let next = this.#bytes.readUInt32BE(at + local);
    while (next !== 0) {
      const start = (next - 1) * this.#pageBytes;
      offsets.push(...range(start + 4, start + Math.min(usable, 4 + bytes - offsets.length)));
      next = this.#bytes.readUInt32BE(start);
    }
    return offsets;
  }

  /** [2.1] */
  #columns(record: readonly number[]): readonly Part[] {
    const header = this.#varint(record[0]!);
    const parts: Part[] = [['header', record.slice(0, header.value)]];
    let body = header.value;
    for (let at = header.end; at < record[0]! + header.value; ) {
      const type = this.#varint(at);
      const length = lengthOf(type.value);
      parts.push([parts.length - 1, record.slice(body, body + length)]);
      body += length;
      at = type.end;
    }
    return parts;
  }

  /** [1.6] Of at most 4 bytes, which is enough for sizes and rowids of a small file. */
  #varint(at: number): { value: number; end: number } {
    let value = 0;
    for (let end = at; ; end++) {
      const byte = this.#bytes[end]!;
      value = value * 128 + (byte & 0x7f);
      if (byte < 0x80) return { value, end: end + 1 };
    }
  }
}

/** [2.1] Of a value with this serial type. */
function lengthOf(serialType: number): number {
  if (serialType >= 12) return Math.floor((serialType - 12) / 2);
  return [0, 1, 2, 3, 4, 6, 8, 8, 0, 0][serialType] ?? 0;
}

function range(start: number, end: number): number[] {
  return Array.from({ length: Math.max(0, end - start) }, (_, i) => start + i);
}
