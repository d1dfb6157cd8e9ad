/** What readers, followers and writers of a registry see of what it has let go of. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Hash } from '../../../src/core/hash.ts';
import { createMemoryStore } from '../../../src/store/memory.ts';
import { entryHashOf, erase, openChanged } from '../../support/letting-go.ts';
import { lying } from '../../support/lying-store.ts';
import { openTestRegistry, put, remove, type TestRegistry } from '../../support/registry.ts';
import { descriptorsPayload, erasePayload, supersedePayload } from '../../support/signers.ts';

/** Proposed and approved, not committed. */
async function approveErasure(
  real: TestRegistry,
  target: { readonly version: number; readonly erases: Hash },
  note: string,
): Promise<Hash> {
  const proposal = erasePayload(real.registryHash, target, { note });
  const { proposal: view } = await real.registry.proposals.propose(proposal.bytes);
  for (const signer of real.signers.slice(0, 2))
    await real.registry.proposals.approve(view.id, signer.approve(proposal));
  return view.id;
}

const pruned = { code: 'pruned', details: { version: 1, oldest: 3, archive: 'over there' } };

test('below the oldest version payloads and sets are refused, and what proves them is answered', async () => {
  const store = createMemoryStore();
  await openChanged(store);
  const real = await openTestRegistry({ store, archive: 'over there' });
  const { reader } = real.registry;
  const leaves = await Promise.all([0, 1, 2].map((version) => reader.leaf(version)));
  const proof = await reader.inclusionProof({ version: 1, size: 5 });
  await real.registry.prune(3);
  assert.deepEqual(real.registry.retention(), { oldest: 3, erasures: [], archive: 'over there' });
  await assert.rejects(reader.entry(1), pruned);
  await assert.rejects(reader.set(1), pruned);
  await assert.rejects(reader.keptLeaf(1), pruned);
  const key = { kind: 'service', id: 'a', isProofWanted: true };
  await assert.rejects(reader.descriptor({ version: 1, ...key }), pruned);
  await assert.rejects(reader.diff({ from: 1, to: 4 }), pruned);
  await assert.rejects(reader.diff({ from: 4, to: 1 }), pruned);
  await assert.rejects(reader.entries({ from: 1, limit: 9 }), pruned);
  assert.equal((await reader.entries({ from: 3, limit: 9 })).length, 2);
  assert.deepEqual(await Promise.all([0, 1, 2].map((version) => reader.leaf(version))), leaves);
  assert.deepEqual(await reader.inclusionProof({ version: 1, size: 5 }), proof);
  assert.equal((await reader.governance(1))?.governance.version, 1);
  assert.ok((await reader.entry(0))?.payload.length);
  assert.equal((await reader.descriptor({ version: 3, ...key }))?.setVersion, 2);
});

test('a history ends where values are on their way to be dropped', async () => {
  const store = createMemoryStore();
  await openChanged(store);
  const cutShort = lying(store, { prune: async () => undefined });
  const { registry } = await openTestRegistry({ store: cutShort });
  const spansOf = async (id: string) =>
    (await registry.reader.history({ kind: 'service', id, limit: 9 })).map(
      ({ setVersion, endVersion }) => [setVersion, endVersion],
    );
  const [newest, older] = await spansOf('a');
  assert.deepEqual(
    [newest, older],
    [
      [2, 4],
      [1, 2],
    ],
  );
  await registry.prune(2);
  assert.deepEqual(await spansOf('a'), [newest]);
  await registry.prune(3);
  assert.deepEqual(await spansOf('a'), [newest]);
  assert.equal((await spansOf('b')).length, 1);
});

test('no more is pruned than a signed checkpoint covers, and never back', async () => {
  const { registry } = await openChanged();
  for (const oldest of [5, 99, -1, 1.5, Number.NaN])
    await assert.rejects(registry.prune(oldest), { code: 'invalid_request' }, String(oldest));
  assert.equal(registry.retention().oldest, 0);
  await registry.prune(4);
  await registry.prune(2);
  assert.equal(registry.retention().oldest, 4);
});

test('a pruned registry starts, is walked over, and grows on', async () => {
  const store = createMemoryStore();
  const first = await openChanged(store);
  await first.registry.prune(4);
  const again = await openTestRegistry({ store });
  assert.equal(again.registry.readiness().writeReady, true);
  assert.equal(again.registry.retention().oldest, 4);
  const { version } = await again.change(put('a', { n: 5 }));
  assert.equal(version, 5);
});

test('a reader that resumes below the oldest version is told so, and goes on from the head', async () => {
  const { registry } = await openChanged();
  await registry.prune(3);
  const text = async (after: number): Promise<string> => {
    const subscription = registry.feed.subscribe({ after, mode: 'all', consumer: 'test' });
    const event = await subscription.next();
    subscription.close();
    return new TextDecoder().decode(event.frame);
  };
  assert.match(await text(1), /event: registry\.reset\n.*"oldest":3.*/s);
  // What follows version 2 is whole.
  assert.match(await text(2), /event: registry\.update\n/);
});

test('an erased payload is refused, and its hash, leaf and approvals are answered', async () => {
  const real = await openChanged();
  const { reader } = real.registry;
  const before = await reader.entry(2);
  await erase(real, 2);
  const erased = { code: 'erased', details: { version: 2, erased_by: 5 } };
  await assert.rejects(reader.entry(2), erased);
  const [entry] = await reader.entries({ from: 2, limit: 1 });
  assert.deepEqual(entry?.approvals, before?.approvals);
  assert.deepEqual(entry?.leaf, before?.leaf);
  assert.equal(entry?.payload.length, 0);
  assert.deepEqual(
    await reader.leaf(2),
    before && JSON.parse(new TextDecoder().decode(before.leaf)),
  );
});

test('sets that have lost a value are refused, with the first that is whole', async () => {
  const real = await openChanged();
  const { reader } = real.registry;
  await erase(real, 2);
  const lost = { code: 'erased', details: { version: 2, erased_by: 5, next: 4 } };
  for (const version of [2, 3]) await assert.rejects(reader.set(version), lost);
  const key = { kind: 'service', id: 'a', isProofWanted: false };
  await assert.rejects(reader.descriptor({ version: 3, ...key }), lost);
  await assert.rejects(reader.diff({ from: 1, to: 3 }), lost);
  for (const version of [1, 4, 5]) assert.ok(await reader.set(version));
  const beside = await reader.descriptor({
    version: 3,
    kind: 'service',
    id: 'b',
    isProofWanted: true,
  });
  assert.equal(beside?.setVersion, 3);
  const [second, first] = await reader.history({ kind: 'service', id: 'a', limit: 9 });
  assert.equal(second?.bytes, null);
  assert.equal(second?.setVersion, 2);
  assert.ok(first?.bytes);
});

test('only what stands, was not erased and is not current may be erased', async () => {
  const real = await openChanged();
  const refuse = async (version: number, of: number, what: string): Promise<void> => {
    const id = await approveErasure(real, { version, erases: await entryHashOf(real, of) }, what);
    assert.equal((await real.registry.proposals.get(id))?.state, 'blocked', what);
    await assert.rejects(real.registry.proposals.commit(id), { code: 'fence_broken' }, what);
  };
  await refuse(3, 3, 'its value is current');
  await refuse(1, 2, 'another hash');
  await refuse(9, 2, 'no such version');
  await erase(real, 2);
  await refuse(5, 5, 'an erasing entry');
  await refuse(2, 2, 'erased before');
});

test('two proposals to erase the same entry are one erasure, also when they are committed together', async () => {
  const real = await openChanged();
  const target = { version: 1, erases: await entryHashOf(real, 1) };
  const ids = [
    await approveErasure(real, target, 'one'),
    await approveErasure(real, target, 'other'),
  ];
  const answers = await Promise.allSettled(ids.map((id) => real.registry.proposals.commit(id)));
  assert.deepEqual(answers.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
  assert.deepEqual(real.fatal, []);
});

test('an erasure below its quorum erases nothing', async () => {
  const real = await openChanged();
  const target = { version: 1, erases: await entryHashOf(real, 1) };
  const alone = real.commit(erasePayload(real.registryHash, target), real.signers.slice(0, 1));
  await assert.rejects(alone, { code: 'quorum_not_reached' });
  assert.ok((await real.registry.reader.entry(1))?.payload.length);
});

test('what a registry erased and pruned is known after a start', async () => {
  const store = createMemoryStore();
  const first = await openChanged(store);
  await erase(first, 2);
  await first.registry.prune(2);
  const again = await openTestRegistry({ store });
  const { reader } = again.registry;
  await assert.rejects(reader.entry(2), { code: 'erased' });
  await assert.rejects(reader.entry(1), { code: 'pruned' });
  assert.equal(again.registry.readiness().writeReady, true);
});

test('a payload that is missing without an erasure is damage', async () => {
  const store = createMemoryStore();
  await openChanged(store);
  const without = lying(store, {
    entries: async (range) =>
      (await store.entries(range)).map((entry) =>
        entry.version === 2 ? { ...entry, payload: new Uint8Array() } : entry,
      ),
  });
  await assert.rejects(openTestRegistry({ store: without }), { code: 'storage_damaged' });
});

test('an erasure that no entry says is damage', async () => {
  const store = createMemoryStore();
  await openChanged(store);
  const claiming = lying(store, {
    retention: async () => ({
      oldest: 0,
      reached: 0,
      erasures: [{ version: 1, erasedBy: 3, until: 2 }],
    }),
  });
  await assert.rejects(openTestRegistry({ store: claiming }), { code: 'storage_damaged' });
});

test('the note of an erased payload is told by nobody any more', async () => {
  const real = await openTestRegistry();
  const noted = descriptorsPayload(real.registryHash, [put('a', {})], { note: 'a name' });
  await real.commit(noted);
  await real.change(remove('a', {}));
  await erase(real, 1);
  assert.doesNotMatch(JSON.stringify(await real.registry.proposals.list()), /a name/);
  await assert.rejects(real.registry.proposals.get(noted.payloadB3), { code: 'erased' });
  await assert.rejects(real.registry.proposals.payload(noted.payloadB3), { code: 'erased' });
});

test('an erased payload is not taken once more', async () => {
  const real = await openTestRegistry();
  const first = descriptorsPayload(real.registryHash, [put('a', {})]);
  const { object } = await real.commit(first);
  const changes = [remove('a', {})];
  await real.commit(
    supersedePayload(real.registryHash, { supersedes: object.entry_hash, changes }),
  );
  await erase(real, 1);
  await assert.rejects(real.registry.proposals.propose(first.bytes), { code: 'erased' });
});
