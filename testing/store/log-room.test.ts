/** The write-ahead log keeps the room of its file: what follows a fold overwrites what was folded. */
import assert from 'node:assert/strict';
import { copyFileSync, statSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { CommitLane } from '../../src/store/commit-lane.ts';
import { openReadOnly } from '../../src/store/sqlite-open.ts';
import { makeEntry } from '../support/store-entries.ts';
import { makePath, unfoldedBytes } from '../support/store-sqlite.ts';

const MIB = 1024 * 1024;
const PAYLOAD_BYTES = 64 * 1024;
/** Of the file: folded past 4, with what one commit adds. */
const MAX_LOG_BYTES = 6 * MIB;
const FOLDS = 5;

function openWritten(t: TestContext) {
  const path = makePath();
  const lane = new CommitLane(path);
  t.after(() => lane.close());
  let newest = -1;
  /** Answers whether a fold is due. */
  const append = (): boolean => {
    newest++;
    const payload = Buffer.alloc(PAYLOAD_BYTES, `payload ${newest} `);
    const entries = [makeEntry(newest, { payload })];
    const report = lane.run([{ type: 'append', expected: newest - 1, entries }]);
    assert.ok(report.type === 'done');
    return report.isFoldDue;
  };
  const logBytes = () => statSync(`${path}-wal`).size;
  return { path, lane, append, logBytes, version: () => newest };
}

/** As after a power cut: the index of the log is gone. */
function newestOfCopy(path: string): number | undefined {
  const copy = makePath();
  copyFileSync(path, copy);
  copyFileSync(`${path}-wal`, `${copy}-wal`);
  const db = openReadOnly(copy);
  try {
    assert.equal(db.pragma('integrity_check', { simple: true }), 'ok');
    return db.prepare<[], number>('SELECT max(version) FROM entries').pluck().get();
  } finally {
    db.close();
  }
}

test('once its file has grown, commits and folds neither lengthen nor cut it', (t) => {
  const { path, lane, logBytes, append } = openWritten(t);
  while (!append());
  const grown = logBytes();
  assert.ok(grown > 4 * MIB && grown < MAX_LOG_BYTES, `${grown} bytes`);
  for (let fold = 0; fold < FOLDS; fold++) {
    const before = logBytes();
    assert.deepEqual(lane.fold(), { type: 'checkpointed' });
    assert.deepEqual([logBytes(), unfoldedBytes(path)], [before, 0]);
    let isDue = append();
    assert.ok(unfoldedBytes(path) < MIB, 'the log was not begun again');
    while (!isDue) isDue = append();
    assert.ok(Math.abs(logBytes() - grown) < 4 * PAYLOAD_BYTES, `${grown} to ${logBytes()} bytes`);
  }
});

test("what stands in the log from before a fold is nobody's: what was acknowledged since is what a copy of the files has", (t) => {
  const { path, lane, append, version } = openWritten(t);
  for (let fold = 0; fold < 2; fold++) {
    while (!append());
    assert.equal(newestOfCopy(path), version());
    lane.fold();
    assert.equal(newestOfCopy(path), version());
    for (let i = 0; i < 3; i++) {
      append();
      assert.equal(newestOfCopy(path), version());
    }
  }
});

test('a file that one large batch lengthened is cut off down to its room by what follows the fold', (t) => {
  const { lane, logBytes, append } = openWritten(t);
  append();
  const payload = new Uint8Array(7 * MIB).fill(1);
  lane.run([{ type: 'append', expected: 0, entries: [makeEntry(1, { payload })] }]);
  assert.ok(logBytes() > 7 * MIB);
  assert.deepEqual(lane.fold(), { type: 'checkpointed' });
  lane.run([{ type: 'put_checkpoint', note: 'a small one' }]);
  assert.equal(logBytes(), MAX_LOG_BYTES);
});
