/** A large set after a start, where somebody else reads its rows. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { RegistryError } from '../../../src/core/error.ts';
import { readSetRows, type SetRead } from '../../../src/registry/load.ts';
import type { RegistryOptions } from '../../../src/registry/options.ts';
import { assertStoredEntry } from '../../../src/registry/stored.ts';
import { createMemoryStore } from '../../../src/store/memory.ts';
import type { Store } from '../../../src/store/store.ts';
import { lying } from '../../support/lying-store.ts';
import { damageFound, keepCheckpoint, openTestRegistry, put } from '../../support/registry.ts';

type ReadSet = NonNullable<RegistryOptions['readSet']>;

/** More than are worth another's while. */
const MANY = 4_097;
const KEY = { version: 1, kind: 'service', id: 'd7', isProofWanted: true };

let store: Store;
/** Of this store nobody but `readSet` reads the set. */
let unread: Store;

before(async () => {
  const real = await openTestRegistry({ store: createMemoryStore() });
  await real.change(...Array.from({ length: MANY }, (_, i) => put(`d${i}`, { i })));
  await keepCheckpoint(real);
  store = lying(real.store, { [Symbol.asyncDispose]: async () => undefined });
  unread = lying(store, {
    set: () => {
      throw new Error('expected another to read the set');
    },
  });
});

async function rowsOf(): Promise<Uint8Array> {
  const head = await store.head();
  assert.ok(head !== undefined);
  return await readSetRows(store, assertStoredEntry(head));
}

test('its rows become the set of the head', async () => {
  const asked: SetRead[] = [];
  const readSet: ReadSet = async (read) => {
    asked.push(read);
    read.onProgress(99);
    return await rowsOf();
  };
  const { registry } = await openTestRegistry({ store: unread, readSet });
  assert.deepEqual(
    asked.map(({ size }) => size),
    [MANY],
  );
  assert.equal(registry.readiness().writeReady, true);
  const descriptor = await registry.reader.descriptor(KEY);
  assert.ok(descriptor !== undefined && 'valueHash' in descriptor && descriptor.valueHash !== null);
});

test('how far it is says why writes wait', async () => {
  const held = Promise.withResolvers<Uint8Array>();
  const { registry } = await openTestRegistry({
    store: unread,
    isChecked: false,
    readSet: (read) => {
      read.onProgress(4_096);
      return held.promise;
    },
  });
  assert.deepEqual(registry.readiness().missing, [
    `the set at the head: 4096 of ${MANY} descriptors read so far`,
  ]);
  held.resolve(await rowsOf());
  await registry.reader.descriptor(KEY);
  assert.equal(registry.readiness().writeReady, true);
});

test('a reader that fails says nothing of the set: it is read here', async () => {
  const warnings: string[] = [];
  const { registry } = await openTestRegistry({
    store,
    log: { debug() {}, info() {}, warn: (text) => void warnings.push(text), error() {} },
    readSet: async () => {
      throw new Error('no thread');
    },
  });
  assert.equal(registry.readiness().writeReady, true);
  assert.deepEqual(warnings, [
    'the reading of the set ended early and begins again in the main thread',
  ]);
});

test('damage that it finds, and rows that are not those of the head, end writes', async () => {
  const rows = await rowsOf();
  const lies: readonly ReadSet[] = [
    async () => {
      throw new RegistryError('storage_damaged', 'expected a descriptor, got another');
    },
    async () => rows.slice(64),
    async () => rows.with(40, ~(rows[40] ?? 0)),
    async () => new Uint8Array([...rows, ...rows.subarray(0, 64)]),
  ];
  for (const readSet of lies) {
    const { registry } = await openTestRegistry({ store: unread, readSet });
    await damageFound(registry);
    const code = 'storage_damaged';
    await assert.rejects(registry.reader.descriptor({ ...KEY, id: 'd8' }), { code });
  }
});

test('a stop gives it up, and does not read the set here', async () => {
  const { registry } = await openTestRegistry({
    store: unread,
    isChecked: false,
    readSet: ({ signal }) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () =>
          reject(new RegistryError('unavailable', 'given up')),
        );
      }),
  });
  const waiting = assert.rejects(registry.reader.descriptor(KEY), { code: 'draining' });
  await registry[Symbol.asyncDispose]();
  await waiting;
});
