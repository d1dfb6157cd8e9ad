/** The SQLite store holds the contract; what it acknowledged outlives it; writes share their fsync. */
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import { openSqliteReader } from '../../src/store/sqlite.ts';
import { SpanReader } from '../../src/store/sqlite-spans.ts';
import {
  appendHistory,
  collect,
  makeApproval,
  makeEntry,
  makeProposal,
  put,
  remove,
} from '../support/store-entries.ts';
import { assertWholeTree } from '../support/store-log.ts';
import { makePath, openObserved, openStore } from '../support/store-sqlite.ts';
import { storeContract } from './contract.ts';

storeContract({ name: 'sqlite', open: (t) => openStore(t, makePath()), histories: 12 });

test('what was acknowledged is there when the store is opened again', async (t) => {
  const path = makePath();
  const store = await openStore(t, path);
  await appendHistory(store, [[], [put('a', '1'), put('b', '1')], [remove('a')]]);
  const proposal = makeProposal('p');
  await store.putProposal(proposal);
  await store.putApproval(proposal.payloadB3, makeApproval('alice'));
  await store.putCheckpoint('replaced');
  await store.putCheckpoint('kept');
  const [head, set, proposals] = [
    await store.head(),
    await collect(store.set(1)),
    await store.proposals(),
  ];
  await store[Symbol.asyncDispose]();
  const again = await openStore(t, path);
  assert.deepEqual(await again.head(), head);
  assert.deepEqual(await collect(again.set(1)), set);
  assert.deepEqual(await again.proposals(), proposals);
  assert.equal(await again.committedVersion(makeEntry(1).payloadB3), 1);
  await assertWholeTree(again, 3);
  assert.equal(await again.checkpoint(), 'kept');
  await again.putCheckpoint('kept later');
  assert.equal(await again.checkpoint(), 'kept later');
  assert.deepEqual(await again.append({ expected: 2, entries: [makeEntry(3)] }), {
    outcome: 'appended',
    head: 3,
  });
});

test('an orderly end leaves everything in the main file', async (t) => {
  const path = makePath();
  const store = await openStore(t, path);
  await appendHistory(store, [[]]);
  await store[Symbol.asyncDispose]();
  assert.equal(statSync(`${path}-wal`, { throwIfNoEntry: false }), undefined);
});

test('writes that arrive together share a transaction, each with its own answer', async (t) => {
  const { store, fsyncs } = await openObserved(t, { path: makePath() });
  const proposal = makeProposal('p');
  await store.putProposal(proposal);
  const before = fsyncs.length;
  const answers = await Promise.all(
    Array.from({ length: 64 }, (_, i) =>
      store.putApproval(proposal.payloadB3, makeApproval(`signer-${i % 60}`)),
    ),
  );
  const transactions = fsyncs.length - before;
  assert.ok(
    transactions <= 2,
    `expected at most 2 transactions for 64 writes, got ${transactions}`,
  );
  assert.equal(answers.filter((answer) => answer === 'added').length, 60);
  assert.equal(answers.filter((answer) => answer === 'known').length, 4);
});

test('writes one after another take a transaction each, and one that changes nothing takes none', async (t) => {
  const { store, fsyncs } = await openObserved(t, { path: makePath() });
  for (let version = 0; version < 5; version++)
    await store.append({ expected: version - 1, entries: [makeEntry(version)] });
  await store.append({ expected: 0, entries: [makeEntry(1)] });
  assert.equal(fsyncs.length, 5);
  assert.ok(fsyncs.every((seconds) => seconds > 0));
});

test('a checkpoint shares the transaction of what waits with it', async (t) => {
  const { store, fsyncs } = await openObserved(t, { path: makePath() });
  const first = store.putProposal(makeProposal('first'));
  await Promise.all([
    first,
    store.append({ expected: -1, entries: [makeEntry(0)] }),
    store.putCheckpoint('of 0'),
    store.putCheckpoint('of 0 with more signatures'),
  ]);
  assert.equal(fsyncs.length, 2);
  assert.equal(await store.checkpoint(), 'of 0 with more signatures');
});

test('a conflict in a shared transaction does not undo the writes beside it', async (t) => {
  const { store, fsyncs } = await openObserved(t, { path: makePath() });
  const first = store.putProposal(makeProposal('first'));
  const [, added, appended, lost] = await Promise.all([
    first,
    store.putProposal(makeProposal('second')),
    store.append({ expected: -1, entries: [makeEntry(0)] }),
    store.append({ expected: 5, entries: [makeEntry(6)] }),
  ]);
  assert.equal(fsyncs.length, 2);
  assert.equal(added, 'added');
  assert.deepEqual(appended, { outcome: 'appended', head: 0 });
  assert.deepEqual(lost, { outcome: 'conflict', head: 0 });
  assert.equal((await store.proposals()).length, 2);
});

test('the write-ahead log is folded into the main file when it passes 4 MiB', async (t) => {
  const path = makePath();
  const { store, checkpoints } = await openObserved(t, { path });
  const payload = new Uint8Array(1024 * 1024);
  let largest = 0;
  for (let version = 0; version < 12; version++) {
    const entries = [makeEntry(version, { payload: payload.fill(version) })];
    await store.append({ expected: version - 1, entries });
    largest = Math.max(largest, statSync(`${path}-wal`).size);
  }
  assert.ok(checkpoints() >= 2, 'nothing was folded since the start');
  assert.ok(largest > 4 * 1024 * 1024 && largest < 7 * 1024 * 1024, `the log grew to ${largest}`);
});

test('a page of a set ends when its bytes pass 4 MiB', async (t) => {
  const store = await openStore(t, makePath());
  const big = ['a', 'b', 'c', 'd', 'e'].map((id) => put(id, 'x'.repeat(1024 * 1024)));
  await appendHistory(store, [[], big]);
  const sizes: number[] = [];
  for await (const page of store.set(1)) sizes.push(page.length);
  assert.deepEqual(sizes, [4, 1]);
  const differences: number[] = [];
  for await (const page of store.diff({ from: 0, to: 1 })) differences.push(page.length);
  assert.deepEqual(differences, [4, 1]);
});

test('a page of a history ends when its bytes pass 4 MiB, and the next goes on below it', async (t) => {
  const store = await openStore(t, makePath());
  const values = [1, 2, 3, 4, 5].map((n) => [put('a', `${n}`.repeat(1024 * 1024))]);
  await appendHistory(store, [[], ...values]);
  const pageOf = async (before?: number) =>
    (await store.history({ kind: 'thing', id: 'a', limit: 9, before })).map(
      ({ setVersion }) => setVersion,
    );
  assert.deepEqual(await pageOf(), [5, 4, 3, 2]);
  assert.deepEqual(await pageOf(2), [1]);
  assert.deepEqual(await pageOf(1), []);
});

test('keys that are long gone fill no page but end', async (t) => {
  const store = await openStore(t, makePath());
  const ids = Array.from({ length: 1_500 }, (_, i) => `id-${i}`);
  await appendHistory(store, [[], ids.map((id) => put(id, '1')), ids.map((id) => remove(id))]);
  assert.equal((await collect(store.set(2))).length, 0);
  assert.equal((await collect(store.diff({ from: 0, to: 2 }))).length, 0);
});

test('a difference over more values than there are keys is found key by key, page by page', async (t) => {
  const store = await openStore(t, makePath());
  const ids = Array.from({ length: 2_500 }, (_, i) => `id-${String(i).padStart(4, '0')}`);
  const all = (value: string) => ids.map((id) => put(id, value));
  await appendHistory(store, [[], all('1'), all('2'), all('1'), [remove('id-2400')]]);
  const changed = async (from: number, to: number) =>
    (await collect(store.diff({ from, to }))).flat().map(({ id }) => id);
  assert.deepEqual(await changed(1, 4), ['id-2400']);
  assert.deepEqual(await changed(4, 1), ['id-2400']);
  assert.deepEqual(await changed(0, 3), ids);
});

test('a difference costs as many statements after ten times the history', async (t) => {
  const statementsAt = async (versions: number): Promise<number> => {
    const path = makePath();
    const store = await openStore(t, path);
    const values = Array.from({ length: versions }, (_, i) => [put(`id-${i % 3}`, `${i}`)]);
    await appendHistory(store, [[], ...values]);
    let statements = 0;
    const db = new Database(path, { readonly: true, verbose: () => statements++ });
    t.after(() => db.close());
    const found = await collect(new SpanReader(db).diff({ from: 1, to: versions }));
    assert.deepEqual(found.flat().length, 3);
    return statements;
  };
  assert.equal(await statementsAt(4_000), await statementsAt(400));
});

test('a reader follows a database that a store is writing, and cannot write', async (t) => {
  const path = makePath();
  const store = await openStore(t, path);
  await appendHistory(store, [[], [put('a', '1')]]);
  await using reader = openSqliteReader({ path });
  assert.equal((await reader.head())?.version, 1);
  await store.append({ expected: 1, entries: [makeEntry(2)] });
  assert.equal((await reader.head())?.version, 2);
  await assertWholeTree(reader, 3);
  await store.putCheckpoint('kept');
  assert.equal(await reader.checkpoint(), 'kept');
  assert.ok(!('append' in reader) && !('putCheckpoint' in reader));
});

test('a read that SQLite cannot answer is a refusal, never an answer', async (t) => {
  const path = makePath();
  await appendHistory(await openStore(t, path), [[], [put('a', '1')]]);
  const reader = openSqliteReader({ path });
  await reader[Symbol.asyncDispose]();
  await assert.rejects(reader.head(), { code: 'storage_failed' });
  await assert.rejects(collect(reader.set(1)), { code: 'storage_failed' });
});
