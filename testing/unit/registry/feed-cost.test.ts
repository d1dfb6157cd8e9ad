/** What an event costs as subscribers and history grow, in things that can be counted. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FeedEvent } from '../../../src/registry/registry.ts';
import type { Store } from '../../../src/store/store.ts';
import { lying } from '../../support/lying-store.ts';
import {
  appendDirectly,
  openTestRegistry,
  put,
  type TestRegistry,
} from '../../support/registry.ts';

/** As many that wait for what comes. */
function follow(real: TestRegistry, count: number): () => readonly (FeedEvent | undefined)[] {
  const got: (FeedEvent | undefined)[] = Array.from({ length: count });
  for (let i = 0; i < count; i++) {
    const subscription = real.registry.feed.subscribe({ after: 0, mode: 'all', consumer: 'test' });
    const read = (): void => {
      const event = subscription.poll(read);
      assert.ok(!(event instanceof Promise), 'what was just announced is at hand');
      if (event !== undefined) got[i] = event;
    };
    read();
  }
  return () => got;
}

async function untilAll(got: () => readonly (FeedEvent | undefined)[]): Promise<void> {
  while (got().includes(undefined)) await new Promise((resolve) => setImmediate(resolve));
}

test('an event is encoded once, and a heartbeat takes one timer, however many follow', async () => {
  for (const count of [1, 10, 2_000]) {
    const real = await openTestRegistry();
    const quiet = real.timers.pending;
    const got = follow(real, count);
    assert.equal(real.timers.pending - quiet, 1);
    await real.change(put('a', {}));
    await untilAll(got);
    assert.equal(new Set(got().map((event) => event?.frame)).size, 1, `${count} subscribers`);
    assert.deepEqual(new Set(got().map((event) => event?.type)), new Set(['update']));
  }
});

test('a heartbeat is encoded once too', async () => {
  const real = await openTestRegistry();
  const got = follow(real, 1_200);
  real.timers.advance(15_000);
  await untilAll(got);
  assert.equal(new Set(got().map((event) => event?.frame)).size, 1);
  assert.equal(got()[0]?.type, 'progress');
});

test('other work comes in between while thousands are woken', async () => {
  const real = await openTestRegistry();
  const got = follow(real, 2_000);
  await real.change(put('a', {}));
  const reached: number[] = [];
  while (got().includes(undefined)) {
    await new Promise((resolve) => setImmediate(resolve));
    reached.push(got().filter((event) => event !== undefined).length);
  }
  const steps = reached.map((count, i) => count - (reached[i - 1] ?? 0));
  assert.ok(Math.max(...steps) <= 500, `${steps}`);
});

/** How often leaves were read, and how many, by who reads `entries` events. */
async function readsOf(entries: number): Promise<{ calls: number; leaves: number }> {
  const cost = { calls: 0, leaves: 0 };
  const first = await openTestRegistry();
  await appendDirectly(first, entries);
  const counted: Store = lying(first.store, {
    leaves: async (range) => {
      const leaves = await first.store.leaves(range);
      cost.calls++;
      cost.leaves += leaves.length;
      return leaves;
    },
  });
  const { registry } = await openTestRegistry({ store: counted });
  const before = { ...cost };
  const reader = registry.feed.subscribe({ after: 0, mode: 'all', consumer: 'test' });
  for (let v = 0; v < entries; v++) await reader.next();
  return { calls: cost.calls - before.calls, leaves: cost.leaves - before.leaves };
}

test('a replay of n events reads n leaves, in pages: it grows with n and no faster', async () => {
  const [small, large] = [await readsOf(128), await readsOf(1_024)];
  const exponent = (a: number, b: number): number => Math.log(b / a) / Math.log(1_024 / 128);
  assert.ok(exponent(small.calls, large.calls) < 1.05, `${small.calls}, ${large.calls}`);
  assert.ok(exponent(small.leaves, large.leaves) < 1.05, `${small.leaves}, ${large.leaves}`);
  assert.ok(large.calls <= 1_024 / 64 + 1 && large.leaves <= 1_024 + large.calls);
});
