/** What SQLite leaves of rows that it moved and then deleted, and that nothing else of the file is touched. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import { Remains } from '../../src/store/sqlite-remains.ts';
import { assertSound, foundIn, moveRows, openMoved } from '../support/store-remains.ts';
import { makePath } from '../support/store-sqlite.ts';

function wipe(db: Database.Database, path: string): number {
  const remains = new Remains(db, path);
  let steps = 0;
  for (; remains.isDemanded; steps++) remains.step();
  assertSound(db);
  db.close();
  remains.close();
  return steps;
}

test('what was erased stands in no page, where SQLite itself leaves some of it', () => {
  const path = makePath();
  const db = openMoved(path);
  const erased = moveRows(db, { seed: 27, rows: 1_500 });
  assert.deepEqual(foundIn(path, erased), ['<10>', '<11>'], 'SQLite leaves nothing any more');
  wipe(db, path);
  assert.deepEqual(foundIn(path, erased), []);
});

test('no byte is written but where nothing is', () => {
  const path = makePath();
  const db = openMoved(path);
  moveRows(db, { seed: 27, rows: 1_500 });
  const before = readFileSync(path);
  wipe(db, path);
  const wiped = readFileSync(path);
  assert.equal(wiped.length, before.length);
  let changed = 0;
  for (const [at, byte] of wiped.entries()) {
    if (byte === before[at]) continue;
    assert.equal(byte, 0);
    changed++;
  }
  assert.ok(changed > 100, `${changed} bytes`);
  const rows = (of: Buffer): unknown => {
    const copy = makePath();
    writeFileSync(copy, of);
    const db = new Database(copy);
    const found = ['entries', 'spans', 'proposals'].map((table) =>
      db.prepare(`SELECT * FROM ${table}`).all(),
    );
    db.close();
    return found;
  };
  assert.deepEqual(rows(wiped), rows(before));
});

test('a step ends in time, and the next one goes on where it was, whatever was written meanwhile', () => {
  const path = makePath();
  const db = openMoved(path);
  moveRows(db, { seed: 27, rows: 1_500 });
  const remains = new Remains(db, path);
  let ms = 0;
  let steps = 0;
  for (; remains.isDemanded; steps++) {
    // A leaf of each step: the second look at the clock says that the time is over.
    remains.step(() => (ms += 2));
    if (steps % 50 === 0) {
      db.prepare('INSERT INTO spans VALUES (?, ?)').run(10_000 + steps, Buffer.alloc(700));
      db.pragma('wal_checkpoint(TRUNCATE)');
    }
  }
  const leaves = db
    .prepare<[], number>(
      `SELECT count(*) FROM dbstat WHERE pagetype = 'leaf' AND name IN ('entries', 'spans', 'proposals')`,
    )
    .pluck()
    .get();
  assert.ok(Math.abs(steps - (leaves ?? 0)) < 10, `${steps} steps for ${leaves} leaves`);
  assertSound(db);
  db.close();
  remains.close();
});
