/** The lane or the files vanish under a running store: the outcome of every write is unknown from then on. */
import assert from 'node:assert/strict';
import { copyFileSync, renameSync, rmSync } from 'node:fs';
import { test } from 'node:test';
import type { Worker } from 'node:worker_threads';
import { makeEntry, makeProposal } from '../support/store-entries.ts';
import { makePath, type Observed, openObserved } from '../support/store-sqlite.ts';

const NEVER_MS = 3_600_000;

interface Subject extends Observed {
  readonly worker: Worker;
}

async function openWithGenesis(...[t, options]: Parameters<typeof openObserved>): Promise<Subject> {
  const started = new Promise<Worker>((resolve) => process.once('worker', resolve));
  const observed = await openObserved(t, options);
  await observed.store.append({ expected: -1, entries: [makeEntry(0)] });
  return { ...observed, worker: await started };
}

/** The store says so once, refuses every later write, goes on reading, and does not close. */
async function assertFatal({ store, fatal, fatals, worker }: Subject): Promise<void> {
  assert.equal((await fatal).code, 'storage_failed');
  const append = { expected: 0, entries: [makeEntry(1)] };
  await assert.rejects(store.append(append), { code: 'outcome_unknown' });
  await assert.rejects(store.putProposal(makeProposal('p')), { code: 'outcome_unknown' });
  await assert.rejects(store.dropProposals([]), { code: 'outcome_unknown' });
  await assert.rejects(store.putCheckpoint('lost'), { code: 'outcome_unknown' });
  assert.equal((await store.head())?.version, 0);
  await store[Symbol.asyncDispose]();
  assert.equal((await store.head())?.version, 0, 'a store whose writes are unknown was closed');
  await worker.terminate();
  assert.equal(fatals.length, 1);
}

for (const suffix of ['', '-wal'])
  test(`an append does not go into an unlinked quorate.db${suffix}`, async (t) => {
    const path = makePath();
    const observed = await openWithGenesis(t, { path, watchMs: NEVER_MS });
    rmSync(`${path}${suffix}`);
    const append = observed.store.append({ expected: 0, entries: [makeEntry(1)] });
    await assert.rejects(append, { code: 'outcome_unknown' });
    await assertFatal(observed);
  });

test('an append does not go into a database that was replaced by a copy', async (t) => {
  const path = makePath();
  const observed = await openWithGenesis(t, { path, watchMs: NEVER_MS });
  copyFileSync(path, `${path}-copy`);
  renameSync(`${path}-copy`, path);
  const append = observed.store.append({ expected: 0, entries: [makeEntry(1)] });
  await assert.rejects(append, { code: 'outcome_unknown' });
  await assertFatal(observed);
});

test('a database that is unlinked while nothing is written is noticed too', async (t) => {
  const path = makePath();
  const observed = await openWithGenesis(t, { path, watchMs: 5 });
  rmSync(path);
  await assertFatal(observed);
});

test('when the lane dies, the writes that wait are answered: outcome unknown', async (t) => {
  const observed = await openWithGenesis(t, { path: makePath() });
  const waiting = ['a', 'b', 'c'].map((name) => observed.store.putProposal(makeProposal(name)));
  const answers = Promise.allSettled(waiting);
  await observed.worker.terminate();
  const codes = (await answers).map((answer) => answer.status === 'rejected' && answer.reason.code);
  assert.ok(codes.includes('outcome_unknown'), 'the lane was not killed in time');
  await assertFatal(observed);
});
