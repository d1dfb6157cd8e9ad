/** Whoever reads the write-ahead log for long keeps it, and holds nobody up. */
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import Database from 'better-sqlite3';
import { CommitLane } from '../../src/store/commit-lane.ts';
import type { LaneReport } from '../../src/store/lane-messages.ts';
import { makeEntry } from '../support/store-entries.ts';
import { makePath } from '../support/store-sqlite.ts';

const EXPIRED_BEFORE = '2026-11-21T00:00:00.000Z';
/** Far more than the 5 ms that readers are given. */
const HELD_MS = 500;

function openRead(t: TestContext) {
  const path = makePath();
  const lane = new CommitLane(path);
  t.after(() => lane.close());
  lane.run([{ type: 'append', expected: -1, entries: [makeEntry(0)] }]);
  const reader = new Database(path, { readonly: true });
  t.after(() => reader.close());
  reader.exec('BEGIN');
  reader.prepare('SELECT count(*) FROM entries').get();
  return { path, lane, reader };
}

/** The least of some: others may hold the machine up. */
function leastMs(run: () => void): number {
  const ms = Array.from({ length: 3 }, () => {
    const began = performance.now();
    run();
    return performance.now() - began;
  });
  return Math.min(...ms);
}

function isFolded(report: LaneReport): boolean {
  assert.ok(report.type === 'compacted', report.type);
  return report.compaction.isLogFolded;
}

test('no step of the lane waits for whoever reads the log, and the next one folds it when they are done', (t) => {
  const { path, lane, reader } = openRead(t);
  lane.run([{ type: 'append', expected: 0, entries: [makeEntry(1)] }]);
  const held = {
    fold: leastMs(() => assert.equal(lane.fold(), undefined)),
    wipe: leastMs(() => assert.equal(lane.wipe(), undefined)),
    catchUp: leastMs(() => assert.equal(lane.catchUp(), undefined)),
    compact: leastMs(() => assert.equal(isFolded(lane.compact(EXPIRED_BEFORE)), false)),
  };
  for (const [step, ms] of Object.entries(held)) assert.ok(ms < HELD_MS, `${step}: ${ms} ms`);
  reader.exec('COMMIT');
  assert.equal(isFolded(lane.compact(EXPIRED_BEFORE)), true);
  assert.equal(statSync(`${path}-wal`).size, 0);
});
