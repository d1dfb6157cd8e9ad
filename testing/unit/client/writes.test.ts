import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RegistryError } from '../../../src/core/error.ts';
import { hashOf } from '../../../src/core/hash.ts';
import { altered, at, json } from '../../support/client-lies.ts';
import { errorOf, openClient, openStage, type Stage } from '../../support/client-server.ts';
import { put } from '../../support/registry.ts';
import { descriptorsPayload, makeSigner, supersedePayload } from '../../support/signers.ts';

const OTHER_HASH = hashOf(new Uint8Array());

function proposalFor(stage: Stage) {
  return descriptorsPayload(stage.registryHash, [put('a', { b: 1 })]);
}

function signersOf(stage: Stage) {
  const [first, second] = stage.signers;
  return [first ?? assert.fail(), second ?? assert.fail()] as const;
}

test('a change is proposed, approved, committed and read back verified', async () => {
  const stage = await openStage();
  const { client } = openClient(stage);
  const proposal = proposalFor(stage);
  const [first, second] = signersOf(stage);

  const proposed = await client.propose(proposal.bytes);
  assert.equal(proposed.isNew, true);
  assert.equal(proposed.proposal_id, proposal.payloadB3);
  assert.deepEqual([proposed.quorum.reached, proposed.quorum.threshold], [false, 2]);
  assert.equal((await client.propose(proposal.bytes)).isNew, false);

  assert.equal((await client.approve(proposal.payloadB3, first.approve(proposal))).reached, false);
  await assert.rejects(client.commit(proposal.payloadB3), { code: 'quorum_not_reached' });
  const quorum = await client.approve(proposal.payloadB3, second.approve(proposal));
  assert.deepEqual([quorum.reached, quorum.missing], [true, []]);
  assert.equal(quorum.rules[0]?.rule, 'current');

  const committed = await client.commit(proposal.payloadB3);
  assert.deepEqual([committed.isNew, committed.version], [true, 1]);
  assert.deepEqual(await client.commit(proposal.payloadB3), { ...committed, isNew: false });
  assert.equal((await client.head()).entryHash, committed.entry_hash);
});

test('what is in flight is listed, and one proposal read', async () => {
  const stage = await openStage();
  const { client } = openClient(stage);
  const proposal = proposalFor(stage);
  await client.propose(proposal.bytes);
  const [listed, ...rest] = (await client.unverifiedProposals()).filter(
    ({ state }) => state === 'pending',
  );
  assert.deepEqual(rest, []);
  assert.deepEqual(listed, await client.unverifiedProposal(proposal.payloadB3));
  assert.equal(listed?.payload_bytes, proposal.bytes.length);
  assert.equal(listed?.version, null);
  await stage.change(put('a', { c: 2 }));
  const blocked = await client.unverifiedProposal(proposal.payloadB3);
  assert.equal(blocked.state, 'blocked');
  assert.deepEqual(
    blocked.fences.map(({ id, expected }) => [id, expected]),
    [['a', null]],
  );
});

test('a supersede goes its own way', async () => {
  const stage = await openStage();
  const { client } = openClient(stage);
  const { entryHash: supersedes } = await client.head();
  stage.requests.length = 0;
  await client.propose(supersedePayload(stage.registryHash, { supersedes }).bytes);
  assert.deepEqual(stage.requests, ['POST /registry/supersede']);
});

test('bytes that are no canonical payload are refused without a request', async () => {
  const stage = await openStage();
  const { client } = openClient(stage);
  const spaced = new TextEncoder().encode(' {}');
  await assert.rejects(client.propose(spaced), { code: 'not_canonical' });
  assert.deepEqual(stage.requests, []);
});

test('an id that is no hash is refused without a request', async () => {
  const stage = await openStage();
  const { client } = openClient(stage);
  for (const ask of [client.commit, client.payload, client.unverifiedProposal])
    await assert.rejects(ask('b3:../head'), { code: 'invalid_request' });
  assert.deepEqual(stage.requests, []);
});

test('a refusal of the registry comes back with its code and its reason', async () => {
  const stage = await openStage();
  const { client } = openClient(stage);
  const proposal = proposalFor(stage);
  await client.propose(proposal.bytes);
  const approval = makeSigner('mallory').approve(proposal);
  const error = await errorOf(client.approve(proposal.payloadB3, approval));
  assert.ok(error instanceof RegistryError);
  assert.equal(error.code, 'unknown_signer');
  assert.match(error.message, /org:acme#mallory/);
  assert.equal(error.details.status, 422);
  await assert.rejects(client.commit(OTHER_HASH), { code: 'unknown_proposal' });
});

test('a payload is believed by its hash alone', async () => {
  const stage = await openStage();
  const { client } = openClient(stage);
  const proposal = proposalFor(stage);
  await client.propose(proposal.bytes);
  assert.deepEqual((await client.payload(proposal.payloadB3)).payload, proposal.payload);
  stage.lie(altered('/registry/proposals/', (payload) => ({ ...payload, note: 'changed' })));
  await assert.rejects(client.payload(proposal.payloadB3), { code: 'unexpected_answer' });
});

test('an answer for another proposal is refused', async () => {
  const stage = await openStage();
  const { client } = openClient(stage);
  stage.lie(altered('/registry/proposals', (answer) => ({ ...answer, proposal_id: OTHER_HASH })));
  await assert.rejects(client.propose(proposalFor(stage).bytes), { code: 'unexpected_answer' });
});

test('answers of another form are refused with the place', async () => {
  const stage = await openStage();
  const { client } = openClient(stage);
  await client.propose(proposalFor(stage).bytes);
  for (const members of [
    { state: 'lost' },
    { quorum: null },
    { fences: {} },
    { quorum: { reached: 'yes' } },
  ]) {
    stage.lie(altered('/registry/proposals/', (proposal) => ({ ...proposal, ...members })));
    await assert.rejects(client.unverifiedProposal(proposalFor(stage).payloadB3), {
      code: 'unexpected_answer',
      message: new RegExp(`/${Object.keys(members)[0]}`),
    });
  }
  stage.lie(at('/registry/proposals', () => json([])));
  await assert.rejects(client.unverifiedProposals(), { code: 'unexpected_answer' });
});

test('a write that is repeated after its answer was lost is done once', async () => {
  const stage = await openStage();
  const { client } = openClient(stage, { maxAttempts: 2 });
  const proposal = proposalFor(stage);
  const [first, second] = signersOf(stage);
  await client.propose(proposal.bytes);
  await client.approve(proposal.payloadB3, first.approve(proposal));
  await client.approve(proposal.payloadB3, second.approve(proposal));
  let lost = 0;
  stage.lie(async (_path, honest) => {
    const answer = await honest();
    if (lost++ > 0) return answer;
    throw new TypeError('fetch failed');
  });
  const committed = await client.commit(proposal.payloadB3);
  assert.equal(lost, 2);
  assert.deepEqual([committed.isNew, committed.version], [false, 1]);
  assert.equal(stage.registry.head()?.version, 1);
});

test('any json route can be read, unverified', async () => {
  const stage = await openStage();
  const { client } = openClient(stage);
  const governance = await client.unverifiedJson('/registry/head/governance');
  assert.ok(typeof governance === 'object' && governance !== null && 'governance' in governance);
  await assert.rejects(client.unverifiedJson('http://elsewhere.test/'), {
    code: 'invalid_request',
  });
});
