/** Databases of older schema versions: brought up to date by the first program that may write to them. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import { openSqliteReader } from '../../src/store/sqlite.ts';
import { SCHEMA, SCHEMA_OF_VERSION_1, SCHEMA_OF_VERSION_2 } from '../../src/store/sqlite-schema.ts';
import { makeEntry } from '../support/store-entries.ts';
import { assertWholeLog, assertWholeTree } from '../support/store-log.ts';
import { identityOf, makeOlder, type OlderVersion } from '../support/store-older.ts';
import { makePath, openStore } from '../support/store-sqlite.ts';

const VERSION_1 = { version: 1, statements: [...SCHEMA_OF_VERSION_1].sort() };
const VERSION_2 = { version: 2, statements: [...SCHEMA_OF_VERSION_2].sort() };
const VERSION_3 = { version: 3, statements: [...SCHEMA].sort() };

function makePathOf(version: OlderVersion, size: number): string {
  const path = makePath();
  makeOlder(path, version, size);
  assert.deepEqual(identityOf(path), version === 1 ? VERSION_1 : VERSION_2);
  return path;
}

test('the statements of version 1 are those that databases in the field hold', () => {
  const digest = createHash('sha256').update(SCHEMA_OF_VERSION_1.join('\n')).digest('hex');
  assert.equal(digest, '5d8078f68e55279ac9ebd91c6b7e1144fdfee0b47abb2ab309f942a2bc33ba84');
});

// The sizes about a thousand are those of a page of leaves.
for (const size of [0, 1, 2, 3, 100, 999, 1_000, 1_001, 2_049])
  test(`a log of ${size} entries gets the tree over its leaves, and grows on`, async (t) => {
    const path = makePathOf(1, size);
    const store = await openStore(t, path);
    assert.deepEqual(identityOf(path), VERSION_3);
    await assertWholeTree(store, size);
    assert.equal((await store.head())?.version, size === 0 ? undefined : size - 1);
    const entries = [makeEntry(size), makeEntry(size + 1)];
    assert.equal((await store.append({ expected: size - 1, entries })).outcome, 'appended');
    await store.putCheckpoint('kept');
    await store[Symbol.asyncDispose]();
    const again = await openStore(t, path);
    await assertWholeTree(again, size + 2);
    assert.equal(await again.checkpoint(), 'kept');
  });

test('the statements of version 2 are those that databases in the field hold', () => {
  const digest = createHash('sha256').update(SCHEMA_OF_VERSION_2.join('\n')).digest('hex');
  assert.equal(digest, '8988c80d7ae2434cc7fc4900aa033557036a1bb8825f68a2b59ca7bd61baa2ee');
});

for (const version of [1, 2] as const)
  test(`what the log of version ${version} held before is untouched`, async (t) => {
    const path = makePathOf(version, 60);
    const store = await openStore(t, path);
    assert.deepEqual(identityOf(path), VERSION_3);
    assert.deepEqual(await assertWholeLog(store), { head: 59, kept: -1 });
    assert.deepEqual(await store.retention(), { oldest: 0, reached: 0, erasures: [] });
  });

test('what an older program deleted stands nowhere in the file any more', async (t) => {
  const path = makePathOf(2, 5);
  const secret = 'said once and taken back';
  const db = new Database(path);
  db.exec(
    `INSERT INTO proposals (payload_b3, received_at, expires_at, payload)
     VALUES (zeroblob(32), '', '', CAST('${secret}' AS BLOB)); DELETE FROM proposals`,
  );
  db.close();
  assert.ok(readFileSync(path).includes(secret), 'the older program leaves it in free space');
  const store = await openStore(t, path);
  await store[Symbol.asyncDispose]();
  assert.ok(!readFileSync(path).includes(secret));
});

test('a reader leaves it as it is, and says what to do', () => {
  const path = makePathOf(1, 3);
  const before = readFileSync(path);
  const refusal = { code: 'storage_failed', message: /start this server on it once/ };
  assert.throws(() => openSqliteReader({ path }), refusal);
  assert.deepEqual(readFileSync(path), before);
});

for (const [what, sql] of [
  ['an altered leaf', "UPDATE entries SET leaf = x'00' WHERE version = 2"],
  ['an altered entry hash', 'UPDATE entries SET entry_hash = zeroblob(32) WHERE version = 2'],
  ['a version that is missing', 'DELETE FROM entries WHERE version = 2'],
  ['no version 0', 'DELETE FROM entries WHERE version = 0'],
] as const)
  test(`no tree is built over ${what}: the database is damaged and stays as it is`, async (t) => {
    const path = makePathOf(1, 5);
    const db = new Database(path);
    const triggers = SCHEMA_OF_VERSION_1.filter((sql) => /^CREATE TRIGGER entries/.test(sql));
    for (const trigger of triggers) db.exec(`DROP TRIGGER ${trigger.split(' ')[2]}`);
    db.pragma('foreign_keys = OFF');
    db.exec(sql);
    for (const trigger of triggers) db.exec(trigger);
    db.close();
    await assert.rejects(openStore(t, path), { code: 'storage_damaged' });
    assert.deepEqual(identityOf(path), VERSION_1);
  });

for (const [what, sql] of [
  ['a trigger that was dropped', 'DROP TRIGGER entries_update'],
  ['a table that was added', 'CREATE TABLE extra (a)'],
  ['a table of version 2', 'CREATE TABLE nodes (a)'],
  ['a version that it has not', 'PRAGMA user_version = 2'],
] as const)
  test(`a database of version 1 with ${what} is damaged and stays as it is`, async (t) => {
    const path = makePathOf(1, 3);
    const db = new Database(path);
    db.exec(sql);
    db.close();
    const before = readFileSync(path);
    await assert.rejects(openStore(t, path), { code: 'storage_damaged' });
    assert.throws(() => openSqliteReader({ path }), { code: 'storage_damaged' });
    assert.deepEqual(readFileSync(path), before);
  });

test('a database of version 3 whose version was set back is damaged', async (t) => {
  const path = makePath();
  await (await openStore(t, path))[Symbol.asyncDispose]();
  const db = new Database(path);
  db.pragma('user_version = 1');
  db.close();
  await assert.rejects(openStore(t, path), { code: 'storage_damaged' });
});
