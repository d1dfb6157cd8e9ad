/** What guards the database from our own mistakes and from other hands: settings, triggers, plans. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import { NodeReader, prepareNodeQueries } from '../../src/store/sqlite-nodes.ts';
import { assertSynchronous, openReadOnly, openWriter } from '../../src/store/sqlite-open.ts';
import { prepareReads, prepareWrites } from '../../src/store/sqlite-retention.ts';
import { prepareSpanQueries } from '../../src/store/sqlite-span-queries.ts';
import { SqliteWriter } from '../../src/store/sqlite-write.ts';
import { makeEntry, put } from '../support/store-entries.ts';
import { makePath } from '../support/store-sqlite.ts';

function setting(db: Database.Database, name: string): unknown {
  return db.pragma(name, { simple: true });
}

/** A database with two versions of one descriptor, on its writing connection. */
function makeWritten(): { readonly db: Database.Database; readonly path: string } {
  const path = makePath();
  const db = openWriter(path);
  const entries = [
    makeEntry(0),
    makeEntry(1, { changes: [put('a', '1')] }),
    makeEntry(2, { changes: [put('a', '2')] }),
  ];
  new SqliteWriter(db).apply({ type: 'append', expected: -1, entries });
  return { db, path };
}

test('the writing connection waits for the disk, also after a write', () => {
  const { db } = makeWritten();
  assert.equal(setting(db, 'synchronous'), 2);
  assertSynchronous(db);
});

test('a connection that was told nothing stops waiting for the disk at its first write, and is found out', () => {
  const db = new Database(makePath());
  db.pragma('journal_mode = WAL');
  assert.equal(setting(db, 'synchronous'), 2);
  assertSynchronous(db);
  db.exec('CREATE TABLE t (a)');
  assert.equal(setting(db, 'synchronous'), 1);
  assert.throws(() => assertSynchronous(db), { code: 'storage_failed' });
});

test('the writing connection keeps its settings', () => {
  const { db } = makeWritten();
  const settings = {
    journal_mode: 'wal',
    wal_autocheckpoint: 0,
    journal_size_limit: 6 * 1024 * 1024,
    mmap_size: 0,
    trusted_schema: 0,
    foreign_keys: 1,
    secure_delete: 1,
    user_version: 3,
    application_id: 0x51756f72,
  };
  for (const [name, value] of Object.entries(settings))
    assert.equal(setting(db, name), value, name);
});

test('a reading connection cannot write', () => {
  const { path } = makeWritten();
  const db = openReadOnly(path);
  assert.equal(setting(db, 'trusted_schema'), 0);
  assert.throws(() => db.exec('DELETE FROM proposals'), { code: 'SQLITE_READONLY' });
});

for (const statement of [
  "UPDATE entries SET leaf = x'00' WHERE version = 1",
  'DELETE FROM entries WHERE version = 2',
  "INSERT OR REPLACE INTO entries SELECT 1, entry_hash, payload_b3, type, expires_at, x'00', approvals, payload FROM entries WHERE version = 1",
  'INSERT INTO entries SELECT 9, entry_hash, zeroblob(32), type, expires_at, leaf, approvals, payload FROM entries WHERE version = 1',
  "UPDATE descriptors SET id = 'b'",
  'DELETE FROM descriptors',
  "UPDATE spans SET bytes = x'00' WHERE end_version IS NULL",
  'UPDATE spans SET set_version = 0 WHERE end_version IS NULL',
  'UPDATE spans SET end_version = NULL WHERE end_version IS NOT NULL',
  'DELETE FROM spans WHERE end_version IS NOT NULL',
  'UPDATE nodes SET hash = zeroblob(32) WHERE level = 0 AND place = 1',
  'UPDATE nodes SET place = 9 WHERE level = 0 AND place = 2',
  'DELETE FROM nodes WHERE level = 1',
  'INSERT INTO nodes VALUES (0, 1, zeroblob(32))',
  'INSERT OR REPLACE INTO nodes VALUES (0, 1, zeroblob(32))',
  'INSERT OR IGNORE INTO nodes VALUES (0, 4, zeroblob(32))',
  'INSERT INTO nodes VALUES (3, 1, zeroblob(32))',
])
  test(`the database refuses: ${statement.slice(0, 60)}`, () => {
    const { db } = makeWritten();
    assert.throws(() => db.exec(statement), { code: 'SQLITE_CONSTRAINT_TRIGGER' });
  });

/** Version 1 is let go of: by an erasing entry, or because it is below the oldest. */
function makeLetGo(how: 'pruned' | 'erased'): Database.Database {
  const { db } = makeWritten();
  const writer = new SqliteWriter(db);
  if (how === 'pruned') writer.apply({ type: 'set_oldest', oldest: 2 });
  else
    writer.apply({
      type: 'append',
      expected: 2,
      entries: [makeEntry(3, { type: 'erase', erases: 1 })],
    });
  return db;
}

for (const [how, statement] of [
  ['pruned', "UPDATE entries SET payload = x'00' WHERE version = 1"],
  ['pruned', "UPDATE entries SET payload = x'', leaf = x'' WHERE version = 1"],
  ['pruned', "UPDATE entries SET payload = x'', approvals = x'00' WHERE version = 1"],
  ['pruned', "UPDATE entries SET payload = x'', approvals = x'' WHERE version = 0"],
  ['pruned', "UPDATE entries SET payload = x'', approvals = x'' WHERE version = 2"],
  ['pruned', "UPDATE spans SET bytes = x'' WHERE set_version = 1"],
  ['pruned', 'DELETE FROM spans WHERE end_version IS NULL'],
  ['pruned', 'UPDATE retention SET oldest = 1'],
  ['pruned', 'UPDATE retention SET reached = -1'],
  ['pruned', 'DELETE FROM retention'],
  ['erased', "UPDATE entries SET payload = x'', approvals = x'' WHERE version = 1"],
  ['erased', "UPDATE entries SET payload = x'' WHERE version = 2"],
  ['erased', "UPDATE spans SET bytes = x'' WHERE set_version = 2"],
  ['erased', "UPDATE spans SET bytes = x'', value_hash = zeroblob(32) WHERE set_version = 1"],
  ['erased', 'DELETE FROM spans WHERE set_version = 1'],
  ['erased', 'INSERT INTO erasures VALUES (0, 2)'],
  ['erased', 'INSERT OR REPLACE INTO erasures VALUES (1, 3)'],
  ['erased', 'UPDATE erasures SET version = 2'],
  ['erased', 'DELETE FROM erasures'],
] as const)
  test(`with version 1 ${how} the database refuses: ${statement.slice(0, 70)}`, () => {
    const db = makeLetGo(how);
    assert.throws(() => db.exec(statement), { code: 'SQLITE_CONSTRAINT_TRIGGER' });
  });

test('tables are strict: text is no version', () => {
  const { db } = makeWritten();
  const insert = `INSERT INTO proposals (payload_b3, received_at, expires_at, payload)
    VALUES (zeroblob(32), 'now', 'then', 'text')`;
  assert.throws(() => db.exec(insert), { code: 'SQLITE_CONSTRAINT_DATATYPE' });
});

for (const statement of [
  'INSERT INTO nodes VALUES (0, 3, zeroblob(31))',
  "INSERT INTO checkpoint (only, note) VALUES (2, 'a second')",
])
  test(`the database refuses: ${statement}`, () => {
    const { db } = makeWritten();
    assert.throws(() => db.exec(statement), { code: 'SQLITE_CONSTRAINT_CHECK' });
  });

test('a run of nodes ends before a hole, which only other hands can make', () => {
  const { db } = makeWritten();
  db.exec('DROP TRIGGER nodes_delete; DELETE FROM nodes WHERE level = 0 AND place = 1');
  const nodes = new NodeReader(db);
  const [first, , third] = nodes.at([0, 1, 2].map((index) => ({ level: 0, index })));
  assert.ok(first !== undefined && third !== undefined);
  assert.deepEqual(nodes.run({ level: 0, index: 0, count: 3 }), [first]);
  assert.deepEqual(nodes.run({ level: 0, index: 1, count: 3 }), []);
  assert.deepEqual(nodes.run({ level: 0, index: 2, count: 3 }), [third]);
});

test('what a step of pruning or an erasure touches is found by a seek, however long the log', () => {
  const { db } = makeWritten();
  const statements = Object.entries({ ...prepareReads(db), ...prepareWrites(db) });
  assert.equal(statements.length, 12);
  for (const [name, { source }] of statements) {
    const count = source.match(/\?/g)?.length ?? 0;
    const explain = db.prepare<number[], { detail: string }>(`EXPLAIN QUERY PLAN ${source}`);
    const steps = explain.all(...Array<number>(count).fill(1)).map(({ detail }) => detail);
    // One row, and one for each erasure.
    const costly = steps.filter((step) => /SCAN (?!retention\b|e\b)|TEMP B-TREE/.test(step));
    assert.deepEqual(costly, [], name);
  }
});

test('every read of the descriptor index and of the tree is a seek or a walk along an index, and sorts nothing', () => {
  const { db } = makeWritten();
  const statements = Object.entries({ ...prepareSpanQueries(db), ...prepareNodeQueries(db) });
  const version = { version: 1, from: 0, to: 1, high: 1, before: 9, limit: 9 };
  const place = { level: 0, index: 0, count: 9 };
  const key = { kind: 'thing', id: 'a', descriptor: 1, descriptors: '[1]' };
  const bound = { ...version, ...place, ...key };
  assert.equal(statements.length, 12);
  for (const [name, { source }] of statements) {
    const ones = Array<number>(source.match(/\?/g)?.length ?? 0).fill(1);
    const explain = db.prepare<unknown[], { detail: string }>(`EXPLAIN QUERY PLAN ${source}`);
    const steps = explain.all(...ones, bound).map(({ detail }) => detail);
    // `k` is the list of keys handed in.
    const costly = steps.filter((step) => /SCAN (?!k\b)|TEMP B-TREE/.test(step));
    assert.deepEqual(costly, [], name);
    assert.ok(
      steps.some((step) => step.startsWith('SEARCH')),
      name,
    );
  }
});
