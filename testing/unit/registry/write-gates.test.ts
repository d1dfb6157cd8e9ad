import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RegistryError } from '../../../src/core/error.ts';
import type { Verifier } from '../../../src/core/verifier.ts';
import { assertNamed, type WriteGate } from '../../../src/registry/gates.ts';
import { createNativeVerifier } from '../../../src/server/native-verifier.ts';
import { createMemoryStore } from '../../../src/store/memory.ts';
import type { Store } from '../../../src/store/store.ts';
import { openTestRegistry, put, type TestRegistry } from '../../support/registry.ts';
import { metricsWith } from '../../support/server-golden.ts';
import { descriptorsPayload } from '../../support/signers.ts';

interface TestGate extends WriteGate {
  isShut: boolean;
  asked: number;
}

/** A gate that the test shuts and opens. */
function testGate(name: string): TestGate {
  const gate: TestGate = {
    name,
    isShut: false,
    asked: 0,
    refusal: () => {
      gate.asked++;
      return gate.isShut ? new RegistryError('frozen', `expected no ${name}, got one`) : undefined;
    },
  };
  return gate;
}

/** A proposal with one approval, and another payload, so that each kind of write can be tried. */
async function prepared(real: TestRegistry) {
  const proposal = descriptorsPayload(real.registryHash, [put('a', {})]);
  await real.registry.proposals.propose(proposal.bytes);
  const [first, second] = real.signers;
  assert.ok(first && second);
  await real.registry.proposals.approve(proposal.payloadB3, first.approve(proposal));
  return {
    proposal,
    propose: () =>
      real.registry.proposals.propose(descriptorsPayload(real.registryHash, [put('b', {})]).bytes),
    approve: () => real.registry.proposals.approve(proposal.payloadB3, second.approve(proposal)),
    commit: () => real.registry.proposals.commit(proposal.payloadB3),
  };
}

test('a shut gate refuses every kind of write with its name, and reads do not notice', async () => {
  const gate = testGate('freeze');
  const real = await openTestRegistry({ gates: [gate] });
  const writes = await prepared(real);
  gate.isShut = true;
  for (const write of [writes.propose, writes.approve, writes.commit])
    await assert.rejects(write, { code: 'frozen', details: { reason: 'freeze' } });
  const { asked } = gate;
  assert.equal(real.registry.head()?.version, 0);
  assert.ok(await real.registry.reader.entry(0));
  // Known already: to say so is no write.
  assert.equal((await real.registry.proposals.propose(writes.proposal.bytes)).isNew, false);
  assert.equal(gate.asked, asked, 'a read passes no gate');

  gate.isShut = false;
  await writes.approve();
  assert.equal((await writes.commit()).head.version, 1);
  gate.isShut = true;
  assert.equal((await writes.commit()).isNew, false, 'what was committed is answered as before');
});

test('a commit that a gate refuses is counted as rejected, one of no proposal as none', async () => {
  const gate = testGate('freeze');
  const results: string[] = [];
  const metrics = metricsWith();
  const real = await openTestRegistry({
    gates: [gate],
    metrics: { ...metrics, updated: (result) => results.push(result) },
  });
  const { approve, commit } = await prepared(real);
  await approve();
  const nothing = descriptorsPayload(real.registryHash, [put('c', {})]).payloadB3;
  await assert.rejects(real.registry.proposals.commit(nothing), { code: 'unknown_proposal' });
  assert.deepEqual(results, ['committed']);
  gate.isShut = true;
  for (let i = 0; i < 2; i++) await assert.rejects(commit, { code: 'frozen' });
  assert.deepEqual(results, ['committed', 'rejected', 'rejected']);
  gate.isShut = false;
  await commit();
  assert.deepEqual(results.slice(3), ['committed']);
});

test('a gate that shuts while signatures are verified keeps the approval out', async () => {
  const gate = testGate('freeze');
  const native = createNativeVerifier();
  let isShutByVerify = false;
  const verifier: Verifier = {
    admit: (key) => native.admit(key),
    verify: async (signed) => {
      const isValid = await native.verify(signed);
      gate.isShut ||= isShutByVerify;
      return isValid;
    },
  };
  const real = await openTestRegistry({ gates: [gate], verifier });
  const { proposal, approve } = await prepared(real);
  isShutByVerify = true;
  await assert.rejects(approve, { code: 'frozen' });
  const [kept] = await real.store.proposals();
  assert.equal(kept?.approvals.length, 1);
  const view = await real.registry.proposals.get(proposal.payloadB3);
  assert.equal(view?.quorum.approvals.length, 1);
});

test('a gate that shuts while room is made keeps the proposal out', async () => {
  const gate = testGate('freeze');
  const inner = createMemoryStore();
  let dropped = 0;
  const dropProposals: Store['dropProposals'] = async (ids) => {
    await inner.dropProposals(ids);
    dropped += ids.length;
    gate.isShut = true;
  };
  const store = new Proxy(inner, {
    get: (target, name) => {
      if (name === 'dropProposals') return dropProposals;
      const member: unknown = Reflect.get(target, name);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
  const limits = { maxPendingProposals: 1 };
  const real = await openTestRegistry({ store, limits, gates: [gate] });
  const propose = (id: string, lifetimeMs: number) => {
    const payload = descriptorsPayload(real.registryHash, [put(id, {})], { lifetimeMs });
    return real.registry.proposals.propose(payload.bytes);
  };
  await propose('a', 60_000);
  real.timers.advance(60_001);
  await assert.rejects(propose('b', 3_600_000), { code: 'frozen' });
  assert.equal(dropped, 1);
  assert.deepEqual(await store.proposals(), []);
  gate.isShut = false;
  await propose('b', 3_600_000);
});

test('gates are asked in their order, and the first that is shut answers', async () => {
  const gates = [testGate('storage'), testGate('loop'), testGate('disk')];
  const real = await openTestRegistry({ gates });
  const { propose } = await prepared(real);
  for (const gate of gates) gate.isShut = true;
  for (const { name } of gates) {
    await assert.rejects(propose, { details: { reason: name } });
    const gate = gates.find((one) => one.name === name);
    assert.ok(gate);
    gate.isShut = false;
  }
  await propose();
});

test('readiness lists every gate, shut or open, and stays ready for reads', async () => {
  const gate = testGate('storage');
  const { registry } = await openTestRegistry({ gates: [gate, testGate('disk')] });
  const names = ['genesis', 'running', 'store', 'log', 'checkpoint', 'storage', 'disk'];
  assert.deepEqual(
    registry.readiness().checks,
    names.map((name) => ({ name, isOk: true, missing: null })),
  );
  assert.ok(registry.readiness().writeReady);
  gate.isShut = true;
  const { ready, writeReady, missing, checks } = registry.readiness();
  assert.deepEqual([ready, writeReady, missing], [true, false, ['expected no storage, got one']]);
  assert.deepEqual(
    checks.filter(({ isOk }) => !isOk),
    [{ name: 'storage', isOk: false, missing: 'expected no storage, got one' }],
  );
  gate.isShut = false;
  assert.ok(registry.readiness().writeReady);
});

test('an announced end takes readiness away and nothing else; a drain takes writes', async () => {
  const real = await openTestRegistry();
  const { approve, propose } = await prepared(real);
  const { registry } = real;
  const stream = registry.feed.subscribe({ mode: 'all', consumer: 'test' });
  registry.announceEnd();
  const { ready, writeReady, checks } = registry.readiness();
  assert.deepEqual([ready, writeReady], [false, false]);
  assert.equal(checks.find(({ isOk }) => !isOk)?.name, 'running');
  await approve();
  assert.equal((await stream.next()).type, 'update');
  registry.drain();
  assert.equal((await stream.next()).type, 'end');
  await assert.rejects(propose, { code: 'draining', details: { reason: 'running' } });
});

test('before genesis there is nothing to read, and genesis may be written', async () => {
  const { registry } = await openTestRegistry({ isBegun: false });
  const { ready, writeReady, checks } = registry.readiness();
  assert.deepEqual([ready, writeReady], [false, true]);
  assert.equal(checks.find(({ isOk }) => !isOk)?.name, 'genesis');
});

test('a refusal keeps what it says itself, and gets the name of its condition where it says nothing', () => {
  const exact = new RegistryError('not_ready', 'no', { details: { reason: 'ahead', theirs: 9 } });
  const thrown = (check: () => RegistryError | undefined): unknown => {
    try {
      assertNamed('checkpoint', check);
    } catch (error) {
      return error;
    }
    return undefined;
  };
  assert.equal(
    thrown(() => exact),
    exact,
  );
  const plain = new RegistryError('not_ready', 'no', { details: { missing: 2 } });
  for (const check of [
    () => plain,
    () => {
      throw plain;
    },
  ]) {
    const error = thrown(check);
    assert.ok(error instanceof RegistryError);
    assert.deepEqual(error.details, { missing: 2, reason: 'checkpoint' });
    assert.deepEqual([error.code, error.message, error.cause], ['not_ready', 'no', plain]);
  }
  const bug = new TypeError('a bug is no refusal');
  assert.equal(
    thrown(() => {
      throw bug;
    }),
    bug,
  );
  assert.equal(
    thrown(() => undefined),
    undefined,
  );
});
