/** When what SQLite left of erased rows goes: by itself, while others read and write, and after a restart. */
import assert from 'node:assert/strict';
import { closeSync, copyFileSync, openSync, readFileSync, writeSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import type { RegistryError } from '../../src/core/error.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import { copyDatabase } from '../../src/store/sqlite-copy-files.ts';
import { makeEntry, put } from '../support/store-entries.ts';
import { makePath, openStore } from '../support/store-sqlite.ts';

const MARK = '<what was erased and stayed>';

/** What SQLite does now and then, here for certain: in the middle of a leaf, far from where rows come next. */
function leave(path: string): void {
  const db = new Database(path);
  db.pragma('wal_checkpoint(TRUNCATE)');
  const { page } = db
    .prepare<[], { page: number }>(
      `SELECT pageno AS page FROM dbstat WHERE name = 'entries' AND pagetype = 'leaf'
       ORDER BY unused DESC LIMIT 1`,
    )
    .get() ?? { page: 0 };
  const pageBytes = Number(db.pragma('page_size', { simple: true }));
  db.close();
  const at = (page - 1) * pageBytes;
  const header = readFileSync(path).subarray(at, at + 8);
  const [rows, end] = [header.readUInt16BE(3), header.readUInt16BE(5)];
  const middle = Math.floor((8 + 2 * rows + end) / 2);
  assert.ok(end - middle > 1_000, `no room for it: ${middle} to ${end}`);
  const file = openSync(path, 'r+');
  writeSync(file, MARK, at + middle);
  closeSync(file);
  assert.ok(isLeft(path));
}

function isLeft(path: string): boolean {
  return readFileSync(path).includes(MARK);
}

async function gone(path: string): Promise<void> {
  for (let i = 0; i < 400 && isLeft(path); i++) await sleep(10);
  assert.ok(!isLeft(path), 'it stays');
}

async function append(
  store: Awaited<ReturnType<typeof openStore>>,
  ...[version, parts]: Parameters<typeof makeEntry>
): Promise<void> {
  const entries = [makeEntry(version, parts)];
  assert.equal((await store.append({ expected: version - 1, entries })).outcome, 'appended');
}

async function openErased(t: Parameters<typeof openStore>[0], path: string) {
  const store = await openStore(t, path);
  for (let version = 0; version < 39; version++)
    await append(store, version, { changes: version < 8 ? [] : [put(`id-${version}`, 'x')] });
  return store;
}

test('an erasure has it overwritten, though nobody writes after it', async (t) => {
  const path = makePath();
  const store = await openErased(t, path);
  await store[Symbol.asyncDispose]();
  leave(path);
  const again = await openStore(t, path);
  await sleep(100);
  assert.ok(isLeft(path), 'nothing was erased yet');
  await append(again, 39, { type: 'erase', erases: 7 });
  await gone(path);
  // The page was written with it a moment ago, and is written once more.
  await append(again, 40);
  await again[Symbol.asyncDispose]();
  assert.ok(!isLeft(path), 'it is back');
});

test('a copy that is made meanwhile has nothing of it', async (t) => {
  const path = makePath();
  const store = await openErased(t, path);
  await append(store, 39, { type: 'erase', erases: 7 });
  await store[Symbol.asyncDispose]();
  leave(path);
  const copy = makePath();
  await copyDatabase(path, copy, () => undefined);
  assert.ok(isLeft(path), 'who copies writes nothing');
  assert.ok(!isLeft(copy));
});

test('a start goes on with it, under commits and as soon as a reader of the log has ended', async (t) => {
  const path = makePath();
  const store = await openErased(t, path);
  await append(store, 39, { type: 'erase', erases: 7 });
  await store[Symbol.asyncDispose]();
  leave(path);
  const again = await openStore(t, path);
  const reader = new Database(path, { readonly: true });
  reader.exec('BEGIN');
  reader.prepare('SELECT count(*) FROM entries').get();
  for (let version = 40; version < 43; version++) await append(again, version);
  assert.equal(reader.prepare('SELECT count(*) FROM entries').pluck().get(), 40);
  reader.exec('COMMIT');
  reader.close();
  for (let version = 43; version < 45; version++) await append(again, version);
  await gone(path);
  const check = new Database(path, { readonly: true });
  assert.equal(check.pragma('integrity_check', { simple: true }), 'ok');
  assert.equal(check.prepare('SELECT count(*) FROM entries').pluck().get(), 45);
  check.close();
});

test('a damaged page ends the search and nothing else: it is told, and the others are read and written', async (t) => {
  const path = makePath();
  const store = await openErased(t, path);
  await append(store, 39, { type: 'erase', erases: 7 });
  await store[Symbol.asyncDispose]();
  const db = new Database(path, { readonly: true });
  const leaf = `SELECT pageno FROM dbstat WHERE name = 'entries' AND pagetype = 'leaf' LIMIT 1`;
  const page = Number(db.prepare(leaf).pluck().get());
  db.close();
  for (const damage of [
    Buffer.alloc(4_096),
    Buffer.alloc(4_096, 0x0d),
    Buffer.from([0x0d, 0, 0, 0xff]),
  ]) {
    const damaged = makePath();
    copyFileSync(path, damaged);
    const file = openSync(damaged, 'r+');
    writeSync(file, damage, 0, damage.length, (page - 1) * 4_096);
    closeSync(file);
    const told = Promise.withResolvers<RegistryError>();
    const again = await openSqliteStore({
      path: damaged,
      metrics: { fsync() {}, checkpointed() {} },
      onFatal: told.reject,
      onNotWiped: told.resolve,
    });
    t.after(() => again[Symbol.asyncDispose]());
    assert.equal((await told.promise).code, 'storage_damaged');
    const before = readFileSync(damaged).subarray((page - 1) * 4_096, page * 4_096);
    assert.deepEqual(before.subarray(0, damage.length), damage);
    await append(again, 40);
    assert.equal((await again.entry(40))?.version, 40);
  }
});
