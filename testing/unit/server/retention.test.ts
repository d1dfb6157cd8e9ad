/** How far a policy reaches, and that nothing is pruned which no snapshot holds. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Registry } from '../../../src/registry/registry.ts';
import { horizonOf, type RetentionPolicy } from '../../../src/server/retention/horizon.ts';
import { type Coverage, RetentionRun } from '../../../src/server/retention/retention.ts';
import { createMemoryStore } from '../../../src/store/memory.ts';
import type { Store } from '../../../src/store/store.ts';
import type { AuditEvent } from '../../../src/telemetry/audit.ts';
import { lying } from '../../support/lying-store.ts';
import { until } from '../../support/operator.ts';
import {
  appendDirectly,
  openTestRegistry,
  put,
  SILENT_LOG,
  type TestRegistry,
} from '../../support/registry.ts';

const NONE: RetentionPolicy = { ageMs: 0, entries: 0, bytes: 0 };
const DAY_MS = 86_400_000;

/** Versions 0 to 5, a day apart. */
async function openDays(store: Store = createMemoryStore()): Promise<TestRegistry> {
  const real = await openTestRegistry({ store });
  for (let i = 1; i <= 5; i++) {
    real.timers.advance(DAY_MS);
    await real.change(put(`d${i}`, { i }));
  }
  return real;
}

async function reachOf(real: TestRegistry, policy: Partial<RetentionPolicy>, oldest = 0) {
  const { reader } = real.registry;
  const range = { reader, head: 5, oldest, now: real.timers.now() };
  return await horizonOf({ ...NONE, ...policy }, range);
}

test('each bound reaches as far as it says, and together they reach as far as the farthest', async () => {
  const real = await openDays();
  assert.equal(await reachOf(real, {}), 0);
  assert.equal(await reachOf(real, { entries: 2 }), 4);
  assert.equal(await reachOf(real, { entries: 6 }), 0);
  assert.equal(await reachOf(real, { entries: 100 }), 0);
  assert.equal(await reachOf(real, { ageMs: 1.5 * DAY_MS }), 4);
  assert.equal(await reachOf(real, { ageMs: 100 * DAY_MS }), 0);
  const sizes = await Promise.all(
    [3, 4, 5].map(
      async (version) => (await real.registry.reader.leaf(version))?.payload_bytes ?? 0,
    ),
  );
  const lastTwo = (sizes[1] ?? 0) + (sizes[2] ?? 0);
  assert.equal(await reachOf(real, { bytes: lastTwo }), 4);
  assert.equal(await reachOf(real, { bytes: lastTwo - 1 }), 5);
  assert.equal(await reachOf(real, { bytes: lastTwo + (sizes[0] ?? 0) }), 3);
  assert.equal(await reachOf(real, { entries: 5, ageMs: 1.5 * DAY_MS, bytes: 1_000_000 }), 4);
});

test('the head is always kept, and what was pruned before never comes back', async () => {
  const real = await openDays();
  for (const policy of [{ ageMs: 1 }, { bytes: 1 }, { entries: 1 }])
    assert.equal(await reachOf(real, policy), 5, JSON.stringify(policy));
  assert.equal(await reachOf(real, { entries: 4 }, 3), 3);
  assert.equal(await reachOf(real, {}, 3), 3);
});

test('a policy is looked at by leaves alone, and others have a turn after each page', async () => {
  const inner = createMemoryStore();
  await appendDirectly(await openTestRegistry({ store: inner }), 200);
  let payloads = 0;
  const pages: number[] = [];
  const store = lying(inner, {
    entry: (version) => {
      payloads++;
      return inner.entry(version);
    },
    entries: (range) => {
      payloads++;
      return inner.entries(range);
    },
    leaves: (range) => {
      pages.push(range.limit);
      return inner.leaves(range);
    },
  });
  const { registry, timers } = await openTestRegistry({ store });
  payloads = 0;
  pages.length = 0;
  let [turns, isDone] = [0, false];
  setImmediate(function turn() {
    turns++;
    if (!isDone) setImmediate(turn);
  });
  const policy = { ageMs: DAY_MS, entries: 0, bytes: 1_000_000 };
  const range = { reader: registry.reader, head: 200, oldest: 0, now: timers.now() };
  assert.equal(await horizonOf(policy, range), 0);
  isDone = true;
  assert.equal(payloads, 0);
  assert.ok(Math.max(...pages) < 200, `${pages}`);
  const large = pages.filter((limit) => limit > 2).length;
  assert.ok(large > 1 && turns >= large, `${turns} turns in ${large} pages`);
});

interface Run {
  readonly run: RetentionRun;
  readonly made: () => number;
  readonly asked: { oldest: number; horizon: number }[];
  readonly events: AuditEvent[];
  /** The policy from now on. */
  readonly become: (policy: RetentionPolicy) => void;
  /** There is a snapshot that holds everything up to this version. */
  readonly cover: (version: number) => void;
  /** What was said to be wrong. */
  readonly errors: unknown[];
}

/** `covers`: the version up to which a snapshot holds everything; one that is made holds `madeCovers`. */
function openRun(
  t: TestContext,
  real: TestRegistry & { readonly registry: Registry },
  {
    policy = NONE,
    covers = -1,
    madeCovers = 5,
    aheadMs = () => 0,
  }: {
    policy?: RetentionPolicy;
    covers?: number;
    madeCovers?: number;
    /** How wrong the clock is. */
    aheadMs?: () => number;
  } = {},
): Run {
  const asked: { oldest: number; horizon: number }[] = [];
  const events: AuditEvent[] = [];
  const errors: unknown[] = [];
  let covered = covers;
  let current = policy;
  let made = 0;
  const coverage: Coverage = {
    find: async (range) => {
      asked.push({ ...range });
      return covered >= range.horizon - 1 ? `up to ${covered}` : undefined;
    },
    make: async () => {
      made++;
      covered = madeCovers;
    },
  };
  const run = new RetentionRun({
    registry: real.registry,
    store: real.store,
    policy: () => current,
    coverage,
    audit: { record: async (event) => void events.push(event) },
    newCorrId: () => 'c',
    timers: real.timers,
    now: () => real.timers.now() + aheadMs(),
    monotonicMs: () => real.timers.now(),
    log: { ...SILENT_LOG, error: (message, { cause } = {}) => void errors.push([message, cause]) },
  });
  t.after(() => run[Symbol.asyncDispose]());
  const become = (next: RetentionPolicy): void => {
    current = next;
  };
  const cover = (version: number): void => {
    covered = version;
  };
  return { run, made: () => made, asked, events, become, cover, errors };
}

const { signal } = new AbortController();

test('what a snapshot holds is pruned, and its name is the answer', async (t) => {
  const real = await openDays();
  const { run, made, asked } = openRun(t, real, { policy: { ...NONE, entries: 2 }, covers: 3 });
  assert.deepEqual(await run.prune({ signal }), { before: 0, oldest: 4, snapshot: 'up to 3' });
  assert.deepEqual(asked, [{ oldest: 0, horizon: 4 }]);
  assert.equal(made(), 0);
  assert.equal(real.registry.retention().oldest, 4);
  assert.deepEqual(await run.prune({ signal }), { before: 4, oldest: 4, snapshot: null });
});

test('where no snapshot holds it one is made first', async (t) => {
  const real = await openDays();
  const { run, made } = openRun(t, real, { covers: 2 });
  assert.equal((await run.prune({ oldest: 4, signal })).snapshot, 'up to 5');
  assert.equal(made(), 1);
});

test('where none can be made that holds it, nothing is pruned', async (t) => {
  const real = await openDays();
  const { run } = openRun(t, real, { madeCovers: 2 });
  await assert.rejects(run.prune({ oldest: 4, signal }), { code: 'storage_failed' });
  assert.equal(real.registry.retention().oldest, 0);
  assert.ok(await real.registry.reader.entry(1));
});

test('more than a signed checkpoint covers is refused before anything is made', async (t) => {
  const real = await openDays();
  const { run, made } = openRun(t, real);
  await assert.rejects(run.prune({ oldest: 6, signal }), { code: 'invalid_request' });
  assert.equal(made(), 0);
});

test('the policy is looked at a minute after a start, and then every hour, and leaves a record', async (t) => {
  const real = await openDays();
  const { events } = openRun(t, real, { policy: { ...NONE, entries: 3 } });
  real.timers.advance(59_999);
  assert.equal(real.registry.retention().oldest, 0);
  real.timers.advance(1);
  while (events.length === 0) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(real.registry.retention().oldest, 3);
  const [{ act, client, decision, version } = {}] = events as Partial<AuditEvent>[];
  assert.deepEqual([act, client, decision, version], ['prune', 'retention', 'accepted', 3]);
  await real.change(put('later', {}));
  await new Promise((resolve) => setImmediate(resolve));
  real.timers.advance(3_600_000);
  while (events.length === 1) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(real.registry.retention().oldest, 4);
});

test('the policy of the last reload is the one that counts', async (t) => {
  const real = await openDays();
  const { events, become } = openRun(t, real);
  real.timers.advance(60_000);
  for (const [bound, oldest] of [
    [{ entries: 5 }, 1],
    [{ ageMs: 3.5 * DAY_MS }, 2],
    [{ bytes: 1 }, 5],
  ] as const) {
    become({ ...NONE, ...bound });
    const before = events.length;
    await new Promise((resolve) => setImmediate(resolve));
    real.timers.advance(3_600_000);
    while (events.length === before) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(real.registry.retention().oldest, oldest);
  }
});

test('what could not be pruned by the policy is on record too', async (t) => {
  const real = await openDays();
  const { events } = openRun(t, real, { policy: { ...NONE, entries: 3 }, madeCovers: 0 });
  real.timers.advance(60_000);
  while (events.length === 0) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([events[0]?.decision, events[0]?.code], ['refused', 'storage_failed']);
});

test('a pruning that was cut short before any byte went is finished at the next start', async (t) => {
  const store = createMemoryStore();
  await openDays(store);
  await store.setOldest(4);
  const real = await openTestRegistry({ store });
  const { run } = openRun(t, real, { covers: 3 });
  await run.prune({ signal });
  assert.equal((await store.entry(1))?.payload.length, 0);
  assert.notEqual((await store.entry(4))?.payload.length, 0);
});

test('what a pruning has left is dropped only while a snapshot holds it, and every look asks again', async (t) => {
  const store = createMemoryStore();
  await openDays(store);
  await store.setOldest(4);
  const real = await openTestRegistry({ store });
  const { run, made, asked, errors, cover, events } = openRun(t, real, { covers: 2 });
  await until(() => errors.length === 1);
  assert.match(String(errors), /holds versions 0 to 3.*got none.*put one that does back into/s);
  real.timers.advance(60_000);
  await until(() => errors.length === 2);
  await until(() => events.length === 1);
  assert.deepEqual([events[0]?.decision, events[0]?.code], ['refused', 'storage_failed']);
  await assert.rejects(run.prune({ oldest: 5, signal }), { code: 'storage_failed' });
  assert.notEqual((await store.entry(1))?.payload.length, 0);
  assert.equal((await store.retention()).oldest, 4, 'nor is more begun');
  await assert.rejects(real.registry.reader.entry(1), { code: 'pruned' });
  assert.deepEqual(asked, Array(3).fill({ oldest: 0, horizon: 4 }));
  assert.equal(made(), 0, 'a new one would lack what is gone');
  cover(3);
  real.timers.advance(3_600_000);
  await until(async () => (await store.retention()).reached === 4);
  assert.equal((await store.entry(1))?.payload.length, 0);
  assert.equal(errors.length, 2);
});

test('of what a pruning has left only what is still there must be covered', async (t) => {
  const store = createMemoryStore();
  const retention: Store['retention'] = async () => ({ oldest: 4, reached: 3, erasures: [] });
  await openDays(store);
  await store.setOldest(4);
  const { asked } = openRun(t, await openTestRegistry({ store: lying(store, { retention }) }));
  await until(() => asked.length > 0);
  assert.deepEqual(asked, [{ oldest: 3, horizon: 4 }]);
});

test('a clock that is set forward by years makes nothing older', async (t) => {
  const real = await openDays();
  let aheadMs = 0;
  const policy = { ...NONE, ageMs: 3.5 * DAY_MS };
  const { run } = openRun(t, real, { policy, aheadMs: () => aheadMs });
  aheadMs = 3 * 365 * DAY_MS;
  // Versions 0 and 1 are old enough without it.
  assert.equal((await run.prune({ signal })).oldest, 2);
  real.timers.advance(DAY_MS);
  assert.equal((await run.prune({ signal })).oldest, 3);
  aheadMs = -10 * DAY_MS;
  real.timers.advance(DAY_MS);
  assert.deepEqual(await run.prune({ signal }), { before: 3, oldest: 3, snapshot: null });
});

test('a pruning that was given up is ended by asking once more', async (t) => {
  const store = createMemoryStore();
  let isGivenUp = true;
  const prune: Store['prune'] = async () => (isGivenUp ? undefined : store.prune());
  const real = await openDays(lying(store, { prune }));
  const { run } = openRun(t, real);
  await run.prune({ oldest: 4, signal });
  assert.equal(real.registry.retention().oldest, 4);
  assert.notEqual((await store.entry(1))?.payload.length, 0, 'given up before any byte went');
  isGivenUp = false;
  assert.equal((await run.prune({ oldest: 4, signal })).oldest, 4);
  assert.equal((await store.entry(1))?.payload.length, 0);
});
