import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeUtf8 } from '../../src/core/bytes.ts';
import { canonicalBytes, canonicalText } from '../../src/core/canonical.ts';
import type { DecodedPayload } from '../../src/core/payload.ts';
import { checkLog } from '../support/check-log.ts';
import { codeOf, openTestApp, type TestApp } from '../support/http-app.ts';
import { put, remove } from '../support/registry.ts';
import {
  descriptorsPayload,
  genesisPayload,
  makeGovernance,
  makeSigners,
  supersedePayload,
  type TestSigner,
} from '../support/signers.ts';

function body(payload: DecodedPayload): string {
  return decodeUtf8(payload.bytes);
}

function approve(app: TestApp, payload: DecodedPayload, signer: TestSigner): Promise<Response> {
  const approval = canonicalText(signer.approve(payload));
  return app.post(`/registry/approvals/${payload.payloadB3}`, approval);
}

function commit(app: TestApp, payload: DecodedPayload): Promise<Response> {
  return app.post(`/registry/commit/${payload.payloadB3}`, undefined, {});
}

test('a change goes from proposal to entry, and every step may be repeated', async () => {
  const app = await openTestApp();
  const payload = descriptorsPayload(app.registryHash, [put('a', { v: 1 })]);
  const propose = () => app.post('/registry/proposals', body(payload));
  const first = await propose();
  const proposed = await first.json();
  assert.equal(first.status, 202);
  assert.equal(first.headers.get('location'), `/registry/proposals/${payload.payloadB3}`);
  assert.deepEqual(
    [proposed.proposal_id, proposed.payload_b3, proposed.expires_at, proposed.quorum.reached],
    [payload.payloadB3, payload.payloadB3, payload.payload.expires_at, false],
  );
  assert.equal((await propose()).status, 200);

  const [alice, bob] = app.signers as [TestSigner, TestSigner];
  const one = await (await approve(app, payload, alice)).json();
  assert.deepEqual([one.reached, one.approvals], [false, [alice.signer.signer_id]]);
  assert.equal(await codeOf(await commit(app, payload)), 'quorum_not_reached');
  assert.equal((await (await approve(app, payload, bob)).json()).reached, true);
  assert.equal((await approve(app, payload, alice)).status, 200);

  const committed = await commit(app, payload);
  assert.deepEqual([committed.status, committed.headers.get('location')], [201, '/registry/1']);
  const head = await committed.text();
  assert.equal(head, decodeUtf8(app.registry.head()?.bytes ?? new Uint8Array()));
  const again = await commit(app, payload);
  assert.deepEqual([again.status, await again.text()], [200, head]);
  assert.equal((await propose()).status, 200);
  assert.equal((await checkLog(app.store))?.version, 1);
});

test('genesis comes in over the same route', async () => {
  const app = await openTestApp({ registry: { isBegun: false } });
  const signers = makeSigners(3);
  const genesis = genesisPayload(makeGovernance(signers, { threshold: 2 }));
  assert.equal((await app.post('/registry/proposals', body(genesis))).status, 202);
  for (const signer of signers) await approve(app, genesis, signer);
  assert.equal((await commit(app, genesis)).status, 201);
  assert.equal((await (await app.get('/registry/head')).json()).registry, genesis.payloadB3);
});

test('a payload is served as the very bytes that came, until and after its commit', async () => {
  const app = await openTestApp();
  const payload = descriptorsPayload(app.registryHash, [put('a', { text: 'é ' })]);
  await app.post('/registry/proposals', body(payload));
  const read = async () =>
    (await app.get(`/registry/proposals/${payload.payloadB3}/payload`)).text();
  assert.equal(await read(), body(payload));
  await app.commit(payload);
  assert.equal(await read(), body(payload));
});

test('a proposal says who approved, who is missing, and what blocks it', async () => {
  const app = await openTestApp();
  const payload = descriptorsPayload(app.registryHash, [put('a', { v: 1 })], { note: 'first' });
  await app.post('/registry/proposals', body(payload));
  const [alice] = app.signers as [TestSigner];
  await approve(app, payload, alice);
  const read = async () => (await app.get(`/registry/proposals/${payload.payloadB3}`)).json();
  const pending = await read();
  assert.deepEqual(
    [pending.state, pending.type, pending.note, pending.changes, pending.version],
    ['pending', 'descriptors', 'first', 1, null],
  );
  assert.deepEqual(pending.approvals, [alice.approve(payload)]);
  assert.equal(pending.quorum.missing.length, 2);
  assert.equal(pending.payload_bytes, payload.bytes.length);

  await app.change(put('a', { v: 2 }));
  const blocked = await read();
  assert.equal(blocked.state, 'blocked');
  assert.deepEqual(
    blocked.fences.map((fence: { id: string; expected: null }) => [fence.id, fence.expected]),
    [['a', null]],
  );
});

test('the list has what is in flight first, then what was committed', async () => {
  const app = await openTestApp();
  await app.change(put('a', {}));
  const payload = descriptorsPayload(app.registryHash, [put('b', {})]);
  await app.post('/registry/proposals', body(payload));
  const { proposals } = await (await app.get('/registry/proposals')).json();
  const states = proposals.map((p: { state: string }) => p.state);
  assert.deepEqual(states, ['pending', 'committed', 'committed']);
});

test('a commit with a broken fence says which, and writes nothing', async () => {
  const app = await openTestApp();
  const payload = descriptorsPayload(app.registryHash, [put('a', { v: 1 })]);
  await app.post('/registry/proposals', body(payload));
  for (const signer of app.signers) await approve(app, payload, signer);
  const { object } = await app.change(put('a', { v: 2 }));
  const problem = await (await commit(app, payload)).json();
  assert.equal(problem.code, 'fence_broken');
  assert.deepEqual(problem.details.fences[0].id, 'a');
  assert.equal(app.registry.head()?.object.entry_hash, object.entry_hash);
});

test('supersede has its own route, and each route refuses the types of the other', async () => {
  const app = await openTestApp();
  const { object } = await app.change(put('a', {}));
  const supersede = supersedePayload(app.registryHash, {
    supersedes: object.entry_hash,
    changes: [remove('a', {})],
  });
  const refused = await app.post('/registry/proposals', body(supersede));
  assert.deepEqual([refused.status, await codeOf(refused)], [400, 'invalid_request']);
  const other = descriptorsPayload(app.registryHash, [put('b', {})]);
  assert.equal(await codeOf(await app.post('/registry/supersede', body(other))), 'invalid_request');
  assert.equal((await app.post('/registry/supersede', body(supersede))).status, 202);
  for (const signer of app.signers) await approve(app, supersede, signer);
  assert.equal((await commit(app, supersede)).status, 201);
  assert.equal((await checkLog(app.store))?.version, 2);
});

test('a commit asked for many times at once is one entry, and everybody gets its head', async () => {
  const app = await openTestApp();
  const payload = descriptorsPayload(app.registryHash, [put('a', {})]);
  await app.post('/registry/proposals', body(payload));
  for (const signer of app.signers) await approve(app, payload, signer);
  const answers = await Promise.all(Array.from({ length: 5 }, () => commit(app, payload)));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 200, 200, 200, 201]);
  const heads = await Promise.all(answers.map((answer) => answer.text()));
  assert.equal(new Set(heads).size, 1);
  assert.equal(app.registry.head()?.version, 1);
});

test('an approval by nobody, forged, early, expired or for nothing is refused by name', async () => {
  const app = await openTestApp();
  const payload = descriptorsPayload(app.registryHash, [put('a', {})]);
  const other = descriptorsPayload(app.registryHash, [put('b', {})]);
  await app.post('/registry/proposals', body(payload));
  const [alice] = app.signers as [TestSigner];
  const stranger = makeSigners(9)[8] as TestSigner;
  const valid = alice.approve(payload);
  const send = async (approval: object, id: string = payload.payloadB3) =>
    codeOf(await app.post(`/registry/approvals/${id}`, canonicalBytes(approval) as BodyInit));
  assert.equal(await send(stranger.approve(payload)), 'unknown_signer');
  assert.equal(await send({ ...valid, sig: alice.approve(other).sig }), 'invalid_signature');
  assert.equal(
    await send({ ...valid, signed_at: '2026-11-21T09:00:00.001Z' }),
    'invalid_signature',
  );
  assert.equal(await send(alice.approve(payload, '2026-11-20T09:00:00.000Z')), 'invalid_approval');
  assert.equal(await send({ ...valid, sig: valid.sig.slice(1) }), 'invalid_approval');
  assert.equal(await send({ ...valid, note: 'x' }), 'invalid_approval');
  assert.equal(await send(valid, other.payloadB3), 'unknown_proposal');
  app.timers.advance(8 * 24 * 3_600_000);
  assert.equal(await send(valid), 'expired');
  const { approvals } = await (await app.get(`/registry/proposals/${payload.payloadB3}`)).json();
  assert.deepEqual(approvals, []);
});

test('what is not there is unknown, and an id is a hash', async () => {
  const app = await openTestApp();
  const id = `b3:${'0'.repeat(64)}`;
  for (const path of [id, `${id}/payload`, encodeURIComponent(id)]) {
    const response = await app.get(`/registry/proposals/${path}`);
    assert.deepEqual([response.status, await codeOf(response)], [404, 'unknown_proposal']);
  }
  const committed = await app.post(`/registry/commit/${id}`, undefined, {});
  assert.equal(await codeOf(committed), 'unknown_proposal');
  for (const bad of ['x', id.toUpperCase(), `${id}0`, 'b3:', '..%2F']) {
    assert.equal(await codeOf(await app.get(`/registry/proposals/${bad}`)), 'invalid_request');
    const approval = await app.post(`/registry/approvals/${bad}`, '{}');
    assert.equal(await codeOf(approval), 'invalid_request');
  }
});
