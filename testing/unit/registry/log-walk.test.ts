/** The walk over the log, where somebody else does it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RegistryError } from '../../../src/core/error.ts';
import type { RegistryOptions } from '../../../src/registry/options.ts';
import type { Walk } from '../../../src/registry/scrub.ts';
import {
  appendDirectly,
  damageFound,
  keepCheckpoint,
  openTestRegistry,
  put,
} from '../../support/registry.ts';

type WalkLog = NonNullable<RegistryOptions['walk']>;

/** As few as are worth another's while, after genesis. */
const LONG = 1_024;

/** A log that is opened again, its walk done by `walk`, and begun. */
async function reopen(walk: WalkLog, { isVouched = false } = {}) {
  const first = await openTestRegistry();
  await appendDirectly(first, LONG);
  if (isVouched) await keepCheckpoint(first);
  const begun = Promise.withResolvers<void>();
  const begin: WalkLog = (asked) => {
    begun.resolve();
    return walk(asked);
  };
  const real = await openTestRegistry({ store: first.store, isChecked: !isVouched, walk: begin });
  await begun.promise;
  return real;
}

test('whoever walks is told the end of the log, and whether writes wait for it', async () => {
  for (const isVouched of [false, true]) {
    const asked: Walk[] = [];
    const { registry } = await reopen(async (walk) => void asked.push(walk), { isVouched });
    assert.equal(asked.length, 1);
    assert.equal(asked[0]?.isAwaited, !isVouched);
    assert.equal(asked[0]?.end.version, LONG);
    assert.equal(asked[0]?.end.entryHash, registry.head()?.object.entry_hash);
    assert.equal(registry.readiness().writeReady, true);
  }
});

test('a walker that fails says nothing of the log: it is walked here', async () => {
  let walks = 0;
  const { registry, change } = await reopen(async () => {
    walks++;
    throw new Error('no thread');
  });
  assert.equal(walks, 1);
  assert.equal(registry.readiness().writeReady, true);
  assert.equal((await change(put('b', {}))).version, LONG + 1);
});

test('damage that a walker finds ends writes', async () => {
  const { registry } = await reopen(
    async () => {
      throw new RegistryError('storage_damaged', 'expected an entry, got another');
    },
    { isVouched: true },
  );
  await damageFound(registry);
});

test("what becomes of a walk after a stop is nobody's concern", async () => {
  const given = Promise.withResolvers<void>();
  const { registry } = await reopen(() => given.promise, { isVouched: true });
  registry.drain();
  given.reject(new RegistryError('storage_damaged', 'given up'));
  await registry[Symbol.asyncDispose]();
  assert.ok(registry.readiness().missing.every((reason) => !reason.includes('a whole log')));
});
