import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RegistryError } from '../../src/core/error.ts';
import type { Attempt, Authority } from '../../src/http/authority.ts';
import type { AuditEvent } from '../../src/telemetry/audit.ts';
import { codeOf, openTestApp, type TestApp } from '../support/http-app.ts';
import { put } from '../support/registry.ts';
import { descriptorsPayload } from '../support/signers.ts';

const JSON_TYPE = { 'content-type': 'application/json' };
const GOOD = { ...JSON_TYPE, authorization: 'Bearer good' };

/** Knows one token, and refuses what `refuses` says. */
async function openWithTokens(refuses: (attempt: Attempt) => boolean = () => false) {
  const attempts: Attempt[] = [];
  const events: AuditEvent[] = [];
  const authority: Authority = {
    authenticate: async (token) => {
      if (token !== 'good')
        throw new RegistryError('unauthenticated', 'expected another token, got this one');
      return {
        id: 'token-1',
        authorize: async (attempt) => {
          attempts.push(attempt);
          if (refuses(attempt)) throw new RegistryError('forbidden', 'expected a wider token');
        },
      };
    },
  };
  const app = await openTestApp({
    deps: {
      authority: () => authority,
      // A token is enough, from wherever it comes.
      isWriteAllowed: () => false,
      audit: { record: async (event) => void events.push(event) },
    },
  });
  return { app, attempts, events };
}

function proposalOf({ registryHash }: TestApp) {
  return descriptorsPayload(registryHash, [
    put('team/api', {}),
    put('team/app/web', {}),
    { ...put('team/apt', {}), kind: 'zone' },
  ]);
}

test('with a token key, a write without a valid token is 401 and names the scheme, before its body is read', async () => {
  const { app, attempts } = await openWithTokens();
  const refused: readonly Record<string, string>[] = [
    {},
    { authorization: 'Bearer bad' },
    { authorization: 'Basic Z29vZA==' },
    { authorization: 'Bearer good bad' },
    { authorization: 'Bearer ' },
    { authorization: 'good' },
  ];
  for (const headers of refused) {
    const response = await app.post('/registry/proposals', 'not json', {
      ...JSON_TYPE,
      ...headers,
    });
    assert.deepEqual(
      [response.status, response.headers.get('www-authenticate'), await codeOf(response)],
      [401, 'Bearer realm="quorate"', 'unauthenticated'],
      JSON.stringify(headers),
    );
  }
  assert.equal(await app.metric('token_checks_total{result="refused"}'), refused.length);
  assert.deepEqual(attempts, []);
  assert.equal((await app.get('/registry/head')).status, 200);
});

test('a token in the URL opens nothing', async () => {
  const { app } = await openWithTokens();
  for (const query of ['token=good', 'access_token=good', 'authorization=Bearer+good']) {
    const response = await app.post(`/registry/proposals?${query}`, '{}');
    assert.equal(await codeOf(response), 'unauthenticated');
  }
});

test('an authority is asked about every change of the payload that the server holds', async () => {
  const { app, attempts } = await openWithTokens();
  const proposal = proposalOf(app);
  const [signer] = app.signers;
  assert.ok(signer !== undefined);
  const approval = JSON.stringify(signer.approve(proposal), [
    'algo',
    'sig',
    'signed_at',
    'signer_id',
  ]);
  assert.equal(
    (await app.post('/registry/proposals', Buffer.from(proposal.bytes), GOOD)).status,
    202,
  );
  assert.equal(
    (await app.post(`/registry/approvals/${proposal.payloadB3}`, approval, GOOD)).status,
    200,
  );
  const commit = await app.post(`/registry/commit/${proposal.payloadB3}`, undefined, GOOD);
  assert.equal(await codeOf(commit), 'quorum_not_reached');
  const about = {
    registry: app.registryHash,
    proposal: proposal.payloadB3,
    kinds: ['service', 'zone'],
    idPrefix: 'team/ap',
  };
  assert.deepEqual(
    attempts,
    ['propose', 'approve', 'commit'].map((operation) => ({ operation, ...about })),
  );
});

test('what an authority forbids is 403, and nothing of it is kept', async () => {
  const { app, events } = await openWithTokens(({ operation }) => operation === 'propose');
  const proposal = proposalOf(app);
  const response = await app.post('/registry/proposals', Buffer.from(proposal.bytes), GOOD);
  assert.deepEqual([response.status, await codeOf(response)], [403, 'forbidden']);
  assert.equal(await app.registry.proposals.get(proposal.payloadB3), undefined);
  const unknown = await app.post(`/registry/commit/${proposal.payloadB3}`, undefined, GOOD);
  assert.equal(await codeOf(unknown), 'unknown_proposal');
  assert.deepEqual(
    events.map(({ act, decision, code, token, proposal: hash }) => ({
      act,
      decision,
      code,
      token,
      hash,
    })),
    [
      {
        act: 'propose',
        decision: 'refused',
        code: 'forbidden',
        token: 'token-1',
        hash: proposal.payloadB3,
      },
      {
        act: 'commit',
        decision: 'refused',
        code: 'unknown_proposal',
        token: 'token-1',
        hash: proposal.payloadB3,
      },
    ],
  );
});

test('each write is one audit event, made before its answer', async () => {
  const { app, events } = await openWithTokens();
  const proposal = proposalOf(app);
  const headers = { ...GOOD, 'x-corr-id': 'corr-of-mine' };
  await app.post('/registry/proposals', Buffer.from(proposal.bytes), headers);
  for (const signer of app.signers.slice(0, 2)) {
    const approval = JSON.stringify(signer.approve(proposal), [
      'algo',
      'sig',
      'signed_at',
      'signer_id',
    ]);
    await app.post(`/registry/approvals/${proposal.payloadB3}`, approval, headers);
  }
  await app.post(`/registry/commit/${proposal.payloadB3}`, undefined, headers);
  const common = {
    decision: 'accepted',
    code: null,
    reason: null,
    client: '127.0.0.1',
    token: 'token-1',
    signer: null,
    proposal: proposal.payloadB3,
    version: null,
    corrId: 'corr-of-mine',
  };
  const [alice, bob] = app.signers;
  assert.deepEqual(events, [
    { ...common, act: 'propose' },
    { ...common, act: 'approve', signer: alice?.signer.signer_id },
    { ...common, act: 'approve', signer: bob?.signer.signer_id },
    { ...common, act: 'commit', version: 1 },
  ]);
});

test('a write that is turned away before anything is known of it is one audit event too', async () => {
  const events: AuditEvent[] = [];
  let [isLocal, isAllowed, maxInflight] = [false, true, 2];
  const app = await openTestApp({
    deps: {
      audit: { record: async (event) => void events.push(event) },
      isWriteAllowed: () => isLocal,
      consumeWrite: () => ({ ok: isAllowed, retryAfterSeconds: 7 }),
      limits: () => ({ maxInflight }),
    },
  });
  const write = () => app.post('/registry/proposals', '{}', JSON_TYPE);
  const statuses = [(await write()).status];
  [isLocal, isAllowed] = [true, false];
  statuses.push((await write()).status);
  maxInflight = 1;
  statuses.push((await write()).status);
  assert.deepEqual(statuses, [403, 429, 429]);
  assert.deepEqual(
    events.map(({ act, decision, code }) => [act, decision, code]),
    ['forbidden', 'rate_limited', 'overloaded'].map((code) => ['propose', 'refused', code]),
  );
});

test('a payload without changes has no kinds and no beginning of ids', async () => {
  const { attemptOf } = await import('../../src/http/write-attempt.ts');
  const { makeSigners, makeGovernance, genesisPayload } = await import('../support/signers.ts');
  const genesis = genesisPayload(makeGovernance(makeSigners(1), { threshold: 1 }));
  assert.deepEqual(attemptOf('propose', genesis), {
    operation: 'propose',
    registry: genesis.payloadB3,
    proposal: genesis.payloadB3,
    kinds: [],
    idPrefix: null,
  });
});

test('a write with a bad escape in its path is refused as one event, like any other', async () => {
  const { app, events } = await openWithTokens();
  const paths = ['approvals/%FF', 'commit/%', 'commit/b3%3A%E0%A4%A'];
  for (const path of paths) {
    const response = await app.post(`/registry/${path}`, undefined, GOOD);
    assert.deepEqual([response.status, (await response.json()).code], [400, 'invalid_request']);
  }
  assert.deepEqual(
    events.map(({ act, code, token }) => [act, code, token]),
    ['approve', 'commit', 'commit'].map((act) => [act, 'invalid_request', 'token-1']),
  );
});
