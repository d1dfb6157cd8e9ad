/** Commits that were let in and wait: what comes of the batch before them is asked again before they are written. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RegistryError } from '../../../src/core/error.ts';
import type { Hash } from '../../../src/core/hash.ts';
import type { OpenCosigner } from '../../../src/registry/cosigners.ts';
import type { CheckpointSigner } from '../../../src/registry/options.ts';
import type { Registry } from '../../../src/registry/registry.ts';
import { createMemoryStore } from '../../../src/store/memory.ts';
import { checkLog } from '../../support/check-log.ts';
import { makeFaulty } from '../../support/faulty-store.ts';
import { lying } from '../../support/lying-store.ts';
import {
  damageFound,
  keepCheckpoint,
  openTestRegistry,
  put,
  type TestRegistryOptions,
} from '../../support/registry.ts';
import { descriptorsPayload, LOG_SIGNER } from '../../support/signers.ts';

/** Two commits of a batch each, the second let in while the first is on its way to the disk, where `act` happens. */
async function commitTwice(options: TestRegistryOptions, act: (registry: Registry) => unknown) {
  const { store, hold, batches } = makeFaulty(options.store ?? createMemoryStore());
  const real = await openTestRegistry({ ...options, store });
  const { proposals } = real.registry;
  const ids: Hash[] = [];
  for (const id of ['a', 'b']) {
    const proposal = descriptorsPayload(real.registryHash, [put(id, {})]);
    await proposals.propose(proposal.bytes);
    for (const signer of real.signers)
      await proposals.approve(proposal.payloadB3, signer.approve(proposal));
    ids.push(proposal.payloadB3);
  }
  const release = hold();
  const [first, second] = ids.map(async (id) => {
    while (id === ids[1] && batches.at(-1)?.[0] !== 1) await Promise.resolve();
    return (await proposals.commit(id)).head.version;
  });
  while (batches.at(-1)?.[0] !== 1) await Promise.resolve();
  await new Promise((resolve) => setImmediate(resolve));
  await act(real.registry);
  release();
  const answers = await Promise.allSettled([first, second]);
  return { ...real, answers, batches, second: ids[1] ?? assert.fail() };
}

test('commits that wait behind a batch are committed after it', async () => {
  const { answers, batches, store } = await commitTwice({}, () => undefined);
  assert.deepEqual(
    answers.map((answer) => answer.status === 'fulfilled' && answer.value),
    [1, 2],
  );
  assert.deepEqual(batches, [[0], [1], [2]]);
  await checkLog(store);
});

test('commits that wait while the log key fails are refused, and may be repeated when it signs', async () => {
  let isAble = true;
  const signer: CheckpointSigner = {
    ...LOG_SIGNER,
    async sign(message) {
      if (!isAble) throw new Error('the device is busy');
      return LOG_SIGNER.sign(message);
    },
  };
  const real = await commitTwice({ signers: [signer] }, () => {
    isAble = false;
  });
  const { answers, batches, store, registry, timers, fatal, second } = real;
  const [one, two] = answers;
  assert.equal(one?.status === 'fulfilled' && one.value, 1);
  assert.ok(two?.status === 'rejected');
  assert.equal(two.reason.code, 'not_ready');
  assert.match(two.reason.message, /the device is busy/);
  assert.equal(two.reason.details.reason, 'checkpoint');
  assert.deepEqual(batches, [[0], [1]]);
  assert.equal((await store.head())?.version, 1);
  assert.deepEqual(fatal, []);

  isAble = true;
  timers.advance(1_000);
  while (!registry.readiness().writeReady) await new Promise((resolve) => setImmediate(resolve));
  assert.equal((await registry.proposals.commit(second)).head.version, 2);
  await checkLog(store);
});

test('commits that wait while a witness raises its alarm are refused', async () => {
  let refusal: RegistryError | undefined;
  const alarming: OpenCosigner = () => ({
    submit: () => undefined,
    refusal: () => refusal,
    [Symbol.asyncDispose]: async () => undefined,
  });
  const { answers, store } = await commitTwice({ cosigners: [alarming] }, () => {
    refusal = new RegistryError('not_ready', 'expected 2 entries, a witness saw 9');
  });
  const [one, two] = answers;
  assert.equal(one?.status === 'fulfilled' && one.value, 1, 'it was on its way already');
  assert.ok(two?.status === 'rejected');
  assert.match(two.reason.message, /a witness saw 9/);
  assert.equal((await store.head())?.version, 1);
});

test('commits that wait while the walk over the log finds damage are refused', async () => {
  const begun = await openTestRegistry();
  await keepCheckpoint(begun);
  const walk = Promise.withResolvers<never>();
  const store = lying(begun.store, {
    entries: ({ from, limit }) =>
      from === 0 ? walk.promise : begun.store.entries({ from, limit }),
  });
  const { answers } = await commitTwice({ store, isChecked: false }, async (registry) => {
    walk.reject(new RegistryError('storage_damaged', 'expected version 0, got nothing'));
    await damageFound(registry);
  });
  const [one, two] = answers;
  assert.equal(one?.status === 'fulfilled' && one.value, 1);
  assert.ok(two?.status === 'rejected');
  assert.equal(two.reason.code, 'storage_damaged');
  assert.equal((await begun.store.head())?.version, 1);
});
