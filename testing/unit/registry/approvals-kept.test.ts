/** Approvals that a start finds in its store: those that verify count, the others are left out and block nobody. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMemoryStore } from '../../../src/store/memory.ts';
import { openSqliteStore } from '../../../src/store/sqlite.ts';
import { openTestRegistry, put, SILENT_LOG } from '../../support/registry.ts';
import { descriptorsPayload } from '../../support/signers.ts';
import { makePath } from '../../support/store-sqlite.ts';

const IDLE = { metrics: { fsync() {}, checkpointed() {} }, onFatal: assert.fail };

for (const [kind, open] of [
  ['memory', async () => createMemoryStore()],
  ['SQLite', () => openSqliteStore({ ...IDLE, path: makePath() })],
] as const)
  test(`an approval in a ${kind} store that does not verify gives way to the signer's own`, async () => {
    const store = await open();
    const begun = await openTestRegistry({ store });
    const [alice, bob] = begun.signers;
    assert.ok(alice && bob);
    const proposal = descriptorsPayload(begun.registryHash, [put('a', {})]);
    const id = proposal.payloadB3;
    await begun.registry.proposals.propose(proposal.bytes);
    await begun.registry.proposals.approve(id, alice.approve(proposal));
    // As if bob had signed what alice did.
    const { sig } = alice.approve(proposal);
    await store.putApproval(id, { ...bob.approve(proposal), sig });
    const errors: string[] = [];
    const log = { ...SILENT_LOG, error: (text: string) => errors.push(text) };
    const { proposals } = (await openTestRegistry({ store, log })).registry;
    assert.deepEqual((await proposals.get(id))?.quorum.approvals, [alice.signer.signer_id]);
    assert.deepEqual(errors.length, 1);
    await assert.rejects(proposals.commit(id), { code: 'quorum_not_reached' });
    const { state } = await proposals.approve(id, bob.approve(proposal));
    assert.equal(state, 'ready');
    const { proposals: after } = (await openTestRegistry({ store })).registry;
    assert.equal((await after.get(id))?.state, 'ready', 'it was not durable');
    assert.equal((await after.commit(id)).head.version, 1);
    await store[Symbol.asyncDispose]();
  });
