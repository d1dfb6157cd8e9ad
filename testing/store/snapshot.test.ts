/** Copies of a SQLite store that is in use: whole, of one moment, and nobody's trouble when they fail. */
import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { existsSync, readdirSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Worker } from 'node:worker_threads';
import { createMemoryStore } from '../../src/store/memory.ts';
import { openSqliteReader } from '../../src/store/sqlite.ts';
import type { SnapshotProgress, Store } from '../../src/store/store.ts';
import { appendHistory, makeApproval, makeEntry, makeProposal } from '../support/store-entries.ts';
import { assertWholeLog, changesAt, checkpointAt } from '../support/store-log.ts';
import { makeDirectory, makePath, openObserved, openStore } from '../support/store-sqlite.ts';

const MEBIBYTE = 1024 * 1024;
const EXPIRED_BEFORE = '2026-11-21T00:00:00.000Z';

function append(store: Store, version: number, payload?: Uint8Array): Promise<unknown> {
  const parts = { changes: changesAt(version), ...(payload && { payload }) };
  return store.append({ expected: version - 1, entries: [makeEntry(version, parts)] });
}

/** Big entries first, so that a copy takes several steps. */
async function openLarge(t: TestContext, mebibytes: number) {
  const path = makePath();
  const observed = await openObserved(t, { path });
  for (let version = 0; version < mebibytes; version++)
    await append(observed.store, version, new Uint8Array(MEBIBYTE).fill(version));
  return { ...observed, path, head: mebibytes - 1 };
}

/** The next thread. */
function nextWorker(): Promise<Worker> {
  return new Promise((resolve) => process.once('worker', resolve));
}

/** The next process, which makes a copy. */
function nextProcess(): Promise<ChildProcess> {
  return new Promise((resolve) => {
    const take = (message: unknown): void => {
      unsubscribe('child_process', take);
      resolve((message as { process: ChildProcess }).process);
    };
    subscribe('child_process', take);
  });
}

test('a copy holds everything that was acknowledged, in one file of this user', async (t) => {
  const path = makePath();
  const store = await openStore(t, path);
  for (let version = 0; version < 20; version++) await append(store, version);
  await store.putCheckpoint(checkpointAt(19));
  const proposal = makeProposal('p', [makeApproval('alice')]);
  await store.putProposal(proposal);
  const to = join(makeDirectory(), 'copy.db');
  const seen: SnapshotProgress[] = [];
  await store.snapshot({ path: to, onProgress: (progress) => seen.push(progress) });
  assert.deepEqual(readdirSync(dirname(to)), ['copy.db']);
  assert.equal(statSync(to).mode & 0o777, 0o600);
  assert.deepEqual(seen.at(-1), { doneBytes: statSync(to).size, totalBytes: statSync(to).size });
  const copy = await openStore(t, to);
  assert.deepEqual(await assertWholeLog(copy), { head: 19, kept: 19 });
  assert.deepEqual(await copy.proposals(), [proposal]);
  await append(copy, 20);
  assert.equal((await store.head())?.version, 19, 'the copy is a store of its own');
});

test('a copy is of one moment, whatever is written while it is made', async (t) => {
  const { store, head } = await openLarge(t, 24);
  const to = join(makeDirectory(), 'copy.db');
  let written = head;
  let isDone = false;
  let atStart: number | undefined;
  const copied = store.snapshot({
    path: to,
    onProgress: () => {
      atStart ??= written;
    },
  });
  const finished = copied.then(() => {
    isDone = true;
  });
  const before = written;
  while (!isDone) await append(store, ++written);
  await finished;
  assert.ok(written > before + 1, 'nothing was written while the copy was made');
  await using copy = openSqliteReader({ path: to });
  const found = (await copy.head())?.version ?? -1;
  assert.ok(found >= before && found <= (atStart ?? -1) + 1, `${found} of ${before} to ${written}`);
  assert.ok(found < written, 'the copy waited for a quiet moment');
  assert.equal((await store.head())?.version, written);
});

test('copies made while others commit and fold the log are whole, and hold what was acknowledged before', async (t) => {
  const { store } = await openObserved(t, { path: makePath() });
  let written = -1;
  const write = async (): Promise<void> => {
    await append(store, written + 1);
    written++;
  };
  while (written < 50) await write();
  for (let copies = 0; copies < 4; copies++) {
    const to = join(makeDirectory(), 'copy.db');
    const before = written;
    let isDone = false;
    const copied = store.snapshot({ path: to }).finally(() => {
      isDone = true;
    });
    for (let turn = 0; !isDone; turn++) {
      await write();
      if (turn % 3 === 0) await store.compact({ expiredBefore: EXPIRED_BEFORE });
    }
    await copied;
    await using copy = openSqliteReader({ path: to });
    const { head } = await assertWholeLog(copy);
    assert.ok(head >= before && head <= written, `${head} of ${before} to ${written}`);
  }
});

test('while a copy is made another one is refused, and afterwards it is not', async (t) => {
  const { store } = await openLarge(t, 2);
  const directory = makeDirectory();
  const first = store.snapshot({ path: join(directory, 'first.db') });
  await assert.rejects(store.snapshot({ path: join(directory, 'second.db') }), {
    code: 'overloaded',
  });
  await first;
  assert.deepEqual(readdirSync(directory), ['first.db']);
  await store.snapshot({ path: join(directory, 'second.db') });
});

test('a copy that is given up ends, and the store goes on', async (t) => {
  const { store, head } = await openLarge(t, 12);
  const stop = new AbortController();
  const path = join(makeDirectory(), 'copy.db');
  const copied = store.snapshot({ path, signal: stop.signal, onProgress: () => stop.abort() });
  await assert.rejects(copied, { code: 'unavailable' });
  assert.ok(stop.signal.aborted);
  await append(store, head + 1);
  await assert.rejects(store.snapshot({ path: `${path}-2`, signal: stop.signal }), {
    code: 'unavailable',
  });
  assert.equal(existsSync(`${path}-2`), false, 'given up before it began');
  await store.snapshot({ path: `${path}-3` });
});

test('a store that closes ends the copy that is being made of it, and makes no more', async (t) => {
  const { store } = await openLarge(t, 12);
  const directory = makeDirectory();
  const copied = store.snapshot({ path: join(directory, 'copy.db') });
  const outcome = assert.rejects(copied, { code: 'unavailable' });
  await store[Symbol.asyncDispose]();
  await outcome;
  await assert.rejects(store.snapshot({ path: join(directory, 'late.db') }), {
    code: 'unavailable',
  });
});

test('a copy whose process dies is refused, and the next one is made', async (t) => {
  const { store } = await openLarge(t, 12);
  const directory = makeDirectory();
  const copying = nextProcess();
  const copied = store.snapshot({ path: join(directory, 'copy.db') });
  const outcome = assert.rejects(copied, { code: 'unavailable' });
  assert.ok((await copying).kill('SIGKILL'));
  await outcome;
  await store.snapshot({ path: join(directory, 'next.db') });
});

test('a copy whose server is gone ends at once, and holds the log no longer', async (t) => {
  const { store, path } = await openLarge(t, 12);
  const program = join(import.meta.dirname, '../../src/store/sqlite-copy-process.ts');
  const copying = fork(program, [path, join(makeDirectory(), 'copy.db')]);
  const ended = once(copying, 'exit');
  copying.disconnect();
  assert.deepEqual(await ended, [null, 'SIGKILL']);
  const { isLogFolded } = await store.compact({ expiredBefore: EXPIRED_BEFORE });
  assert.ok(isLogFolded);
});

test('a copy takes no place that is taken, and makes no directory', async (t) => {
  const store = await openStore(t, makePath());
  await appendHistory(store, [[]]);
  const directory = makeDirectory();
  const taken = join(directory, 'taken.db');
  writeFileSync(taken, 'mine');
  await assert.rejects(store.snapshot({ path: taken }), {
    code: 'storage_failed',
    message: /EEXIST/,
  });
  assert.equal(statSync(taken).size, 4);
  await assert.rejects(store.snapshot({ path: join(directory, 'no/copy.db') }), {
    code: 'storage_failed',
    message: /ENOENT/,
  });
  assert.deepEqual(readdirSync(directory), ['taken.db']);
});

test('a copy of a file that lost its end is refused', async (t) => {
  const { store, path } = await openLarge(t, 6);
  await store.compact({ expiredBefore: EXPIRED_BEFORE });
  truncateSync(path, statSync(path).size - 2 * MEBIBYTE);
  await assert.rejects(store.snapshot({ path: join(makeDirectory(), 'copy.db') }), {
    code: 'storage_damaged',
  });
});

test('a store in memory says that there is no file to copy', async () => {
  const store = createMemoryStore();
  await assert.rejects(store.snapshot({ path: '/nowhere' }), {
    code: 'invalid_request',
    message: /in memory/,
  });
});

test('a compaction folds the log into the main file, and says what it found and left', async (t) => {
  const path = makePath();
  const { store } = await openObserved(t, { path });
  for (let version = 0; version < 3; version++)
    await append(store, version, new Uint8Array(MEBIBYTE).fill(version));
  const sizes = () => ({
    mainBytes: statSync(path).size,
    logBytes: statSync(`${path}-wal`).size,
  });
  const before = sizes();
  assert.ok(before.logBytes > 3 * MEBIBYTE);
  const compaction = await store.compact({ expiredBefore: EXPIRED_BEFORE });
  assert.deepEqual(compaction.before, before);
  assert.deepEqual(compaction.after, sizes());
  assert.equal(compaction.after.logBytes, 0);
  assert.ok(compaction.after.mainBytes > 3 * MEBIBYTE);
  assert.deepEqual([compaction.isLogFolded, compaction.freeBytes], [true, 0]);
});

test('the room of what a compaction drops is free in the file, and used again', async (t) => {
  const path = makePath();
  const { store } = await openObserved(t, { path });
  const big = makeProposal('x'.repeat(MEBIBYTE));
  await store.putProposal({ ...big, expiresAt: '2026-01-01T00:00:00.000Z' });
  const { freeBytes, after, droppedProposals } = await store.compact({
    expiredBefore: EXPIRED_BEFORE,
  });
  assert.equal(droppedProposals, 1);
  assert.ok(freeBytes >= MEBIBYTE, `${freeBytes} bytes`);
  await append(store, 0, new Uint8Array(MEBIBYTE - 8_192));
  const again = await store.compact({ expiredBefore: EXPIRED_BEFORE });
  assert.equal(again.after.mainBytes, after.mainBytes, 'the file grew');
  assert.ok(again.freeBytes < freeBytes);
});

test('compactions wait for their turn between transactions, and writes for theirs', async (t) => {
  const { store, fsyncs, fatals } = await openObserved(t, { path: makePath() });
  await append(store, 0);
  const before = fsyncs.length;
  const compact = () => store.compact({ expiredBefore: EXPIRED_BEFORE });
  const names = Array.from({ length: 20 }, (_, i) => `proposal ${i}`);
  const answers = await Promise.all([
    ...names.slice(0, 10).map((name) => store.putProposal(makeProposal(name))),
    compact(),
    compact(),
    ...names.slice(10).map((name) => store.putProposal(makeProposal(name))),
    compact(),
  ]);
  assert.equal(answers.filter((answer) => answer === 'added').length, 20);
  assert.equal((await store.proposals()).length, 20);
  assert.ok(fsyncs.length > before);
  assert.deepEqual(fatals, []);
});

test('a store that closes finishes the compaction before', async (t) => {
  const { store } = await openObserved(t, { path: makePath() });
  await append(store, 0);
  const compacted = store.compact({ expiredBefore: EXPIRED_BEFORE });
  await store[Symbol.asyncDispose]();
  assert.equal((await compacted).isLogFolded, true);
  await assert.rejects(store.compact({ expiredBefore: EXPIRED_BEFORE }), {
    code: 'storage_failed',
  });
});

test('when the lane dies, the compactions that wait are answered: outcome unknown', async (t) => {
  const started = nextWorker();
  const { store, fatal } = await openObserved(t, { path: makePath() });
  const compact = () => store.compact({ expiredBefore: EXPIRED_BEFORE });
  const waiting = [compact(), compact(), compact()];
  const answers = Promise.allSettled(waiting);
  await (await started).terminate();
  const codes = (await answers).map((answer) => answer.status === 'rejected' && answer.reason.code);
  assert.ok(codes.includes('outcome_unknown'), 'the lane was not killed in time');
  assert.equal((await fatal).code, 'storage_failed');
  await assert.rejects(compact(), { code: 'outcome_unknown' });
});
