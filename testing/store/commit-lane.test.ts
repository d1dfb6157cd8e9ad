/** The lane beside other processes' connections, which it can neither forbid nor wait for. */
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import { CommitLane } from '../../src/store/commit-lane.ts';
import type { LaneReport } from '../../src/store/lane-messages.ts';
import { makeEntry } from '../support/store-entries.ts';
import { makePath, unfoldedBytes } from '../support/store-sqlite.ts';

const PAYLOAD_BYTES = 1024 * 1024;

function append(lane: CommitLane, version: number): LaneReport {
  const payload = new Uint8Array(PAYLOAD_BYTES).fill(version);
  const entries = [makeEntry(version, { payload })];
  return lane.run([{ type: 'append', expected: version - 1, entries }]);
}

function erase(lane: CommitLane, version: number, erases: number): LaneReport {
  const entries = [makeEntry(version, { type: 'erase', erases })];
  return lane.run([{ type: 'append', expected: version - 1, entries }]);
}

/** As the lane does after each batch. */
function foldIfDue(lane: CommitLane, report: LaneReport): LaneReport | undefined {
  return report.type === 'done' && report.isFoldDue ? lane.fold() : undefined;
}

test('a write lock that another connection holds for long is a refusal, and certainly nothing is written', () => {
  const path = makePath();
  const lane = new CommitLane(path);
  const other = new Database(path);
  other.exec('BEGIN IMMEDIATE');
  const refused = append(lane, 0);
  assert.equal(refused.type === 'not_written' && refused.error.code, 'read_only');
  other.exec('ROLLBACK');
  assert.equal(append(lane, 0).type, 'done');
  other.close();
  lane.close();
});

test('a log that another connection still reads is kept, and folded once it is free', () => {
  const path = makePath();
  const lane = new CommitLane(path);
  append(lane, 0);
  const other = new Database(path, { readonly: true });
  other.exec('BEGIN');
  const count = other.prepare<[], number>('SELECT count(*) FROM entries').pluck();
  assert.equal(count.get(), 1);
  let version = 1;
  let last: LaneReport | undefined;
  while (statSync(`${path}-wal`).size <= 4 * PAYLOAD_BYTES) last = append(lane, version++);
  assert.ok(last?.type === 'done' && last.isFoldDue);
  assert.equal(lane.fold(), undefined);
  assert.equal(count.get(), 1, 'the reader lost its snapshot');
  // Not tried again at once: that would stall every batch for as long as the reader stays.
  const again = append(lane, version++);
  assert.ok(again.type === 'done' && !again.isFoldDue);
  other.close();
  let report: LaneReport | undefined;
  while (report === undefined && version < 20) report = foldIfDue(lane, append(lane, version++));
  assert.equal(report?.type, 'checkpointed');
  assert.equal(unfoldedBytes(path), 0);
  lane.close();
});

test('after an erasure the log of a reader that stays is tried once, and not after every batch', () => {
  const path = makePath();
  const lane = new CommitLane(path);
  const erasable = 11;
  for (let version = 0; version <= erasable; version++)
    lane.run([{ type: 'append', expected: version - 1, entries: [makeEntry(version)] }]);
  let erased = 0;
  const eraseOne = () => erase(lane, erasable + ++erased, erased);
  const reader = new Database(path, { readonly: true });
  reader.exec('BEGIN');
  reader.prepare('SELECT count(*) FROM entries').get();
  const first = eraseOne();
  assert.ok(first.type === 'done' && first.isFoldDue);
  assert.equal(lane.fold(), undefined);
  for (let i = 0; i < 20; i++) {
    const report =
      i % 2 === 0 ? eraseOne() : lane.run([{ type: 'put_checkpoint', note: `note ${i}` }]);
    assert.ok(report.type === 'done' && !report.isFoldDue);
  }
  assert.ok(lane.isFoldDemanded);
  reader.close();
  assert.equal(lane.fold()?.type, 'checkpointed');
  assert.ok(!lane.isFoldDemanded);
  lane.close();
});

test('after an erasure beside which nobody reads the log is emptied at once', () => {
  const path = makePath();
  const lane = new CommitLane(path);
  lane.run([{ type: 'append', expected: -1, entries: [makeEntry(0), makeEntry(1)] }]);
  const report = erase(lane, 2, 1);
  assert.ok(report.type === 'done' && report.isFoldDue);
  assert.equal(lane.fold()?.type, 'checkpointed');
  assert.ok(!lane.isFoldDemanded);
  assert.equal(statSync(`${path}-wal`).size, 0);
  lane.close();
});
