/**
 * A write-ahead log that grew long: no step of the commit lane folds all of it, nor cuts all of its file off. It is folded
 * beside the lane, and its file made short in steps.
 */
import assert from 'node:assert/strict';
import { copyFileSync, statSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { CommitLane } from '../../src/store/commit-lane.ts';
import type { LaneReport, Write } from '../../src/store/lane-messages.ts';
import { foldPassively } from '../../src/store/sqlite-checkpoint.ts';
import { makeEntry, makeProposal } from '../support/store-entries.ts';
import { makePath, openObserved, unfoldedBytes } from '../support/store-sqlite.ts';

const MIB = 1024 * 1024;
/** What the lane folds, or cuts off, in one step. */
const STEP_BYTES = 8 * MIB;
const LONG_BYTES = 3 * STEP_BYTES;
const EXPIRED_BEFORE = '2026-11-21T00:00:00.000Z';
const DEADLINE_MS = 30_000;
const PAUSE_MS = 5;

/** A reader of one moment. */
function readAt(t: TestContext, path: string): Database.Database {
  const reader = new Database(path, { readonly: true });
  t.after(() => reader.close());
  reader.exec('BEGIN');
  reader.prepare('SELECT count(*) FROM entries').get();
  return reader;
}

function large(number: number) {
  return { ...makeProposal(`large ${number}`), payload: new Uint8Array(MIB).fill(number) };
}

function append(lane: CommitLane, version: number): LaneReport {
  return lane.run([{ type: 'append', expected: version - 1, entries: [makeEntry(version)] }]);
}

/** A lane whose log has `LONG_BYTES` behind a reader. */
function openLong(t: TestContext) {
  const path = makePath();
  const lane = new CommitLane(path);
  let isClosed = false;
  const close = () => {
    if (!isClosed) lane.close();
    isClosed = true;
  };
  t.after(close);
  append(lane, 0);
  const reader = readAt(t, path);
  // Like the thread beside the lane.
  const other = new Database(path);
  t.after(() => other.close());
  other.pragma('wal_autocheckpoint = 0');
  const logBytes = () => statSync(`${path}-wal`).size;
  const write = (write: Write) => assert.equal(lane.run([write]).type, 'done');
  const grow = (bytes: number) => {
    for (let n = 0; logBytes() < bytes; n++) write({ type: 'put_proposal', proposal: large(n) });
  };
  grow(LONG_BYTES);
  const unfolded = () => unfoldedBytes(path);
  return { path, lane, close, reader, other, logBytes, unfolded, grow };
}

/** A lane that cuts off what a long log left, and a reader of what was written since. */
function openCut(t: TestContext) {
  const long = openLong(t);
  long.reader.close();
  long.lane.fold();
  foldPassively(long.other);
  long.lane.foldedBeside();
  append(long.lane, 1);
  return { ...long, reader: readAt(t, long.path) };
}

test('no step of the lane folds a long log, whoever asks for it', (t) => {
  const { lane, reader, unfolded } = openLong(t);
  reader.close();
  const kept = unfolded();
  assert.ok(kept > LONG_BYTES / 2);
  assert.equal(lane.isToFold, false, 'nobody asked yet');
  assert.equal(lane.fold(), undefined);
  assert.equal(lane.isToFold, true);
  assert.equal(lane.wipe(), undefined);
  assert.equal(lane.catchUp(), undefined);
  const compacted = lane.compact(EXPIRED_BEFORE);
  assert.equal(compacted.type === 'compacted' && compacted.compaction.isLogFolded, false);
  const report = append(lane, 1);
  assert.equal(report.type === 'done' && report.isFoldDue, false, 'it would be refused again');
  assert.ok(unfolded() >= kept, `${unfolded()} bytes of ${kept} are left`);
});

test('what is folded beside the lane is cut off in steps, batches between them cut no more', (t) => {
  const { lane, reader, other, logBytes, unfolded } = openLong(t);
  reader.close();
  lane.fold();
  append(lane, 1);
  assert.ok(logBytes() >= LONG_BYTES);
  assert.equal(foldPassively(other), 0);
  append(lane, 2);
  assert.ok(logBytes() >= LONG_BYTES, 'a batch began the log again, and cut all of it off');
  lane.foldedBeside();
  assert.equal(lane.isToFold, false);
  for (let version = 3; lane.isToCut; version++) {
    const before = logBytes();
    assert.deepEqual(lane.cut(), { type: 'checkpointed' });
    assert.ok(
      logBytes() < before && logBytes() >= before - STEP_BYTES,
      `${before} to ${logBytes()}`,
    );
    append(lane, version);
    assert.ok(logBytes() >= before - STEP_BYTES);
  }
  assert.ok(logBytes() <= STEP_BYTES);
  assert.ok(unfolded() > 0);
  assert.deepEqual(lane.fold(), { type: 'checkpointed' });
  assert.equal(unfolded(), 0);
});

test('who reads the log while it is cut off keeps the rest of it until they are done', (t) => {
  const { lane, reader, logBytes } = openCut(t);
  append(lane, 2);
  const kept = logBytes();
  assert.equal(lane.cut(), undefined);
  assert.equal(lane.cut(), undefined);
  assert.equal(logBytes(), kept);
  assert.equal(lane.isToCut, true);
  reader.close();
  assert.deepEqual(lane.cut(), { type: 'checkpointed' });
  assert.ok(logBytes() < kept);
});

test('a log that grew long again while it was cut off is folded beside the lane again', (t) => {
  const { lane, reader, logBytes, unfolded, grow } = openCut(t);
  grow(logBytes() + 2 * STEP_BYTES);
  reader.close();
  const kept = unfolded();
  assert.equal(lane.cut(), undefined);
  assert.deepEqual([lane.isToCut, lane.isToFold], [false, true]);
  assert.ok(kept > STEP_BYTES && unfolded() >= kept);
});

test('a start and an end fold all of it: nobody waits for the lane', (t) => {
  const { path, lane, close, reader } = openLong(t);
  const killed = makePath();
  for (const suffix of ['', '-wal']) copyFileSync(path + suffix, killed + suffix);
  reader.close();
  lane.fold();
  close();
  assert.equal(statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0, 0);
  const started = new CommitLane(killed);
  assert.equal(statSync(`${killed}-wal`).size, 0);
  started.close();
});

/** A store with a long log behind a reader. */
async function openStoreLong(t: TestContext) {
  const path = makePath();
  const observed = await openObserved(t, { path });
  const { store } = observed;
  await store.append({ expected: -1, entries: [makeEntry(0), makeEntry(1)] });
  const reader = readAt(t, path);
  const logBytes = () => statSync(`${path}-wal`).size;
  for (let n = 0; logBytes() < LONG_BYTES; n++) await store.putProposal(large(n));
  return { ...observed, path, reader, logBytes };
}

/** `act` is done again and again meanwhile. */
async function until(isSo: () => boolean, act: () => Promise<unknown>): Promise<void> {
  const end = performance.now() + DEADLINE_MS;
  while (!isSo()) {
    assert.ok(performance.now() < end, `not so in ${DEADLINE_MS} ms`);
    await act();
  }
}

test('the log of a store that was read for long is folded and made short while commits go on', async (t) => {
  const { store, path, reader, logBytes, checkpoints } = await openStoreLong(t);
  const before = { main: statSync(path).size, checkpoints: checkpoints() };
  reader.close();
  let version = 1;
  await until(
    () => logBytes() <= STEP_BYTES,
    () => store.append({ expected: version++, entries: [makeEntry(version)] }),
  );
  assert.equal((await store.head())?.version, version);
  assert.ok(statSync(path).size > before.main + LONG_BYTES / 2);
  assert.ok(checkpoints() > before.checkpoints);
});

test('what was erased goes from a long log too', async (t) => {
  const { store, reader, logBytes } = await openStoreLong(t);
  await store.append({ expected: 1, entries: [makeEntry(2, { type: 'erase', erases: 1 })] });
  reader.close();
  await until(
    () => logBytes() === 0,
    () => delay(PAUSE_MS),
  );
});

test('a store is closed while its log is folded beside it, and nothing of it is left to be recovered', async (t) => {
  const { store, path, reader } = await openStoreLong(t);
  reader.close();
  await store[Symbol.asyncDispose]();
  assert.equal(statSync(`${path}-wal`, { throwIfNoEntry: false }), undefined);
});

test('a store whose log is read for long is closed without waiting for whoever reads it', async (t) => {
  const { store, reader } = await openStoreLong(t);
  await store[Symbol.asyncDispose]();
  reader.close();
});
