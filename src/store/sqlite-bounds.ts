/**
 * Whether a database from elsewhere can be read without holding more than one of ours would need: gigabytes of
 * zeros come compressed in a file of a few hundred kilobytes. Sizes stand in the header of a row, so what is too
 * large is found before it is read.
 */
import type Database from 'better-sqlite3';
import { RegistryError } from '../core/error.ts';
import { MAX_CHANGES, MAX_PAYLOAD_BYTES } from '../core/payload.ts';
import { storageError } from './sqlite-errors.ts';
import { openAnyVersion } from './sqlite-open.ts';

/** No payload is larger, and nothing that is kept beside one is. */
const MAX_CELL_BYTES = MAX_PAYLOAD_BYTES;
/** Of a kind or an id: they are read once for each value. */
const MAX_KEY_BYTES = 256;
const HASH_BYTES = 32;
/** Of rows that are read at once, far more than any registry has. */
const MAX_HELD_BYTES = 256 * 1024 * 1024;
/** What a row that is held takes, its contents aside. */
const ROW_BYTES = 128;

/** Of values of descriptors it matters how many of them an entry put or ended. */
const VALUES = 'spans';

interface Held {
  readonly what: string;
  readonly table: string;
  readonly columns: readonly string[];
  readonly where?: string;
}

/** Read at once when a registry is opened. */
const HELD: readonly Held[] = [
  { what: 'proposals in flight', table: 'proposals', columns: ['payload'] },
  {
    what: 'approvals of them',
    table: 'approvals',
    columns: ['signer_id', 'algo', 'sig', 'signed_at'],
  },
  {
    what: 'governances',
    table: 'entries',
    columns: ['leaf', 'payload', 'approvals'],
    where: `type IN ('genesis', 'governance')`,
  },
  { what: 'erasures', table: 'erasures', columns: [] },
];

/** The first number of a row; each new one gets the next. Larger ones are no longer told apart. */
const NUMBERED = [
  ['entries', 'version', 0],
  ['descriptors', 'descriptor', 1],
  ['spans', 'span', 1],
  ['proposals', 'arrival', 1],
  ['approvals', 'arrival', 1],
] as const;
const MAX_NUMBER = 2 ** 52;

/** Throws `storage_damaged`, or what opening it throws. Of any schema version. */
export function assertBounded(path: string): void {
  const db = openAnyVersion(path);
  try {
    assertPages(db);
    const tables = new Set(
      column<string>(db, "SELECT name FROM sqlite_schema WHERE type = 'table'"),
    );
    for (const table of tables) if (table !== VALUES) assertCells(db, table);
    assertNumbers(db);
    assertValues(db);
    for (const held of HELD) if (tables.has(held.table)) assertHeld(db, held);
  } catch (cause) {
    throw storageError(cause, `a readable database at ${path}`);
  } finally {
    db.close();
  }
}

/** Each page stands in one place: trees that share pages would be read for ever. */
function assertPages(db: Database.Database): void {
  const pages = Number(db.pragma('page_count', { simple: true }));
  const more = db.prepare<[number]>('SELECT 1 FROM dbstat LIMIT 1 OFFSET ?').all(pages);
  if (more.length > 0)
    throw harmful(`each of ${pages} pages in one place of one tree`, 'one in several');
}

/** No version put or ended more of them than its payload had room for. */
function assertValues(db: Database.Database): void {
  const bytes = `sum(octet_length(bytes) + octet_length(value_hash) - ${HASH_BYTES})`;
  for (const [version, isTooMuch] of [
    ['set_version', `count(*) > ${MAX_CHANGES} OR ${bytes} > ${MAX_PAYLOAD_BYTES}`],
    ['end_version', `count(*) > ${MAX_CHANGES}`],
  ]) {
    const large = column<number>(
      db,
      `SELECT ${version} FROM ${VALUES} WHERE ${version} IS NOT NULL GROUP BY ${version} HAVING ${isTooMuch} LIMIT 1`,
    );
    if (large.length > 0)
      throw harmful(
        `at most ${MAX_CHANGES} values of ${MAX_PAYLOAD_BYTES} bytes to begin or end at a version`,
        `more at ${large[0]}`,
      );
  }
}

function assertNumbers(db: Database.Database): void {
  for (const [table, number, least] of NUMBERED) {
    const [low, high] = [
      `(SELECT min(${number}) FROM ${table})`,
      `(SELECT max(${number}) FROM ${table})`,
    ];
    if (
      column<number>(db, `SELECT 1 WHERE ${low} < ${least} OR ${high} > ${MAX_NUMBER}`).length > 0
    )
      throw harmful(`rows of the table ${table} numbered from ${least} on`, 'another number');
  }
}

function assertCells(db: Database.Database, table: string): void {
  const columns = column<string>(db, 'SELECT name FROM pragma_table_info(?)', table);
  const most = table === 'descriptors' ? MAX_KEY_BYTES : MAX_CELL_BYTES;
  const isLarge = columns.map((name) => `octet_length(${name}) > ${most}`).join(' OR ');
  const large = column<number>(db, `SELECT 1 FROM ${table} WHERE ${isLarge} LIMIT 1`);
  if (large.length > 0)
    throw harmful(`nothing of more than ${most} bytes in the table ${table}`, 'more');
}

function assertHeld(db: Database.Database, { what, table, columns, where = 'TRUE' }: Held): void {
  const bytes = [ROW_BYTES, ...columns.map((name) => `octet_length(${name})`)].join(' + ');
  const [held = 0] = column<number | null>(db, `SELECT sum(${bytes}) FROM ${table} WHERE ${where}`);
  if (held !== null && held > MAX_HELD_BYTES)
    throw harmful(`at most ${MAX_HELD_BYTES} bytes of ${what}`, String(held));
}

function column<T>(db: Database.Database, sql: string, ...parameters: string[]): T[] {
  return db
    .prepare<string[], T>(sql)
    .pluck()
    .all(...parameters);
}

function harmful(expected: string, got: string): RegistryError {
  return new RegistryError(
    'storage_damaged',
    `expected ${expected}, got ${got}: no registry writes that, so it was made to harm who reads it`,
  );
}
