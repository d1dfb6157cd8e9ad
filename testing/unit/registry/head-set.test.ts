/** A large set after a start: the log is read at once, descriptors once every row was, and writes are taken then. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { createMemoryStore } from '../../../src/store/memory.ts';
import type { Store, StoredDescriptor } from '../../../src/store/store.ts';
import { lying } from '../../support/lying-store.ts';
import {
  damageFound,
  keepCheckpoint,
  openTestRegistry,
  put,
  SILENT_LOG,
} from '../../support/registry.ts';
import { descriptorsPayload } from '../../support/signers.ts';
import { TestTimers } from '../../support/timers.ts';

const MANY = 2_000;
const ROWS_AT_ONCE = 128;
const KEY = { version: 1, kind: 'service', id: 'd7', isProofWanted: true };

let store: Store;

before(async () => {
  const real = await openTestRegistry({ store: createMemoryStore() });
  await real.change(...Array.from({ length: MANY }, (_, i) => put(`d${i}`, { i })));
  await keepCheckpoint(real);
  store = real.store;
});

/** Its rows come when `release` was called. */
function heldSet() {
  const { promise, resolve } = Promise.withResolvers<void>();
  const held = lying(store, {
    async *set(version) {
      await promise;
      yield* store.set(version);
    },
  });
  return { held, release: resolve };
}

function changedRow(change: (row: StoredDescriptor) => StoredDescriptor): Store {
  return lying(store, {
    async *set(version) {
      for await (const page of store.set(version))
        yield page.map((row) => (row.id === KEY.id ? change(row) : row));
    },
  });
}

/** Whether it has an outcome after many turns. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const settle = () => {
    settled = true;
  };
  promise.then(settle, settle);
  for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
  return settled;
}

test('the log is read before the set at its head is known, and descriptors and writes wait', async () => {
  const { held, release } = heldSet();
  const { registry, registryHash, change } = await openTestRegistry({
    store: held,
    isChecked: false,
  });
  assert.equal(registry.head()?.version, 1);
  assert.ok(registry.checkpoint());
  assert.equal((await registry.reader.entries({ from: 0, limit: 9 })).length, 2);
  assert.equal((await registry.reader.inclusionProof({ version: 0, size: 2 }))?.length, 1);
  const { ready, writeReady, missing } = registry.readiness();
  assert.deepEqual([ready, writeReady], [true, false]);
  assert.deepEqual(missing, ['the set at the head: 0 of 2000 descriptors read so far']);
  const { bytes } = descriptorsPayload(registryHash, [put('new', {})]);
  await assert.rejects(registry.proposals.propose(bytes), {
    code: 'not_ready',
    details: { reason: 'log' },
  });
  const waiting = [
    registry.reader.descriptor(KEY),
    registry.reader.set(1),
    registry.reader.setHashes(1),
    registry.reader.diff({ from: 0, to: 1 }),
    registry.reader.history({ ...KEY, limit: 1 }),
  ];
  for (const read of waiting) assert.equal(await isSettled(read), false);
  release();
  const [descriptor] = await Promise.all(waiting);
  assert.ok(descriptor !== undefined && 'valueHash' in descriptor && descriptor.valueHash !== null);
  assert.equal(registry.readiness().writeReady, true);
  const { object } = await change(put('new', {}));
  assert.deepEqual([object.version, object.set_size], [2, MANY + 1]);
  const whole = await openTestRegistry({ store });
  assert.equal(whole.registry.head()?.object.set_root, object.set_root);
});

test('a proposal in flight is told of when it is known what blocks it', async () => {
  const first = await openTestRegistry({ store });
  const { bytes, payloadB3 } = descriptorsPayload(first.registryHash, [put('d7', {})]);
  await first.registry.proposals.propose(bytes);
  const { held, release } = heldSet();
  const { registry } = await openTestRegistry({ store: held, isChecked: false });
  const reads = [registry.proposals.list(), registry.proposals.get(payloadB3)];
  for (const read of reads) assert.equal(await isSettled(read), false);
  release();
  const [list, one] = await Promise.all(reads);
  assert.ok(Array.isArray(list) && one !== undefined && 'state' in one);
  assert.equal(one.state, 'blocked');
  assert.deepEqual(list, [one]);
});

test('others have their turn while it is made', async () => {
  let turns = 0;
  class CountedTimers extends TestTimers {
    override soon(run: () => void): void {
      turns++;
      super.soon(run);
    }
  }
  const { registry } = await openTestRegistry({ store, timers: new CountedTimers(Date.now()) });
  assert.equal(registry.readiness().writeReady, true);
  assert.ok(turns > (2 * MANY) / ROWS_AT_ONCE, `${turns} turns`);
});

test('rows that are damaged are answered to nobody, and nothing is written', async () => {
  for (const damaged of [
    changedRow((row) => ({ ...row, bytes: row.bytes.with(0, 0) })),
    changedRow((row) => ({ ...row, valueHash: row.valueHash.with(0, ~(row.valueHash[0] ?? 0)) })),
    changedRow((row) => ({ ...row, id: 'another' })),
  ]) {
    const errors: string[] = [];
    const { registry, change } = await openTestRegistry({
      store: damaged,
      log: { ...SILENT_LOG, error: (text) => void errors.push(text) },
    });
    await damageFound(registry);
    assert.deepEqual(errors, [
      'the set is damaged: no descriptor is answered, and nothing is written',
    ]);
    const code = 'storage_damaged';
    await assert.rejects(registry.reader.descriptor({ ...KEY, id: 'd8' }), { code });
    await assert.rejects(registry.reader.history({ ...KEY, limit: 1 }), { code });
    await assert.rejects(change(put('other', {})), { code });
    assert.equal(registry.readiness().ready, true);
    assert.equal((await registry.reader.entries({ from: 0, limit: 9 })).length, 3);
  }
});

test('a stop does not wait for all of it, and who waits is told', async () => {
  const { held, release } = heldSet();
  const { registry } = await openTestRegistry({
    // The store is used by other tests too.
    store: lying(held, { [Symbol.asyncDispose]: async () => undefined }),
    isChecked: false,
  });
  const waiting = assert.rejects(registry.reader.descriptor(KEY), { code: 'draining' });
  registry.drain();
  release();
  await registry[Symbol.asyncDispose]();
  await waiting;
  assert.ok(registry.readiness().missing.every((reason) => !reason.includes('a whole set')));
});
