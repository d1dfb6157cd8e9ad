/** Trees of old versions: one is made at a time, few wait for them, and nobody who has gone. */
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import type { Asker } from '../../../src/registry/registry.ts';
import { createMemoryStore } from '../../../src/store/memory.ts';
import { lying } from '../../support/lying-store.ts';
import { openTestRegistry, put, type TestRegistry } from '../../support/registry.ts';

const VERSIONS = 40;
const MAX_WAITING = 32;
const MAX_OF_ADDRESS = 8;

let real: TestRegistry;
/** Versions whose trees were begun, in order. */
let made: number[];
/** From now on trees are made at once. */
let release: () => void;

/** Only the head's tree is at hand, and others are not made before `release`. */
beforeEach(async () => {
  const store = createMemoryStore();
  const first = await openTestRegistry({ store });
  for (let n = 1; n <= VERSIONS; n++) await first.change(put(`d${n}`, { n }));
  made = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  release = resolve;
  real = await openTestRegistry({
    store: lying(store, {
      async *diff(range) {
        made.push(range.to);
        await promise;
        yield* store.diff(range);
      },
      [Symbol.asyncDispose]: async () => undefined,
    }),
  });
});

const read = (version: number, asker?: Asker) => real.registry.reader.setHashes(version, asker);

async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
}

const overloaded = (reason: string, limit?: number) => ({
  code: 'overloaded',
  details: { reason, ...(limit !== undefined && { limit }) },
});

test('one more than may wait is refused at once, and the head and writes go on', async () => {
  const waiting = Array.from({ length: MAX_WAITING }, (_, version) => read(version));
  await turns();
  await assert.rejects(read(MAX_WAITING), overloaded('old_sets', MAX_WAITING));
  // Who joins another's wait takes no place of a version.
  const joined = Array.from({ length: 64 }, () => read(5, { address: 'one' }));
  await turns();
  await assert.rejects(read(5, { address: 'one' }), overloaded('old_sets', 64));
  assert.deepEqual(made, [0]);
  assert.equal((await read(VERSIONS))?.version, VERSIONS);
  const { version } = await real.change(put('new', {}));
  assert.equal(real.registry.head()?.version, version);
  assert.equal((await read(version))?.version, version);
  release();
  const answers = await Promise.all(waiting);
  for (const answer of await Promise.all(joined)) assert.equal(answer?.version, 5);
  assert.equal(made.length, MAX_WAITING);
  assert.deepEqual(
    answers.map((answer) => answer?.version),
    Array.from({ length: MAX_WAITING }, (_, version) => version),
  );
  assert.equal((await read(MAX_WAITING))?.version, MAX_WAITING);
});

test('one address leaves room for the others', async () => {
  const waiting = Array.from({ length: MAX_OF_ADDRESS }, (_, version) =>
    read(version, { address: 'one' }),
  );
  await turns();
  await assert.rejects(read(20, { address: 'one' }), overloaded('old_sets', MAX_OF_ADDRESS));
  waiting.push(read(20, { address: 'another' }));
  release();
  await Promise.all(waiting);
  assert.equal((await read(21, { address: 'one' }))?.version, 21);
});

test('one tree is made for all who wait for its version', async () => {
  const waiting = [read(1), read(2), read(3), read(4), read(5), read(6)];
  const again = [read(1), read(2), read(3), read(4), read(5), read(6)];
  await turns();
  release();
  await Promise.all([...waiting, ...again]);
  assert.deepEqual(made, [1, 2, 3, 4, 5, 6]);
});

test('no tree is made for who has hung up, and the place is free', async () => {
  const gone = new AbortController();
  const first = read(1);
  const { signal } = gone;
  const left = Array.from({ length: MAX_WAITING - 1 }, (_, n) => read(n + 2, { signal }));
  await turns();
  await assert.rejects(read(39), overloaded('old_sets', MAX_WAITING));
  gone.abort();
  for (const one of left) await assert.rejects(one, overloaded('hung_up'));
  await assert.rejects(read(38, { signal }), overloaded('hung_up'));
  const second = read(39);
  await turns();
  assert.deepEqual(made, [1]);
  release();
  await Promise.all([first, second]);
  assert.deepEqual(made, [1, 39]);
});

test('who still waits for a version gets it although the first who asked has hung up', async () => {
  const gone = new AbortController();
  const busy = read(1);
  const left = read(2, { signal: gone.signal });
  const stays = read(2);
  await turns();
  gone.abort();
  await assert.rejects(left, overloaded('hung_up'));
  release();
  assert.equal((await stays)?.version, 2);
  await busy;
});

test('a tree that cannot be made is refused to all who wait for it, and the next is made', async () => {
  const store = lying(real.store, {
    async *diff(range) {
      if (range.to === 1) throw new Error('cannot');
      yield* real.store.diff(range);
    },
  });
  release();
  const { registry } = await openTestRegistry({ store });
  const refused = [registry.reader.setHashes(1), registry.reader.setHashes(1)];
  const next = registry.reader.setHashes(2);
  for (const one of refused) await assert.rejects(one, { message: 'cannot' });
  assert.equal((await next)?.version, 2);
});

test('a stop waits for no tree: who waits is told, and who comes', async () => {
  const waiting = [read(1), read(2), read(3)];
  await turns();
  real.registry.drain();
  for (const one of waiting) await assert.rejects(one, { code: 'draining' });
  await assert.rejects(read(4), { code: 'draining' });
  assert.equal((await read(VERSIONS))?.version, VERSIONS);
  release();
  await turns();
  assert.deepEqual(made, [1]);
});
