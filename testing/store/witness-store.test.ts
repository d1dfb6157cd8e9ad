/** What a witness keeps: compare and swap, never back, never another's file. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import { openWitnessStore, type WitnessedCheckpoint } from '../../src/store/witness-store.ts';
import { refuses } from '../support/core-assert.ts';
import { witnessFile } from '../support/witness.ts';

function state(size: number, fill = size, time = 100 + size): WitnessedCheckpoint {
  const root = new Uint8Array(32).fill(fill);
  return { origin: 'one.example/log', size, root, time, note: `note ${size} ${fill}` };
}

test('what was replaced last is what is read, also after it was opened again', () => {
  const path = witnessFile('w.db');
  {
    using store = openWitnessStore(path);
    assert.equal(store.latest('one.example/log'), undefined);
    assert.equal(store.replace(state(3), undefined), 'replaced');
    assert.equal(store.replace(state(8), state(3)), 'replaced');
    assert.equal(store.replace({ ...state(1), origin: 'two.example' }, undefined), 'replaced');
  }
  using store = openWitnessStore(path);
  assert.deepEqual(store.latest('one.example/log'), state(8));
  assert.deepEqual(store.latest('two.example'), { ...state(1), origin: 'two.example' });
});

test('a swap that expects another size, another root, or nothing, changes nothing', () => {
  using store = openWitnessStore(witnessFile('w.db'));
  assert.equal(store.replace(state(3), undefined), 'replaced');
  for (const expected of [undefined, state(2), state(4), state(3, 9)])
    assert.equal(store.replace(state(8), expected), 'conflict');
  assert.equal(store.replace({ ...state(8), origin: 'two.example' }, state(3)), 'conflict');
  assert.deepEqual(store.latest('one.example/log'), state(3));
});

test('the same checkpoint at a later time may replace itself', () => {
  using store = openWitnessStore(witnessFile('w.db'));
  store.replace(state(3, 3, 100), undefined);
  assert.equal(store.replace(state(3, 3, 101), state(3)), 'replaced');
  assert.equal(store.latest('one.example/log')?.time, 101);
});

test('the file itself refuses to go back, to change a root, to lose time or to forget', () => {
  for (const change of [
    'UPDATE witnessed SET size = 2',
    'UPDATE witnessed SET root = zeroblob(32)',
    'UPDATE witnessed SET time = 1',
    "UPDATE witnessed SET origin = 'x'",
    'DELETE FROM witnessed',
  ]) {
    const path = witnessFile('w.db');
    {
      using store = openWitnessStore(path);
      store.replace(state(3), undefined);
    }
    const db = new Database(path);
    assert.throws(() => db.exec(change), /a witness never/, change);
    db.close();
  }
});

test('a swap that would go back fails, and after that nothing is written any more', () => {
  using store = openWitnessStore(witnessFile('w.db'));
  store.replace(state(3), undefined);
  refuses('storage_failed', () => store.replace(state(2), state(3)));
  refuses('storage_failed', () => store.replace(state(4), state(3)));
  assert.deepEqual(store.latest('one.example/log'), state(3));
});

test('a fork is kept once, and of one log only so many', () => {
  using store = openWitnessStore(witnessFile('w.db'));
  const fork = { origin: 'one.example/log', seenAt: '2026-11-21T09:00:00.000Z', kept: 'k' };
  for (let i = 0; i < 3; i++) store.keepFork({ ...fork, offered: 'o' });
  assert.deepEqual(store.forks(), [{ ...fork, offered: 'o' }]);
  for (let i = 0; i < 100; i++) store.keepFork({ ...fork, offered: `o${i}` });
  assert.equal(store.forks().length, 64);
  store.keepFork({ ...fork, origin: 'two.example', offered: 'o' });
  assert.equal(store.forks().length, 65);
});

test('a commit waits for the disk', () => {
  const path = witnessFile('w.db');
  using store = openWitnessStore(path);
  store.replace(state(3), undefined);
  // In the write-ahead log already, in a file that the process has not closed.
  assert.ok(readFileSync(`${path}-wal`).includes('note 3 3'));
});

test('one process at a time holds the file', () => {
  const path = witnessFile('w.db');
  using _store = openWitnessStore(path);
  refuses('storage_locked', () => openWitnessStore(path));
});

test('a file that is not a witness’s is refused and left as it is', () => {
  const foreign = witnessFile('x.db');
  const db = new Database(foreign);
  db.exec('CREATE TABLE mine (a)');
  db.close();
  const before = readFileSync(foreign);
  refuses('storage_foreign', () => openWitnessStore(foreign));
  assert.deepEqual(readFileSync(foreign), before);
  const text = witnessFile('x.txt');
  writeFileSync(text, 'no database at all, but a text of more than a few bytes\n'.repeat(40));
  refuses('storage_damaged', () => openWitnessStore(text));
});

test('a newer file, or one with a trigger less, is refused', () => {
  for (const [change, code] of [
    ['PRAGMA user_version = 2', 'storage_newer'],
    ['DROP TRIGGER witnessed_delete', 'storage_damaged'],
  ] as const) {
    const path = witnessFile('w.db');
    openWitnessStore(path)[Symbol.dispose]();
    const db = new Database(path);
    db.exec(change);
    db.close();
    refuses(code, () => openWitnessStore(path));
  }
});
