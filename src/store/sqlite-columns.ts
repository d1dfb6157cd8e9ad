/** Many rows read as one: of each column all that they have, joined by SQLite into one cell, and taken from there. */

/** Bytes of several rows, one behind the other; of a column of hashes 32 each. */
export type Piece = Buffer;
export type Cell = number | string | Buffer | null;

const NOTHING = Buffer.alloc(0);

/** Its columns, each in one cell; `null` where it has no rows. */
export class Page {
  readonly #cells: readonly Cell[];

  constructor(cells: readonly Cell[]) {
    this.#cells = cells;
  }

  /** Of numbers or texts, as SQLite wrote them: what a row lacks is not in it. */
  list<T>(column: number): readonly T[] {
    return JSON.parse(`[${this.#cells[column] ?? ''}]`) as readonly T[];
  }

  number(column: number): number | null {
    const cell = this.#cells[column];
    return typeof cell === 'number' ? cell : null;
  }

  piece(column: number): Piece {
    const cell = this.#cells[column];
    return Buffer.isBuffer(cell) ? cell : NOTHING;
  }
}

export function lengthOf(column: string): string {
  return `octet_length(${column})`;
}

export function list(column: string): string {
  return `group_concat(${column})`;
}

/** SQLite joins texts only: as one, bytes are left as they are. */
export function piece(column: string): string {
  return `CAST(group_concat(${column}, '') AS BLOB)`;
}
