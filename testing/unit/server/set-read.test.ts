/** The set at the head, read in a thread: the rows that the store itself gives, or what is damaged. */
import assert from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import { before, test } from 'node:test';
import Database from 'better-sqlite3';
import { sortRows } from '../../../src/core/set-rows.ts';
import { makeSet, readSetRows } from '../../../src/registry/load.ts';
import { assertStoredEntry } from '../../../src/registry/stored.ts';
import { readSetInThread } from '../../../src/server/set-read.ts';
import { openSqliteReader, openSqliteStore } from '../../../src/store/sqlite.ts';
import { openTestRegistry, put, remove } from '../../support/registry.ts';
import { makePath } from '../../support/store-sqlite.ts';
import { withoutTriggers } from '../../support/store-triggers.ts';

/** More than a page has, and than a message waits for. */
const MANY = 5_000;
const REMOVED = 10;
const CURRENT = MANY - REMOVED;

/** A database that is closed, in which some were replaced and some removed. */
const made = makePath();

before(async () => {
  const store = await openSqliteStore({
    path: made,
    metrics: { fsync: () => undefined, checkpointed: () => undefined },
    onFatal: (error) => assert.fail(error),
  });
  const { change, registry } = await openTestRegistry({ store });
  const ids = Array.from({ length: MANY }, (_, i) => `d${i}`);
  const spec = (i: number) => ({ i, text: 'x'.repeat(i % 1_000 === 999 ? 20_000 : i % 50) });
  await change(...ids.map((id, i) => put(id, spec(i))));
  await change(...ids.slice(0, 20).map((id, i) => put(id, {}, spec(i))));
  await change(...ids.slice(0, REMOVED).map((id) => remove(id, {})));
  await registry[Symbol.asyncDispose]();
});

/** The path of a copy. */
function copied(): string {
  const path = makePath();
  copyFileSync(made, path);
  return path;
}

async function read(path: string, signal = new AbortController().signal) {
  const told: number[] = [];
  const onProgress = (done: number): void => void told.push(done);
  const rows = await readSetInThread(path)({ size: CURRENT, signal, onProgress });
  return { rows, told };
}

async function headLeaf(path: string) {
  await using store = openSqliteReader({ path });
  const head = await store.head();
  assert.ok(head !== undefined);
  return assertStoredEntry(head);
}

function changed(path: string, sql: string): void {
  const db = new Database(path);
  withoutTriggers(db, () => assert.equal(db.prepare(sql).run().changes, 1));
  db.close();
}

test('the rows are those of the store, and give the root of the head', async () => {
  const path = copied();
  const { rows, told } = await read(path);
  const leaf = await headLeaf(path);
  await using store = openSqliteReader({ path });
  const expected = await readSetRows(store, leaf);
  sortRows(expected);
  sortRows(rows);
  assert.deepEqual(Buffer.from(rows), Buffer.from(expected));
  assert.equal((await makeSet(rows, leaf)).size, CURRENT);
  assert.equal(told.length, 1);
});

test('a value that does not hash to its value hash is damage, and named', async () => {
  for (const column of ['bytes', 'value_hash']) {
    const path = copied();
    changed(
      path,
      `UPDATE spans SET ${column} = zeroblob(32) WHERE end_version IS NULL AND descriptor =
        (SELECT descriptor FROM descriptors WHERE id = 'd4321')`,
    );
    await assert.rejects(read(path), {
      code: 'storage_damaged',
      message: /^expected "?service\/d4321"? to hash to its value hash/,
    });
  }
});

test('a set with another key, one less or one twice is not that of the head', async () => {
  for (const sql of [
    "UPDATE descriptors SET id = 'other' WHERE id = 'd77'",
    `DELETE FROM spans WHERE end_version IS NULL AND descriptor =
      (SELECT descriptor FROM descriptors WHERE id = 'd77')`,
    `UPDATE descriptors SET id = 's/d78', kind = 'service' WHERE id = 'd77'`,
  ]) {
    const path = copied();
    changed(path, sql);
    const [{ rows }, leaf] = [await read(path), await headLeaf(path)];
    await assert.rejects(makeSet(rows, leaf), { code: 'storage_damaged' }, sql);
  }
});

test('it can be given up, and a database that is not there is the fault of the store', async () => {
  const path = copied();
  const abort = new AbortController();
  const reading = read(path, abort.signal);
  abort.abort();
  await assert.rejects(reading, { code: 'unavailable' });
  await assert.rejects(read(`${path}.other`), { code: 'storage_failed' });
});
