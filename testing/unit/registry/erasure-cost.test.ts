/** What an erasure costs does not grow with those before it; a start verifies all of them, and others get their turn. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Retained } from '../../../src/registry/retained.ts';
import { createMemoryStore } from '../../../src/store/memory.ts';
import { erase } from '../../support/letting-go.ts';
import { lying } from '../../support/lying-store.ts';
import { openTestRegistry, put } from '../../support/registry.ts';

/** 80 values of one descriptor, of which the first `count` are erased. */
async function openErased(count: number) {
  const inner = createMemoryStore();
  let reads = 0;
  const store = lying(inner, {
    entry: (version) => {
      reads++;
      return inner.entry(version);
    },
  });
  const real = await openTestRegistry({ store });
  for (let n = 1; n <= 80; n++)
    await real.change(put('a', { n }, n === 1 ? undefined : { n: n - 1 }));
  /** How often the store was asked for an entry meanwhile. */
  const readsOf = async (act: () => Promise<unknown>): Promise<number> => {
    reads = 0;
    await act();
    return reads;
  };
  const costs: number[] = [];
  for (let version = 1; version <= count; version++)
    costs.push(await readsOf(() => erase(real, version)));
  return { ...real, store, costs, readsOf };
}

test('an erasure reads as many entries after 70 others as after none', async () => {
  const { registry, costs } = await openErased(71);
  assert.equal(registry.retention().erasures.length, 71);
  assert.equal(costs.at(-1), costs[0]);
});

test('a start verifies every erasure, with a turn for others after some of them', async () => {
  const { store, readsOf, registry } = await openErased(70);
  let turns = 0;
  const soon = (run: () => void): void => {
    turns++;
    setImmediate(run);
  };
  const retained = new Retained({ timers: { soon } });
  const reads = await readsOf(() => retained.load(store));
  assert.equal(reads, 2 * 70);
  assert.equal(turns, 2);
  assert.deepEqual(retained.state, registry.retention());
  assert.equal(await readsOf(() => retained.load(store)), 0, 'what is known is not asked again');
});

test('a row that comes later is verified like the first ones', async () => {
  const { store } = await openErased(1);
  let forged = false;
  const forging = lying(store, {
    retention: async () => {
      const retention = await store.retention();
      const [one] = retention.erasures;
      assert.ok(one);
      return forged ? { ...retention, erasures: [one, { ...one, version: 2 }] } : retention;
    },
  });
  const retained = new Retained();
  await retained.load(forging);
  forged = true;
  await assert.rejects(retained.load(forging), { code: 'storage_damaged' });
  assert.equal(retained.isErased(2), false);
});
