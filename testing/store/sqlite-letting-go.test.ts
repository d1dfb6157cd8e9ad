/** Where bytes are that were let go of: in no file of the database, and steps that drop them are short. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { CommitLane } from '../../src/store/commit-lane.ts';
import { openSqliteReader } from '../../src/store/sqlite.ts';
import { RetentionWriter } from '../../src/store/sqlite-retention.ts';
import type { PruneProgress } from '../../src/store/store.ts';
import { makeEntry, put, remove } from '../support/store-entries.ts';
import { makePath, openStore } from '../support/store-sqlite.ts';

const SECRET = 'a name that must be forgotten';

/** The files of the database that hold it, whether as payload or as value. */
function filesWith(path: string, text: string): readonly string[] {
  const directory = dirname(path);
  return readdirSync(directory).filter((name) =>
    readFileSync(join(directory, name)).includes(text),
  );
}

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Small enough to stand in a page with others, and large enough to have pages of its own. */
for (const [size, payload] of [
  ['small', `{"name":"${SECRET}"}`],
  ['large', `${'x'.repeat(30_000)}${SECRET}${'y'.repeat(30_000)}`],
] as const)
  test(`a ${size} payload that is erased stands in no file, nor do its values or its proposal`, async (t) => {
    const path = makePath();
    const store = await openStore(t, path);
    await store.append({ expected: -1, entries: [makeEntry(0)] });
    const first = makeEntry(1, { payload: bytesOf(payload), changes: [put('a', SECRET)] });
    await store.putProposal({
      payloadB3: first.payloadB3,
      payload: first.payload,
      receivedAt: '',
      expiresAt: '',
      approvals: [],
    });
    await store.append({ expected: 0, entries: [first] });
    await store.append({ expected: 1, entries: [makeEntry(2, { changes: [remove('a')] })] });
    assert.notDeepEqual(filesWith(path, SECRET), []);
    await store.append({ expected: 2, entries: [makeEntry(3, { type: 'erase', erases: 1 })] });
    // The write-ahead log is emptied after the answer.
    await store.putCheckpoint('one more write');
    assert.deepEqual(filesWith(path, SECRET), []);
  });

for (const isStopped of [false, true])
  test(`a reader that holds the write-ahead log keeps it no longer than it reads${isStopped ? ', also beyond a restart' : ''}`, async (t) => {
    const path = makePath();
    let store = await openStore(t, path);
    const entries = [
      makeEntry(0),
      makeEntry(1, { payload: bytesOf(SECRET) }),
      makeEntry(2, { type: 'erase', erases: 1 }),
    ];
    for (const entry of entries.slice(0, 2))
      await store.append({ expected: entry.version - 1, entries: [entry] });
    const reader = new Database(path, { readonly: true });
    reader.exec('BEGIN');
    reader.prepare('SELECT count(*) FROM entries').get();
    await store.append({ expected: 1, entries: entries.slice(2) });
    if (isStopped) {
      await store[Symbol.asyncDispose]();
      store = await openStore(t, path);
    }
    assert.ok(filesWith(path, SECRET).length > 0, 'the reader keeps nothing');
    reader.exec('COMMIT');
    reader.close();
    // Nobody writes any more: the lane goes back to it by itself.
    for (let i = 0; i < 200 && filesWith(path, SECRET).length > 0; i++) await sleep(50);
    assert.deepEqual(filesWith(path, SECRET), []);
  });

test('what is pruned stands in no file, and what was written before it ended does', async (t) => {
  const path = makePath();
  const store = await openStore(t, path);
  await store.append({
    expected: -1,
    entries: [
      makeEntry(0),
      makeEntry(1, { payload: bytesOf(SECRET) }),
      makeEntry(2, { payload: bytesOf('kept as it was') }),
    ],
  });
  await store.setOldest(2);
  await store.prune();
  await store[Symbol.asyncDispose]();
  assert.deepEqual(filesWith(path, SECRET), []);
  assert.deepEqual(filesWith(path, 'kept as it was'), ['quorate.db']);
});

test('a pruning that was cut short goes on where it was, and is of short steps', async () => {
  const path = makePath();
  const lane = new CommitLane(path);
  const count = 4_000;
  const entries = Array.from({ length: count }, (_, version) =>
    makeEntry(version, { changes: version === 0 ? [] : [put('a', String(version))] }),
  );
  lane.run([{ type: 'append', expected: -1, entries }]);
  lane.run([{ type: 'set_oldest', oldest: count - 1 }]);
  const steps: PruneProgress[] = [];
  const step = (): void => {
    const report = lane.run([{ type: 'prune_step' }]);
    assert.equal(report.type, 'done');
    if (report.type === 'done') steps.push(report.answers[0] as PruneProgress);
  };
  step();
  lane.close();
  const again = new CommitLane(path);
  const { reached } = steps[0] ?? { reached: 0 };
  assert.ok(reached > 0 && reached < count - 1, `one step reached ${reached}`);
  const rest = again.run([{ type: 'prune_step' }]);
  assert.ok(rest.type === 'done' && (rest.answers[0] as PruneProgress).reached > reached);
  again.close();
  await using reader = openSqliteReader({ path });
  const [whole] = await reader.entries({ from: count - 1, limit: 1 });
  assert.notEqual(whole?.payload.length, 0);
});

test('an entry that ended more values than one step drops is done in several', async () => {
  const path = makePath();
  const lane = new CommitLane(path);
  const ids = Array.from({ length: 5_000 }, (_, i) => `id-${i}`);
  const entries = [
    makeEntry(0, { changes: ids.map((id) => put(id, '1')) }),
    makeEntry(1, { changes: ids.map((id) => remove(id)) }),
    makeEntry(2),
  ];
  lane.run([{ type: 'append', expected: -1, entries }]);
  lane.run([{ type: 'set_oldest', oldest: 2 }]);
  let steps = 0;
  for (let reached = 0; reached < 2; steps++) {
    const report = lane.run([{ type: 'prune_step' }]);
    if (report.type !== 'done') assert.fail(report.type);
    reached = (report.answers[0] as PruneProgress).reached;
  }
  assert.ok(steps > 2, `5,000 values went in ${steps} steps`);
  lane.close();
  const db = new Database(path);
  assert.equal(db.prepare('SELECT count(*) FROM descriptors').pluck().get(), 0);
  assert.equal(db.prepare('SELECT count(*) FROM spans').pluck().get(), 0);
  db.close();
});

test('after each value a pruning step looks at the clock, for one may be as large as a payload', () => {
  const path = makePath();
  const lane = new CommitLane(path);
  const ids = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
  const entries = [
    makeEntry(0, { changes: ids.map((id) => put(id, 'x'.repeat(64 * 1024))) }),
    makeEntry(1, { changes: ids.map((id) => remove(id)) }),
  ];
  lane.run([{ type: 'append', expected: -1, entries }]);
  lane.run([{ type: 'set_oldest', oldest: 1 }]);
  lane.close();
  const db = new Database(path);
  let nowMs = 0;
  const writer = new RetentionWriter(db, () => (nowMs += 1_000));
  const count = db.prepare<[], number>('SELECT count(*) FROM spans').pluck();
  const left: unknown[] = [];
  for (let reached = 0; reached < 1; left.push(count.get())) ({ reached } = writer.pruneStep());
  // The last step finds none, and drops the payload.
  assert.deepEqual(left, [7, 6, 5, 4, 3, 2, 1, 0, 0]);
  db.close();
});
