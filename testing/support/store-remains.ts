/** Rows that SQLite moves about until it leaves some where they stood. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import Database from 'better-sqlite3';
import { makeRandom } from './random.ts';

/** As the store sets its connection, with tables that hold payloads as the store's do. */
export function openMoved(path: string): Database.Database {
  const db = new Database(path);
  db.pragma('journal_mode = WAL');
  db.pragma('wal_autocheckpoint = 0');
  db.pragma('synchronous = OFF');
  db.pragma('secure_delete = ON');
  db.exec('CREATE TABLE entries (version INTEGER PRIMARY KEY, payload BLOB) STRICT');
  db.exec('CREATE TABLE spans (span INTEGER PRIMARY KEY, bytes BLOB) STRICT');
  db.exec('CREATE TABLE proposals (arrival INTEGER PRIMARY KEY, payload BLOB) STRICT');
  db.exec('CREATE TABLE erasures (version INTEGER PRIMARY KEY) STRICT');
  db.exec('INSERT INTO erasures VALUES (1)');
  return db;
}

/** Commits and erases by a seed. Answers the marks of what was erased. */
export function moveRows(
  db: Database.Database,
  { seed, rows }: { readonly seed: number; readonly rows: number },
): readonly string[] {
  const random = makeRandom(seed);
  const below = (bound: number): number => Math.floor(random() * bound);
  const erased = new Set<number>();
  const insert = ['entries', 'spans'].map((table) =>
    db.prepare(`INSERT INTO ${table} VALUES (?, ?)`),
  );
  const erase = [
    db.prepare(`UPDATE entries SET payload = x'' WHERE version = ?`),
    db.prepare('DELETE FROM spans WHERE span = ?'),
  ];
  for (let row = 0; row < rows; row++) {
    const value = Buffer.from(`${markOf(row)}${'.'.repeat(below(1_500))}`);
    db.transaction(() => {
      for (const one of insert) one.run(row, value);
    })();
    if (row % 3 !== 0) continue;
    const version = below(row);
    erased.add(version);
    db.transaction(() => {
      for (const one of erase) one.run(version);
    })();
  }
  db.pragma('wal_checkpoint(TRUNCATE)');
  return [...erased].map(markOf);
}

function markOf(row: number): string {
  return `<${row}>`;
}

/** Those of the marks that the file has somewhere. */
export function foundIn(path: string, marks: readonly string[]): readonly string[] {
  const file = readFileSync(path);
  return marks.filter((mark) => file.includes(mark));
}

export function assertSound(db: Database.Database): void {
  assert.equal(db.pragma('integrity_check', { simple: true }), 'ok');
}
