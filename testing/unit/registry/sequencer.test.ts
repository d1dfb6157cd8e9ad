import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RegistryError } from '../../../src/core/error.ts';
import type { DecodedPayload } from '../../../src/core/payload.ts';
import { catchUp } from '../../../src/registry/catch-up.ts';
import { loadChain } from '../../../src/registry/load.ts';
import { DEFAULT_LIMITS } from '../../../src/registry/options.ts';
import type { PublishedHead } from '../../../src/registry/registry.ts';
import { Sequencer } from '../../../src/registry/sequencer.ts';
import { createNativeVerifier } from '../../../src/server/native-verifier.ts';
import { createMemoryStore } from '../../../src/store/memory.ts';
import { checkLog } from '../../support/check-log.ts';
import { type FaultyStore, makeFaulty } from '../../support/faulty-store.ts';
import { openTestRegistry, put, type TestRegistry } from '../../support/registry.ts';
import { descriptorsPayload, erasePayload } from '../../support/signers.ts';

const code = (expected: string) => (error: unknown) =>
  error instanceof RegistryError && error.code === expected;

async function openFaulty(): Promise<TestRegistry & { faulty: FaultyStore }> {
  const faulty = makeFaulty(createMemoryStore());
  return { ...(await openTestRegistry({ store: faulty.store })), faulty };
}

/** Proposed and approved, not yet committed. */
async function ready(real: TestRegistry, id: string) {
  const proposal = descriptorsPayload(real.registryHash, [put(id, { n: 1 })]);
  return approved(real, proposal);
}

async function approved(real: TestRegistry, proposal: DecodedPayload): Promise<DecodedPayload> {
  await real.registry.proposals.propose(proposal.bytes);
  for (const signer of real.signers.slice(0, 2))
    await real.registry.proposals.approve(proposal.payloadB3, signer.approve(proposal));
  return proposal;
}

test('commits that wait together become one durable batch of consecutive versions', async () => {
  const real = await openFaulty();
  const proposals = await Promise.all(['a', 'b', 'c', 'd', 'e'].map((id) => ready(real, id)));
  const before = real.faulty.batches.length;
  const release = real.faulty.hold();
  const commits = proposals.map((p) => real.registry.proposals.commit(p.payloadB3));
  release();
  const versions = (await Promise.all(commits)).map(({ head }) => head.version);
  assert.deepEqual(versions, [1, 2, 3, 4, 5]);
  assert.deepEqual(real.faulty.batches.slice(before), [[1, 2, 3, 4, 5]]);
  await checkLog(real.store);
});

test('a batch erases no more than it may write: each erasure counts as the largest payload', async () => {
  const real = await openFaulty();
  const count = 20;
  const heads: PublishedHead[] = [];
  for (let n = 0; n <= count; n++)
    heads.push(await real.change(put('a', { n }, n === 0 ? undefined : { n: n - 1 })));
  const proposals = await Promise.all(
    heads
      .slice(0, count)
      .map(({ version, object: { entry_hash: erases } }) =>
        approved(real, erasePayload(real.registryHash, { erases, version })),
      ),
  );
  const before = real.faulty.batches.length;
  await Promise.all(proposals.map((p) => real.registry.proposals.commit(p.payloadB3)));
  const sizes = real.faulty.batches.slice(before).map(({ length }) => length);
  assert.deepEqual(sizes, [7, 7, 6]);
  assert.equal(real.registry.retention().erasures.length, count);
});

test('a request that is refused inside a batch does not touch the others', async () => {
  const real = await openFaulty();
  const good = await ready(real, 'a');
  const same = descriptorsPayload(real.registryHash, [put('a', { n: 2 })]);
  await real.registry.proposals.propose(same.bytes);
  for (const signer of real.signers.slice(0, 2))
    await real.registry.proposals.approve(same.payloadB3, signer.approve(same));
  const other = await ready(real, 'b');
  const [first, second, third] = await Promise.allSettled(
    [good, same, other].map((p) => real.registry.proposals.commit(p.payloadB3)),
  );
  assert.equal(first?.status === 'fulfilled' && first.value.head.version, 1);
  assert.ok(second?.status === 'rejected' && code('fence_broken')(second.reason));
  assert.equal(third?.status === 'fulfilled' && third.value.head.version, 2);
  await checkLog(real.store);
});

test('one proposal committed many times at once becomes one entry and one 201', async () => {
  const real = await openFaulty();
  const { payloadB3 } = await ready(real, 'a');
  const answers = await Promise.all(
    Array.from({ length: 10 }, () => real.registry.proposals.commit(payloadB3)),
  );
  assert.equal(answers.filter(({ isNew }) => isNew).length, 1);
  assert.ok(answers.every(({ head }) => head.version === 1));
  assert.equal(real.registry.head()?.version, 1);
});

for (const fault of ['lost', 'kept'] as const)
  test(`an append that fails and is ${fault} is an unknown outcome that a restart resolves`, async () => {
    const real = await openFaulty();
    const { payloadB3 } = await ready(real, 'a');
    real.faulty.failNext(fault);
    await assert.rejects(real.registry.proposals.commit(payloadB3), code('outcome_unknown'));
    assert.equal(real.faulty.injected(), 1);
    assert.equal(real.registry.head()?.version, 0, 'nothing that may not be durable is visible');
    assert.equal(real.fatal.length, 1);
    assert.equal(real.registry.readiness().writeReady, false);
    const other = descriptorsPayload(real.registryHash, [put('b', {})]);
    await assert.rejects(real.registry.proposals.propose(other.bytes), code('outcome_unknown'));

    const after = await openTestRegistry({ store: real.store });
    const { isNew, head } = await after.registry.proposals.commit(payloadB3);
    assert.deepEqual([isNew, head.version], [fault === 'lost', 1]);
    await checkLog(real.store);
  });

test('every commit that waits behind an unknown outcome is answered with it', async () => {
  const real = await openFaulty();
  const first = await ready(real, 'a');
  const second = await ready(real, 'b');
  const release = real.faulty.hold();
  real.faulty.failNext('lost');
  const one = real.registry.proposals.commit(first.payloadB3);
  while (real.faulty.batches.at(-1)?.[0] !== 1) await Promise.resolve();
  const two = real.registry.proposals.commit(second.payloadB3);
  release();
  await assert.rejects(one, code('outcome_unknown'));
  await assert.rejects(two, code('outcome_unknown'));
});

test('a full disk refuses the commit, and the same commit succeeds when there is room', async () => {
  const real = await openFaulty();
  const { payloadB3 } = await ready(real, 'a');
  real.faulty.failNext('read_only');
  await assert.rejects(real.registry.proposals.commit(payloadB3), code('read_only'));
  assert.equal(real.faulty.injected(), 1);
  assert.deepEqual(real.fatal, []);
  assert.equal((await real.registry.proposals.commit(payloadB3)).head.version, 1);
});

test('an entry by another writer is verified and taken over, and the loser may repeat', async () => {
  const store = createMemoryStore();
  const ours = await openTestRegistry({ store });
  const theirs = await openTestRegistry({ store });
  const mine = await ready(ours, 'mine');
  await theirs.change(put('theirs', {}));
  await assert.rejects(ours.registry.proposals.commit(mine.payloadB3), code('conflict'));
  assert.equal(ours.registry.head()?.version, 1);
  assert.equal((await ours.registry.proposals.commit(mine.payloadB3)).head.version, 2);
  await checkLog(store);
});

test('a payload that another writer committed is answered with its entry', async () => {
  const store = createMemoryStore();
  const ours = await openTestRegistry({ store });
  const { payloadB3 } = await ready(ours, 'a');
  const theirs = await openTestRegistry({ store });
  await theirs.registry.proposals.commit(payloadB3);
  const { isNew, head } = await ours.registry.proposals.commit(payloadB3);
  assert.deepEqual([isNew, head.version, ours.registry.head()?.version], [false, 1, 1]);
  assert.equal((await ours.registry.proposals.get(payloadB3))?.state, 'committed');
});

test('committed_at never goes backwards, whatever the clock does', async () => {
  let now = Date.parse('2026-11-21T09:00:00.000Z');
  const real = await openTestRegistry({ now: () => now });
  const first = await real.change(put('a', {}));
  now -= 2 * 60_000;
  const second = await real.change(put('b', {}));
  assert.equal(second.object.committed_at, first.object.committed_at);
});

test('a committed version is visible before its committer hears of it and before it is announced', async () => {
  const real = await openFaulty();
  const subscription = real.registry.feed.subscribe({ after: 0, mode: 'all', consumer: 'test' });
  const { payloadB3 } = await ready(real, 'a');
  const release = real.faulty.hold();
  const commit = real.registry.proposals.commit(payloadB3);
  const event = subscription.next().then((e) => [e.type, real.registry.head()?.version]);
  while (real.faulty.batches.at(-1)?.[0] !== 1) await Promise.resolve();
  assert.equal(real.registry.head()?.version, 0, 'not visible before it is durable');
  release();
  const [{ head }, seen] = await Promise.all([commit, event]);
  assert.equal(head.version, 1);
  assert.deepEqual(seen, ['update', 1]);
  subscription.close();
});

test('the same payload twice in one batch is one entry', async () => {
  const real = await openTestRegistry();
  const { chain, verifier } = await chainOf(real);
  const sequencer = new Sequencer({
    store: real.store,
    chain,
    limits: DEFAULT_LIMITS,
    now: () => real.timers.now(),
    catchUp: (current) => catchUp(real.store, verifier, current),
    assertGrowable: () => undefined,
    assertSignable: () => undefined,
    findErasable: async () => new Map(),
    onErasing: () => undefined,
    onErased: async () => undefined,
    seal: async () => undefined,
    onAppended: () => undefined,
    onFatal: assert.fail,
  });
  const proposal = descriptorsPayload(real.registryHash, [put('a', {})]);
  const request = {
    proposal,
    approvals: () => real.signers.map((signer) => signer.approve(proposal)),
  };
  const [first, second] = await Promise.allSettled([
    sequencer.commit(request),
    sequencer.commit(request),
  ]);
  assert.equal(first?.status === 'fulfilled' && first.value.leaf.version, 1);
  assert.ok(second?.status === 'rejected' && code('replayed')(second.reason));
});

test('an entry by another writer that replays a payload is not taken over', async () => {
  const real = await openTestRegistry();
  const { chain, verifier } = await chainOf(real);
  await real.change(put('a', {}));
  const store = new Proxy(real.store, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name);
      if (name === 'committedVersion') return async () => 0;
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
  await assert.rejects(catchUp(store, verifier, chain), code('replayed'));
  assert.equal((await catchUp(real.store, verifier, chain)).length, 1);
});

async function chainOf({ store }: TestRegistry) {
  const loaded = await loadChain(store);
  assert.ok(loaded);
  return { chain: loaded.chain, verifier: createNativeVerifier() };
}
