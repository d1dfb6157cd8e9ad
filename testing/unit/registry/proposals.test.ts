import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { canonicalBytes } from '../../../src/core/canonical.ts';
import { RegistryError } from '../../../src/core/error.ts';
import { encodeVerifierKey } from '../../../src/core/vkey.ts';
import { createMemoryStore } from '../../../src/store/memory.ts';
import { checkLog } from '../../support/check-log.ts';
import { openTestRegistry, put, remove, type TestRegistry } from '../../support/registry.ts';
import {
  descriptorsPayload,
  genesisPayload,
  governancePayload,
  makeGovernance,
  makeSigner,
  makeSigners,
  ORIGIN,
  START,
  supersedePayload,
} from '../../support/signers.ts';

const code = (expected: string) => (error: unknown) =>
  error instanceof RegistryError && error.code === expected;

async function proposed(
  real: TestRegistry,
  ...args: Parameters<typeof descriptorsPayload> extends [unknown, ...infer R] ? R : never
) {
  const proposal = descriptorsPayload(real.registryHash, ...args);
  await real.registry.proposals.propose(proposal.bytes);
  return proposal;
}

async function stateOf(
  real: TestRegistry,
  id: Parameters<TestRegistry['registry']['proposals']['get']>[0],
) {
  return (await real.registry.proposals.get(id))?.state;
}

test('a proposal goes from pending to ready to committed, and says who is missing', async () => {
  const real = await openTestRegistry();
  const [alice, bob] = real.signers;
  assert.ok(alice && bob);
  const proposal = await proposed(real, [put('a', {})]);
  const id = proposal.payloadB3;
  assert.equal(await stateOf(real, id), 'pending');
  const one = await real.registry.proposals.approve(id, alice.approve(proposal));
  assert.deepEqual(
    [one.state, one.quorum.approvals.length, one.quorum.missing.length],
    ['pending', 1, 2],
  );
  const two = await real.registry.proposals.approve(id, bob.approve(proposal));
  assert.deepEqual([two.state, two.quorum.reached, two.quorum.missing], ['ready', true, []]);
  await real.registry.proposals.commit(id);
  const view = await real.registry.proposals.get(id);
  assert.deepEqual([view?.state, view?.version], ['committed', 1]);
});

test('a change to one descriptor blocks proposals on it, by name, and no other', async () => {
  const real = await openTestRegistry();
  await real.change(put('a', { n: 1 }), put('b', { n: 1 }));
  const onA = await proposed(real, [put('a', { n: 2 }, { n: 1 })]);
  const onB = await proposed(real, [put('b', { n: 2 }, { n: 1 })]);
  await real.change(put('a', { n: 3 }, { n: 1 }));
  const blocked = await real.registry.proposals.get(onA.payloadB3);
  assert.equal(blocked?.state, 'blocked');
  assert.deepEqual(
    blocked?.fences.map((f) => f.id),
    ['a'],
  );
  for (const signer of real.signers)
    await real.registry.proposals.approve(onB.payloadB3, signer.approve(onB));
  assert.equal((await real.registry.proposals.commit(onB.payloadB3)).head.version, 3);
  await real.change(put('a', { n: 1 }, { n: 3 }));
  assert.equal(
    await stateOf(real, onA.payloadB3),
    'pending',
    'a fence that holds again blocks no more',
  );
});

test('an expired proposal takes no approval and no commit', async () => {
  const real = await openTestRegistry();
  const proposal = await proposed(real, [put('a', {})], { lifetimeMs: 60_000 });
  real.timers.advance(60_001);
  assert.equal(await stateOf(real, proposal.payloadB3), 'expired');
  const [alice] = real.signers;
  assert.ok(alice);
  await assert.rejects(
    real.registry.proposals.approve(proposal.payloadB3, alice.approve(proposal)),
    code('expired'),
  );
  await assert.rejects(real.registry.proposals.commit(proposal.payloadB3), code('expired'));
  await assert.rejects(proposed(real, [put('b', {})], { lifetimeMs: 60_000 }), code('expired'));
});

test('the same bytes are one proposal, before and after it is committed', async () => {
  const real = await openTestRegistry();
  const proposal = descriptorsPayload(real.registryHash, [put('a', {})]);
  const answers = await Promise.all(
    Array.from({ length: 5 }, () => real.registry.proposals.propose(proposal.bytes)),
  );
  assert.equal(answers.filter(({ isNew }) => isNew).length, 1);
  await real.commit(proposal);
  const again = await real.registry.proposals.propose(proposal.bytes);
  assert.deepEqual([again.isNew, again.proposal.state], [false, 'committed']);
  assert.equal((await real.store.proposals()).length, 0);
});

test('a payload that was committed cannot be committed again, even when its fences hold again', async () => {
  const real = await openTestRegistry();
  const create = descriptorsPayload(real.registryHash, [put('a', {})]);
  await real.commit(create);
  await real.change(remove('a', {}));
  const { isNew, head } = await real.registry.proposals.commit(create.payloadB3);
  assert.deepEqual([isNew, head.version], [false, 1]);
  assert.equal(real.registry.head()?.object.set_size, 0);
});

const REFUSED: readonly [string, string, (real: TestRegistry) => Promise<unknown>][] = [
  [
    'an unknown proposal',
    'unknown_proposal',
    async (real) => {
      const [alice] = real.signers;
      const proposal = descriptorsPayload(real.registryHash, [put('x', {})]);
      return alice && real.registry.proposals.approve(proposal.payloadB3, alice.approve(proposal));
    },
  ],
  [
    'an approval by a stranger',
    'unknown_signer',
    async (real) => {
      const proposal = await proposed(real, [put('a', {})]);
      return real.registry.proposals.approve(
        proposal.payloadB3,
        makeSigner('mallory').approve(proposal),
      );
    },
  ],
  [
    'an approval under another signer id',
    'invalid_signature',
    async (real) => {
      const [alice, bob] = real.signers;
      const proposal = await proposed(real, [put('a', {})]);
      assert.ok(alice && bob);
      return real.registry.proposals.approve(proposal.payloadB3, {
        ...alice.approve(proposal),
        signer_id: bob.signer.signer_id,
      });
    },
  ],
  [
    'an approval of another proposal',
    'invalid_signature',
    async (real) => {
      const [alice] = real.signers;
      const one = await proposed(real, [put('a', {})]);
      const two = await proposed(real, [put('b', {})]);
      return alice && real.registry.proposals.approve(two.payloadB3, alice.approve(one));
    },
  ],
  [
    'an approval made for another registry',
    'invalid_signature',
    async (real) => {
      const [alice] = real.signers;
      const proposal = await proposed(real, [put('a', {})]);
      const elsewhere = descriptorsPayload(`b3:${'0'.repeat(64)}`, [put('a', {})]);
      return alice && real.registry.proposals.approve(proposal.payloadB3, alice.approve(elsewhere));
    },
  ],
  [
    'an approval with another signing time',
    'invalid_signature',
    async (real) => {
      const [alice] = real.signers;
      const proposal = await proposed(real, [put('a', {})]);
      return (
        alice &&
        real.registry.proposals.approve(proposal.payloadB3, {
          ...alice.approve(proposal),
          signed_at: '2026-11-21T09:00:01.000Z',
        })
      );
    },
  ],
  [
    'an approval from the future',
    'invalid_approval',
    async (real) => {
      const [alice] = real.signers;
      const proposal = await proposed(real, [put('a', {})]);
      return (
        alice &&
        real.registry.proposals.approve(
          proposal.payloadB3,
          alice.approve(proposal, '2026-11-21T09:05:00.001Z'),
        )
      );
    },
  ],
  [
    'an approval from before the payload',
    'invalid_approval',
    async (real) => {
      const [alice] = real.signers;
      const proposal = await proposed(real, [put('a', {})]);
      return (
        alice &&
        real.registry.proposals.approve(
          proposal.payloadB3,
          alice.approve(proposal, '2026-11-21T08:54:59.999Z'),
        )
      );
    },
  ],
  [
    'a commit below quorum',
    'quorum_not_reached',
    async (real) => {
      const proposal = await proposed(real, [put('a', {})]);
      return real.registry.proposals.commit(proposal.payloadB3);
    },
  ],
  [
    'a payload of another registry',
    'wrong_registry',
    (real) =>
      real.registry.proposals.propose(
        descriptorsPayload(`b3:${'0'.repeat(64)}`, [put('a', {})]).bytes,
      ),
  ],
  [
    'a payload of another origin',
    'wrong_registry',
    (real) =>
      real.registry.proposals.propose(
        descriptorsPayload(real.registryHash, [put('a', {})], { origin: 'elsewhere.example.com' })
          .bytes,
      ),
  ],
  [
    'a second genesis',
    'wrong_registry',
    (real) =>
      real.registry.proposals.propose(genesisPayload(real.governance, { note: 'again' }).bytes),
  ],
  [
    'a payload created in the future',
    'invalid_payload',
    (real) => proposed(real, [put('a', {})], { createdAt: START + 5 * 60_000 + 1 }),
  ],
  [
    'a payload that is not canonical',
    'not_canonical',
    (real) => real.registry.proposals.propose(new TextEncoder().encode('{ }')),
  ],
  [
    'a payload with an unknown member',
    'invalid_payload',
    (real) =>
      real.registry.proposals.propose(
        canonicalBytes({
          ...JSON.parse(new TextDecoder().decode(genesisPayload(real.governance).bytes)),
          extra: 1,
        }),
      ),
  ],
  [
    'a type that the route does not take',
    'invalid_request',
    (real) =>
      real.registry.proposals.propose(descriptorsPayload(real.registryHash, [put('a', {})]).bytes, {
        types: ['supersede'],
      }),
  ],
  [
    'a supersede of an entry that is not the head',
    'fence_broken',
    (real) =>
      real.commit(supersedePayload(real.registryHash, { supersedes: `b3:${'0'.repeat(64)}` })),
  ],
];
for (const [name, expected, act] of REFUSED)
  test(`${name} is refused as ${expected}, and nothing changes`, async () => {
    const real = await openTestRegistry();
    await assert.rejects(act(real), code(expected));
    assert.equal(real.registry.head()?.version, 0);
    assert.deepEqual(
      (await real.store.proposals()).flatMap((p) => p.approvals).length,
      expected === 'fence_broken' ? 2 : 0,
    );
  });

test('a genesis needs every signer, and takes a registry only once', async () => {
  const real = await openTestRegistry({ isBegun: false });
  const genesis = genesisPayload(real.governance);
  await real.registry.proposals.propose(genesis.bytes);
  for (const signer of real.signers.slice(1))
    await real.registry.proposals.approve(genesis.payloadB3, signer.approve(genesis));
  await assert.rejects(
    real.registry.proposals.commit(genesis.payloadB3),
    code('quorum_not_reached'),
  );
  const [first] = real.signers;
  assert.ok(first);
  await real.registry.proposals.approve(genesis.payloadB3, first.approve(genesis));
  assert.equal((await real.registry.proposals.commit(genesis.payloadB3)).head.version, 0);
});

test('a governance with a log key that no reader would admit is refused before anyone signs it', async () => {
  const real = await openTestRegistry();
  const smallOrder = encodeVerifierKey({ name: ORIGIN, publicKey: new Uint8Array(32) });
  const next = {
    ...makeGovernance(real.signers, { threshold: 2, version: 2 }),
    log_keys: [smallOrder],
  };
  const rotation = governancePayload(real.registryHash, { next, current: real.governance });
  await assert.rejects(real.registry.proposals.propose(rotation.bytes), code('invalid_governance'));
});

test('an empty registry that is pinned takes no other genesis', async () => {
  for (const pins of [
    { origin: 'other.example.com' },
    { registry: `b3:${'0'.repeat(64)}` as const },
  ]) {
    const real = await openTestRegistry({ isBegun: false, pins });
    const genesis = genesisPayload(real.governance);
    await assert.rejects(real.registry.proposals.propose(genesis.bytes), code('wrong_registry'));
  }
});

test('a rotation needs the old quorum, the new quorum and every key that enters', async () => {
  const real = await openTestRegistry();
  const [alice, bob, carol] = real.signers;
  const [dave, erin] = [makeSigner('dave'), makeSigner('erin')];
  assert.ok(alice && bob && carol);
  const next = makeGovernance([carol, dave, erin], { threshold: 2, version: 2 });
  const rotation = governancePayload(real.registryHash, { next, current: real.governance });
  await real.registry.proposals.propose(rotation.bytes);
  const commit = () => real.registry.proposals.commit(rotation.payloadB3);
  for (const signer of [dave, erin, carol])
    await real.registry.proposals.approve(rotation.payloadB3, signer.approve(rotation));
  await assert.rejects(commit(), code('quorum_not_reached'), 'the new set alone is not enough');
  await real.registry.proposals.approve(rotation.payloadB3, alice.approve(rotation));
  assert.equal((await commit()).head.version, 1);
  assert.equal(
    real.registry.head()?.object.governance_version,
    1,
    'in force for this entry is the old one',
  );
  await assert.rejects(
    real.commit(descriptorsPayload(real.registryHash, [put('a', {})]), [alice, bob]),
    code('unknown_signer'),
  );
  await real.commit(descriptorsPayload(real.registryHash, [put('b', {})]), [dave, erin]);
  await checkLog(real.store);
});

test('a key that enters without approving stops the rotation, whoever else approved', async () => {
  const real = await openTestRegistry();
  const next = makeGovernance([...real.signers, makeSigner('dave')], { threshold: 2, version: 2 });
  const rotation = governancePayload(real.registryHash, { next, current: real.governance });
  await assert.rejects(real.commit(rotation, real.signers), code('quorum_not_reached'));
  assert.equal((await real.commit(rotation, [makeSigner('dave')])).version, 1);
});

test('an approval given before its signer was removed does not count afterwards', async () => {
  const real = await openTestRegistry();
  const [alice, bob, carol] = real.signers;
  assert.ok(alice && bob && carol);
  const proposal = await proposed(real, [put('a', {})]);
  for (const signer of [alice, bob])
    await real.registry.proposals.approve(proposal.payloadB3, signer.approve(proposal));
  const next = makeGovernance([bob, carol], { threshold: 2, version: 2 });
  await real.commit(governancePayload(real.registryHash, { next, current: real.governance }), [
    bob,
    carol,
  ]);
  await assert.rejects(
    real.registry.proposals.commit(proposal.payloadB3),
    code('quorum_not_reached'),
  );
  await real.registry.proposals.approve(proposal.payloadB3, carol.approve(proposal));
  await real.registry.proposals.commit(proposal.payloadB3);
  await checkLog(real.store);
});

test('a signer id keeps its key for the life of the registry', async () => {
  const real = await openTestRegistry();
  const [alice, bob, carol] = real.signers;
  const mallory = makeSigner('mallory');
  assert.ok(alice && bob && carol);
  const stolen = { ...mallory, signer: { ...mallory.signer, signer_id: alice.signer.signer_id } };
  const next = makeGovernance([stolen, bob, carol], { threshold: 2, version: 2 });
  const rotation = governancePayload(real.registryHash, { next, current: real.governance });
  await real.registry.proposals.propose(rotation.bytes);
  const view = await real.registry.proposals.get(rotation.payloadB3);
  assert.equal(view?.state, 'blocked');
  assert.match(view?.blockedBy ?? '', /to keep its key/);
});

test('approvals survive a restart', async () => {
  const real = await openTestRegistry();
  const proposal = await proposed(real, [put('a', {})]);
  for (const signer of real.signers.slice(0, 2))
    await real.registry.proposals.approve(proposal.payloadB3, signer.approve(proposal));
  const after = await openTestRegistry({ store: real.store });
  assert.equal(await stateOf(after, proposal.payloadB3), 'ready');
  assert.equal((await after.registry.proposals.commit(proposal.payloadB3)).head.version, 1);
});

test('a full house refuses one more proposal, and expired ones make room', async () => {
  const real = await openTestRegistry({ limits: { maxPendingProposals: 2 } });
  await proposed(real, [put('a', {})], { lifetimeMs: 60_000 });
  await proposed(real, [put('b', {})]);
  await assert.rejects(proposed(real, [put('c', {})]), code('too_many_proposals'));
  real.timers.advance(60_001);
  await proposed(real, [put('c', {})]);
  assert.equal((await real.store.proposals()).length, 2);
});

test('proposals that come at once share what room there is', async () => {
  const real = await openTestRegistry({ limits: { maxPendingProposals: 3 } });
  await proposed(real, [put('a', {})]);
  const ids = ['b', 'c', 'd', 'e', 'f'];
  const answers = await Promise.allSettled(ids.map((id) => proposed(real, [put(id, {})])));
  const refused = answers.filter(({ status }) => status === 'rejected');
  assert.equal(refused.length, 3);
  for (const answer of refused)
    assert.ok(answer.status === 'rejected' && code('too_many_proposals')(answer.reason));
  const views = await real.registry.proposals.list();
  assert.equal(views.filter(({ state }) => state === 'pending').length, 3);
  assert.equal((await real.store.proposals()).length, 3);
});

test('the same proposal, sent twice at once, takes one room', async () => {
  const real = await openTestRegistry({ limits: { maxPendingProposals: 1 } });
  const { bytes } = descriptorsPayload(real.registryHash, [put('a', {})]);
  const propose = () => real.registry.proposals.propose(bytes);
  const answers = await Promise.all([propose(), propose(), propose()]);
  assert.equal(answers.filter(({ isNew }) => isNew).length, 1);
});

test('a proposal that could not be kept gives its room back', async (t) => {
  const real = await openTestRegistry({ limits: { maxPendingProposals: 1 } });
  const full = new RegistryError('read_only', 'expected room, got none');
  const { mock } = t.mock.method(real.store, 'putProposal', () => Promise.reject(full));
  await assert.rejects(proposed(real, [put('a', {})]), code('read_only'));
  assert.equal(mock.callCount(), 1);
  mock.restore();
  await proposed(real, [put('b', {})]);
  await assert.rejects(proposed(real, [put('c', {})]), code('too_many_proposals'));
});

test('no random signer set and no multiset of approvals commits without M distinct keys', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc
        .integer({ min: 1, max: 6 })
        .chain((n) => fc.record({ n: fc.constant(n), threshold: fc.integer({ min: 1, max: n }) })),
      fc.array(fc.nat(8), { maxLength: 12 }),
      async ({ n, threshold }, approvals) => {
        const everyone = makeSigners(9);
        const real = await openTestRegistry({
          signerCount: n,
          threshold,
          store: createMemoryStore(),
        });
        const proposal = await proposed(real, [put('a', {})]);
        const counted = new Set<number>();
        for (const i of approvals) {
          const signer = everyone[i];
          assert.ok(signer);
          const approve = real.registry.proposals.approve(
            proposal.payloadB3,
            signer.approve(proposal),
          );
          if (i < n) counted.add(i);
          await (i < n ? approve : assert.rejects(approve, code('unknown_signer')));
        }
        const commit = real.registry.proposals.commit(proposal.payloadB3);
        if (counted.size >= threshold) assert.equal((await commit).head.version, 1);
        else await assert.rejects(commit, code('quorum_not_reached'));
      },
    ),
    { numRuns: 60 },
  );
});
