/** Opening: what is not ours, not whole or not free is refused, and left as it was. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import { CommitLane } from '../../src/store/commit-lane.ts';
import { openSqliteReader } from '../../src/store/sqlite.ts';
import { openReadOnly } from '../../src/store/sqlite-open.ts';
import { CHILD_ENV, programOf } from '../support/child.ts';
import { makeReadOnly, mountSmall } from '../support/mount.ts';
import { makeEntry, put } from '../support/store-entries.ts';
import { recover } from '../support/store-recover.ts';
import { makeDirectory, makePath, openStore } from '../support/store-sqlite.ts';

const CHILD = programOf('store-child');

/** A database with content, closed in good order. */
function makeClosed(path = makePath()): string {
  const lane = new CommitLane(path);
  const ids = Array.from({ length: 500 }, (_, i) => `id-${i}`);
  const changes = ids.map((id) => put(id, 'value'.repeat(20)));
  const entries = [makeEntry(0), makeEntry(1, { changes })];
  lane.run([{ type: 'append', expected: -1, entries }]);
  lane.close();
  return path;
}

/** Changes a database as another program might. */
function tamper(path: string, sql: string): void {
  const db = new Database(path);
  db.exec(sql);
  db.close();
}

test('a new database is made with its directory, also from an empty file', async (t) => {
  const store = await openStore(t, join(makeDirectory(), 'a/b/quorate.db'));
  assert.equal(await store.head(), undefined);
  const path = makePath();
  writeFileSync(path, '');
  assert.equal(await (await openStore(t, path)).head(), undefined);
});

test('a database that a store of this process has open is locked, by whatever name', async (t) => {
  const path = makePath();
  const store = await openStore(t, path);
  await assert.rejects(openStore(t, path), { code: 'storage_locked' });
  const link = makePath();
  symlinkSync(path, link);
  await assert.rejects(openStore(t, link), { code: 'storage_locked' });
  await store[Symbol.asyncDispose]();
  await openStore(t, link);
});

test('a database that another process has open is locked until that process is dead', async (t) => {
  const path = makePath();
  const stdio = ['ignore', 'pipe', 'inherit'] as const;
  const parameters = [CHILD, path, '1000000'];
  const child = spawn(process.execPath, parameters, { stdio: [...stdio], env: CHILD_ENV });
  await once(child.stdout!, 'data');
  await assert.rejects(openStore(t, path), { code: 'storage_locked' });
  child.stdout!.resume();
  child.kill('SIGKILL');
  await once(child, 'exit');
  await openStore(t, path);
});

test('what a dead process left in the write-ahead log is in the main file once it is opened', async (t) => {
  const path = makePath();
  const child = spawn(process.execPath, [CHILD, path, '1000000'], { env: CHILD_ENV });
  let told = '';
  for await (const chunk of child.stdout) {
    told += chunk;
    if (told.includes('ack 5')) child.kill('SIGKILL');
  }
  assert.ok(statSync(`${path}-wal`).size > 0, 'nothing was left in the log');
  await openStore(t, path);
  assert.equal(statSync(`${path}-wal`).size, 0);
  const main = join(makeDirectory(), 'main-file-alone.db');
  writeFileSync(main, readFileSync(path));
  assert.ok((await recover(main)).head >= 5);
});

test('a database of a newer program is refused', async (t) => {
  const path = makeClosed();
  tamper(path, 'PRAGMA user_version = 4');
  await assert.rejects(openStore(t, path), { code: 'storage_newer' });
  assert.throws(() => openSqliteReader({ path }), { code: 'storage_newer' });
});

for (const [whose, sql] of [
  ['another program with tables of its own', 'CREATE TABLE notes (text)'],
  ['another program with a name of its own', 'PRAGMA application_id = 7'],
  ['another program that counts its versions', 'PRAGMA user_version = 1'],
] as const)
  test(`the database of ${whose} is refused and left as it was`, async (t) => {
    const path = makePath();
    tamper(path, sql);
    const before = readFileSync(path);
    await assert.rejects(openStore(t, path), { code: 'storage_foreign' });
    assert.deepEqual(readFileSync(path), before);
    assert.throws(() => openSqliteReader({ path }), { code: 'storage_foreign' });
  });

for (const [what, sql] of [
  ['a trigger that was dropped', 'DROP TRIGGER entries_let_go'],
  ['an index that was dropped', 'DROP INDEX spans_end'],
  ['a table that was added', 'CREATE TABLE extra (a)'],
  [
    'a trigger that was replaced',
    'DROP TRIGGER spans_pruned; CREATE TRIGGER spans_pruned BEFORE DELETE ON spans BEGIN SELECT 1; END',
  ],
  ['a version set back', 'PRAGMA user_version = 0'],
  ["a table of SQLite's own", 'CREATE TABLE a (a INTEGER PRIMARY KEY AUTOINCREMENT); DROP TABLE a'],
] as const)
  test(`a database with ${what} is refused`, async (t) => {
    const path = makeClosed();
    tamper(path, sql);
    await assert.rejects(openStore(t, path), { code: 'storage_damaged' });
  });

test('statistics that an operator had SQLite gather do not matter', async (t) => {
  const path = makeClosed();
  tamper(path, 'ANALYZE');
  assert.equal((await (await openStore(t, path)).head())?.version, 1);
});

for (const [how, damage] of [
  ['cut in half', (path: string) => truncateSync(path, statSync(path).size / 2)],
  ['cut within its header', (path: string) => truncateSync(path, 50)],
  ['with another first byte', (path: string) => flip(path, 0)],
  ['with a flipped bit in its page size', (path: string) => flip(path, 16)],
  ['with a flipped bit in its first tree page', (path: string) => flip(path, 100)],
  [
    'that is text',
    (path: string) => writeFileSync(path, 'not a database, but long enough '.repeat(99)),
  ],
] as const)
  test(`a database ${how} is damaged`, async (t) => {
    const path = makeClosed();
    damage(path);
    const before = readFileSync(path);
    await assert.rejects(openStore(t, path), { code: 'storage_damaged' });
    assert.deepEqual(readFileSync(path), before);
    assert.throws(() => openSqliteReader({ path }), { code: 'storage_damaged' });
  });

function flip(path: string, offset: number): void {
  const bytes = readFileSync(path);
  bytes[offset] = (bytes[offset] ?? 0) ^ 0x40;
  writeFileSync(path, bytes);
}

test('damage that shows only when it is read is a refusal of that read', async (t) => {
  const path = makeClosed();
  const db = new Database(path, { readonly: true });
  const roots = db.prepare<[], number>('SELECT max(rootpage) FROM sqlite_schema').pluck().get();
  db.close();
  const bytes = readFileSync(path);
  assert.ok(roots !== undefined && bytes.length > (roots + 5) * 4096, 'there is nothing to damage');
  // Every page but the ones that opening reads.
  bytes.fill(0xff, roots * 4096);
  writeFileSync(path, bytes);
  const store = await openStore(t, path);
  const read = async () => {
    for await (const _ of store.set(1));
    await store.entries({ from: 0, limit: 9 });
  };
  await assert.rejects(read(), { code: 'storage_damaged' });
});

test('a read-only file system is refused in words that help', async (t) => {
  const directory = process.getuid?.() === 0 ? mountSmall(t, '4m') : makeDirectory();
  if (directory === undefined) return;
  const path = makeClosed(join(directory, 'quorate.db'));
  makeReadOnly(directory);
  const refusal = { code: 'storage_failed', message: /read-only|may not write/ };
  await assert.rejects(openStore(t, path), refusal);
  await assert.rejects(openStore(t, join(directory, 'new/quorate.db')), refusal);
});

test('a directory in the place of the database is refused', async (t) => {
  const path = makePath();
  mkdirSync(path);
  await assert.rejects(openStore(t, path), { code: 'storage_failed' });
  await assert.rejects(openStore(t, join(CHILD, 'quorate.db')), {
    code: 'storage_failed',
  });
});

test('a refused database is free again', async (t) => {
  const path = makeClosed();
  tamper(path, 'PRAGMA user_version = 4');
  await assert.rejects(openStore(t, path), { code: 'storage_newer' });
  tamper(path, 'PRAGMA user_version = 3');
  const store = await openStore(t, path);
  assert.equal((await store.append({ expected: 1, entries: [makeEntry(2)] })).outcome, 'appended');
});

test('a connection that reads keeps as many pages as it is told', () => {
  const path = makeClosed();
  const cacheKib = (db: Database.Database) =>
    Number(db.pragma('cache_size', { simple: true })) * -1;
  const small = openReadOnly(path, { cacheBytes: 3 * 1024 * 1024 });
  const usual = openReadOnly(path);
  assert.deepEqual([cacheKib(small), cacheKib(usual)], [3 * 1024, 16_000]);
  small.close();
  usual.close();
});
