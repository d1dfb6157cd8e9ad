/** The main file follows the write-ahead log within a minute, idle or busy, on a clock of the test. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import Database from 'better-sqlite3';
import { CommitLane } from '../../src/store/commit-lane.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import type { Store } from '../../src/store/store.ts';
import { metricsWith } from '../support/server-golden.ts';
import { makeEntry } from '../support/store-entries.ts';
import { makePath } from '../support/store-sqlite.ts';

const CADENCE_S = 30;
const BOUND_S = 60;

/** A store at its default cadence, and what a scrape says of it. */
async function openOnClock(t: TestContext) {
  t.mock.timers.enable({ apis: ['setInterval'] });
  let nowMs = 0;
  const metrics = metricsWith({ now: () => nowMs });
  const told = new EventTarget();
  const path = makePath();
  const checkpointed = () => {
    metrics.checkpointed();
    told.dispatchEvent(new Event('checkpointed'));
  };
  const age = async () => {
    const { text } = await metrics.render();
    const [, value] = /^registry_checkpoint_age_seconds (\S+)$/m.exec(text) ?? [];
    return value === undefined ? undefined : Number(value);
  };
  assert.equal(await age(), undefined, 'without a main file there is no age');
  const store = await openSqliteStore({
    path,
    metrics: { fsync: () => undefined, checkpointed },
    onFatal: assert.fail,
  });
  t.after(() => store[Symbol.asyncDispose]());
  let passed = 0;
  const second = () => {
    nowMs += 1_000;
    passed++;
    t.mock.timers.tick(1_000);
  };
  /** A second passes; at the cadence the lane has answered when it resolves. */
  const settledSecond = async () => {
    const isOver = (passed + 1) % CADENCE_S === 0 ? once(told, 'checkpointed') : Promise.resolve();
    second();
    await isOver;
  };
  return { path, store, age, second, settledSecond };
}

async function append(store: Store, version: number): Promise<void> {
  const answer = await store.append({ expected: version - 1, entries: [makeEntry(version)] });
  assert.deepEqual(answer, { outcome: 'appended', head: version });
}

test('an idle registry is never a minute behind', async (t) => {
  const { store, age, settledSecond } = await openOnClock(t);
  await append(store, 0);
  const ages: number[] = [];
  for (let second = 0; second < 600; second++) {
    await settledSecond();
    ages.push((await age()) ?? Number.NaN);
  }
  assert.ok(Math.max(...ages) < BOUND_S && Math.max(...ages) > 0, `${Math.max(...ages)}`);
});

test('a busy registry is never a minute behind, and its main file really holds what was written', async (t) => {
  const { path, store, age, settledSecond } = await openOnClock(t);
  const before = statSync(path).size;
  const ages: number[] = [];
  for (let version = 0; version < 240; version++) {
    await append(store, version);
    await settledSecond();
    ages.push((await age()) ?? Number.NaN);
  }
  assert.ok(Math.max(...ages) < BOUND_S && Math.max(...ages) > 0, `${Math.max(...ages)}`);
  assert.ok(statSync(path).size > before + 240 * 100, 'nothing came into the main file');
  assert.ok(statSync(`${path}-wal`).size < 4 * 1024 * 1024, 'the log was never long');
});

test('while somebody reads the log the age grows, nothing waits for them, and it falls when they are done', async (t) => {
  const { path, store, age, second, settledSecond } = await openOnClock(t);
  await append(store, 0);
  const other = new Database(path, { readonly: true });
  other.exec('BEGIN');
  other.prepare('SELECT count(*) FROM entries').get();
  for (let version = 1; version <= 2 * BOUND_S; version++) {
    second();
    // Behind what the lane was asked for before.
    await append(store, version);
  }
  assert.equal(await age(), 2 * BOUND_S);
  other.close();
  for (let waited = 0; waited < CADENCE_S; waited++) await settledSecond();
  assert.equal(await age(), 0);
});

test('a compaction that folds the log is a checkpoint too', async (t) => {
  const { store, age, second } = await openOnClock(t);
  await append(store, 0);
  for (let passed = 0; passed < 20; passed++) second();
  assert.equal(await age(), 20);
  const { isLogFolded } = await store.compact({ expiredBefore: '2026-11-21T09:30:00.000Z' });
  assert.equal(isLogFolded, true);
  assert.equal(await age(), 0);
});

test('the log keeps its room, so that a process that was killed is still seen to have been', () => {
  const path = makePath();
  const lane = new CommitLane(path);
  lane.run([{ type: 'append', expected: -1, entries: [makeEntry(0)] }]);
  const log = statSync(`${path}-wal`).size;
  assert.ok(log > 0);
  assert.deepEqual(lane.catchUp(), { type: 'checkpointed' });
  assert.equal(statSync(`${path}-wal`).size, log);
  assert.deepEqual(lane.catchUp(), { type: 'checkpointed' }, 'with nothing to do as well');
  // The next write begins the log again instead of making it longer.
  lane.run([{ type: 'append', expected: 0, entries: [makeEntry(1)] }]);
  assert.equal(statSync(`${path}-wal`).size, log);
  lane.close();
});
