/** The audit log of a real server: each write and each operator act, accepted or refused, is one record that says who and what. */
import assert from 'node:assert/strict';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { canonicalBytes } from '../../src/core/canonical.ts';
import type { Hash } from '../../src/core/hash.ts';
import type { DecodedPayload } from '../../src/core/payload.ts';
import type { AuditRecord } from '../../src/server/audit-log/record.ts';
import type { Grant } from '../../src/server/tokens/datalog.ts';
import { mintToken, openToken } from '../../src/server/tokens/make.ts';
import type { AuditEvent } from '../../src/telemetry/audit.ts';
import { readLog } from '../support/audit-log.ts';
import { runCli } from '../support/cli-io.ts';
import { ask } from '../support/operator.ts';
import { put } from '../support/registry.ts';
import {
  clientOf,
  makeDataDir,
  SIGNERS,
  startTestServer,
  type TestServer,
} from '../support/server-start.ts';
import {
  descriptorsPayload,
  genesisPayload,
  makeGovernance,
  supersedePayload,
} from '../support/signers.ts';
import { grantOf, HOUR, makeTokenKey } from '../support/tokens.ts';

const KEY = makeTokenKey();
const [ALICE = assert.fail(), BOB = assert.fail()] = SIGNERS;

interface Stage {
  readonly server: TestServer;
  readonly dataDir: string;
  readonly registry: Hash;
  readonly genesis: DecodedPayload;
  /** Of every scope, and its revocation id. */
  readonly token: string;
  readonly tokenId: string;
  send(request: Sent): Promise<{ status: number; corrId: string }>;
  /** The only record of that request. */
  recordOf(corrId: string): Promise<AuditRecord>;
}

interface Sent {
  /** Default: `POST`. */
  readonly method?: 'PUT';
  readonly path: string;
  readonly body?: Uint8Array | string;
  /** `null`: none. Default: the one of every scope. */
  readonly token?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
}

async function mintNow(registry: Hash, changed: Partial<Grant> = {}): Promise<string> {
  const issued = Math.floor(Date.now() / 1000);
  return mintToken(
    KEY.privateKey,
    grantOf({ registry, issued, expires: issued + HOUR, ...changed }),
  );
}

async function idOf(token: string): Promise<string> {
  const { revocationIds } = await openToken(token);
  return revocationIds[0] ?? assert.fail();
}

async function openStage(
  t: TestContext,
  settings: Readonly<Record<string, string>> = {},
): Promise<Stage> {
  const dataDir = makeDataDir();
  const server = await startTestServer(t, {
    profile: 'macronode',
    data: dataDir,
    token_key: KEY.key,
    ...settings,
  });
  const genesis = genesisPayload(makeGovernance(SIGNERS, { threshold: 2 }), {
    createdAt: Date.now(),
  });
  const registry = genesis.payloadB3;
  const token = await mintNow(registry);
  let count = 0;
  return {
    server,
    dataDir,
    registry,
    genesis,
    token,
    tokenId: await idOf(token),
    send: async ({ path, method = 'POST', body = '', token: given = token, headers = {} }) => {
      const corrId = `audit-${++count}`;
      const { status } = await fetch(`${server.url}${path}`, {
        method,
        body: Buffer.from(body),
        headers: {
          'X-Corr-ID': corrId,
          ...(body.length > 0 && { 'Content-Type': 'application/json' }),
          ...(given !== null && { Authorization: `Bearer ${given}` }),
          ...headers,
        },
      });
      return { status, corrId };
    },
    recordOf: async (corrId) => {
      const { records } = await readLog(dataDir);
      const found = records.filter((r) => 'corr_id' in r && r.corr_id === corrId);
      assert.equal(found.length, 1, `${corrId}: ${found.length} records`);
      return found[0] ?? assert.fail();
    },
  };
}

type Expected = Partial<Omit<AuditEvent, 'corrId'>> & { readonly status: number };

/** Sends, and holds the one record against what is expected; what is not named is `null`. */
async function expectRecord(
  stage: Stage,
  sent: Sent,
  { status, ...expected }: Expected,
): Promise<void> {
  const answer = await stage.send(sent);
  const what = `${sent.path} ${JSON.stringify(expected)}`;
  assert.equal(answer.status, status, what);
  const {
    schema: _schema,
    seq: _seq,
    time: _time,
    prev: _prev,
    ...members
  } = await stage.recordOf(answer.corrId);
  assert.deepEqual(
    members,
    {
      decision: status < 300 ? 'accepted' : 'refused',
      code: null,
      reason: null,
      client: '127.0.0.1',
      token: sent.token === undefined ? stage.tokenId : null,
      signer: null,
      proposal: null,
      version: null,
      corr_id: answer.corrId,
      ...expected,
    },
    what,
  );
}

const approvalOf = (by: typeof ALICE, proposal: DecodedPayload) =>
  canonicalBytes(by.approve(proposal));

test('each write is one record with its hash, signer, token, client, correlation id and version', async (t) => {
  const stage = await openStage(t);
  const { genesis, registry } = stage;
  const approve = (proposal: DecodedPayload, by: typeof ALICE, status = 200) =>
    expectRecord(
      stage,
      { path: `/registry/approvals/${proposal.payloadB3}`, body: approvalOf(by, proposal) },
      { status, act: 'approve', proposal: proposal.payloadB3, signer: by.signer.signer_id },
    );
  const propose = (proposal: DecodedPayload, status = 202) =>
    expectRecord(
      stage,
      { path: '/registry/proposals', body: proposal.bytes },
      { status, act: 'propose', proposal: proposal.payloadB3 },
    );
  const commit = (proposal: DecodedPayload, version: number, status = 201) =>
    expectRecord(
      stage,
      { path: `/registry/commit/${proposal.payloadB3}` },
      { status, act: 'commit', proposal: proposal.payloadB3, version },
    );

  await propose(genesis);
  for (const by of SIGNERS) await approve(genesis, by);
  await commit(genesis, 0);
  const change = descriptorsPayload(registry, [put('a', { port: 80 })], { createdAt: Date.now() });
  await propose(change);
  await propose(change, 200);
  await approve(change, ALICE);
  await approve(change, BOB);
  await commit(change, 1);
  await commit(change, 1, 200);
  const { entryHash } = await clientOf(stage.server.url).head();
  const supersede = supersedePayload(
    registry,
    { supersedes: entryHash },
    { createdAt: Date.now() },
  );
  await expectRecord(
    stage,
    { path: '/registry/supersede', body: supersede.bytes },
    { status: 202, act: 'supersede', proposal: supersede.payloadB3 },
  );
});

test('each refusal is one record with its code, and says as much as was known by then', async (t) => {
  const stage = await openStage(t);
  const { genesis, registry } = stage;
  await stage.send({ path: '/registry/proposals', body: genesis.bytes });
  const id = genesis.payloadB3;
  const narrow = await mintNow(registry, { scopes: ['approve'] });
  const narrowId = await idOf(narrow);
  const other = await mintNow(`b3:${'0'.repeat(64)}`);
  const otherId = await idOf(other);
  const unknown: Hash = `b3:${'9'.repeat(64)}`;
  const refused = (sent: Sent, expected: Expected) => expectRecord(stage, sent, expected);

  const routes = [
    ['propose', '/registry/proposals', null],
    ['supersede', '/registry/supersede', null],
    ['approve', `/registry/approvals/${id}`, id],
    ['commit', `/registry/commit/${id}`, id],
  ] as const;
  for (const [act, path] of routes) {
    await refused({ path, token: null }, { status: 401, act, code: 'unauthenticated' });
    await refused({ path, token: 'garbage' }, { status: 401, act, code: 'unauthenticated' });
  }
  for (const [act, path, proposal] of routes.slice(0, 3))
    await refused({ path, body: '{' }, { status: 400, act, code: 'malformed', proposal });
  await refused(
    { path: '/registry/proposals', body: genesis.bytes, token: narrow },
    { status: 403, act: 'propose', code: 'forbidden', proposal: id, token: narrowId },
  );
  await refused(
    { path: `/registry/commit/${id}`, token: other },
    { status: 403, act: 'commit', code: 'forbidden', proposal: id, token: otherId },
  );
  await refused(
    { path: '/registry/proposals', body: ' {}' },
    { status: 400, act: 'propose', code: 'not_canonical' },
  );
  await refused(
    { path: '/registry/proposals', body: new Uint8Array(1024 * 1024 + 1).fill(0x20) },
    { status: 413, act: 'propose', code: 'too_large' },
  );
  await refused(
    { path: '/registry/proposals', body: '{}', headers: { 'Content-Type': 'text/plain' } },
    { status: 415, act: 'propose', code: 'unsupported_media_type' },
  );
  await refused(
    { path: `/registry/commit/${unknown}` },
    { status: 404, act: 'commit', code: 'unknown_proposal', proposal: unknown },
  );
  await refused(
    { path: `/registry/commit/${id}` },
    { status: 409, act: 'commit', code: 'quorum_not_reached', proposal: id },
  );
  const forged = { ...ALICE.approve(genesis), signer_id: BOB.signer.signer_id };
  await refused(
    { path: `/registry/approvals/${id}`, body: canonicalBytes(forged) },
    {
      status: 422,
      act: 'approve',
      code: 'invalid_signature',
      proposal: id,
      signer: BOB.signer.signer_id,
    },
  );
  const { summary } = await readLog(stage.dataDir);
  assert.equal(summary.refused, 19);
  assert.equal(summary.accepted, 2);
});

test('operator acts are records, and so is what a freeze refuses', async (t) => {
  const stage = await openStage(t);
  const socket = join(stage.dataDir, 'operator.sock');
  await stage.send({ path: '/registry/proposals', body: stage.genesis.bytes });
  const act = (name: string, body: object) =>
    ask(socket, { method: 'POST', path: `/operator/${name}`, body });
  assert.equal((await act('freeze', { reason: 'keys are counted' })).status, 200);
  await expectRecord(
    stage,
    { path: `/registry/approvals/${stage.registry}`, body: approvalOf(ALICE, stage.genesis) },
    {
      status: 503,
      act: 'approve',
      code: 'frozen',
      proposal: stage.registry,
      signer: ALICE.signer.signer_id,
    },
  );
  assert.equal((await act('freeze', {})).status, 400);
  assert.equal((await act('thaw', { reason: 'they are all there' })).status, 200);
  assert.equal((await act('snapshot', {})).status, 404);
  assert.equal((await act('compact', {})).status, 200);
  await stage.server.stop();
  const { records } = await readLog(stage.dataDir);
  const told = records.flatMap((r) =>
    'decision' in r && r.client?.startsWith('operator') ? [[r.act, r.decision, r.reason]] : [],
  );
  assert.deepEqual(told, [
    ['freeze', 'accepted', 'keys are counted'],
    ['freeze', 'refused', null],
    ['thaw', 'accepted', 'they are all there'],
    ['snapshot', 'refused', null],
    ['compact', 'accepted', null],
  ]);
  assert.deepEqual([records[1]?.act, records.at(-1)?.act], ['start', 'stop']);
});

test('a flood without a token is counted exactly and leaves what was accepted before it', async (t) => {
  const stage = await openStage(t);
  const { corrId } = await stage.send({ path: '/registry/proposals', body: stage.genesis.bytes });
  for (let i = 0; i < 60; i++)
    assert.equal((await stage.send({ path: '/registry/proposals', token: null })).status, 401);
  await stage.server.stop();
  const { summary } = await readLog(stage.dataDir);
  assert.deepEqual([summary.refused, summary.suppressed], [20, 40]);
  assert.equal((await stage.recordOf(corrId)).act, 'propose');
});

for (const blobs of ['off', 'on'])
  test(`with blobs ${blobs} a flood of them is counted too, also of those above the rate`, async (t) => {
    const stage = await openStage(t, { blobs, max_writes_per_minute: '30' });
    const path = `/blobs/b3:${'0'.repeat(64)}`;
    const statuses = new Set<number>();
    for (let i = 0; i < 60; i++)
      statuses.add((await stage.send({ path, method: 'PUT', body: 'bytes', token: null })).status);
    await stage.server.stop();
    assert.deepEqual([...statuses], [401, 429]);
    const { records, summary } = await readLog(stage.dataDir);
    assert.equal(records.filter(({ act }) => act === 'blob').length, 20);
    assert.deepEqual([summary.refused, summary.suppressed], [20, 40]);
  });

function hashOfLast(summary: Record<string, unknown> | undefined): unknown {
  const last = summary?.last;
  return typeof last === 'object' && last !== null && 'hash' in last ? last.hash : undefined;
}

test('the log verifies while the server writes, its end is on the status and in the log lines, and a restart goes on', async (t) => {
  const stage = await openStage(t);
  await stage.send({ path: '/registry/proposals', body: stage.genesis.bytes });
  const running = await runCli(['audit', 'verify', stage.dataDir, '--json']);
  assert.equal(running.code, 0, running.stderr);
  const { audit } = (
    await ask(join(stage.dataDir, 'operator.sock'), { method: 'GET', path: '/operator/status' })
  ).body;
  const [summary] = running.json();
  assert.deepEqual(audit, { seq: 3, hash: hashOfLast(summary) });
  await stage.server.stop();
  const noted = stage.server.records.find(({ msg }) => msg === 'the audit log is closed');
  const again = await startTestServer(t, {
    profile: 'macronode',
    data: stage.dataDir,
    token_key: KEY.key,
  });
  await again.stop();
  const hash = String(noted?.hash);
  const { code, stdout } = await runCli(['audit', 'verify', stage.dataDir, '--expect-last', hash]);
  assert.equal(code, 0);
  assert.match(stdout, /found, 2 records before the last/);
});

test('a server whose audit log is damaged serves reads and takes no write, and goes on once it was moved away', async (t) => {
  const stage = await openStage(t);
  await stage.send({ path: '/registry/proposals', body: stage.genesis.bytes });
  await stage.server.stop();
  const directory = join(stage.dataDir, 'audit');
  const path = join(directory, '00000001.ndjson');
  writeFileSync(path, readFileSync(path, 'utf8').replace('127.0.0.1', '127.0.0.2'));
  const server = await startTestServer(t, {
    profile: 'macronode',
    data: stage.dataDir,
    token_key: KEY.key,
  });
  assert.equal((await fetch(`${server.url}/registry/proposals`)).status, 200);
  const ready = await fetch(`${server.url}/readyz?verbose`);
  assert.match(await ready.text(), /audit/);
  const write = () =>
    fetch(`${server.url}/registry/approvals/${stage.registry}`, {
      method: 'POST',
      body: Buffer.from(approvalOf(ALICE, stage.genesis)),
      headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${stage.token}` },
    });
  const shut = await write();
  assert.equal(shut.status, 503);
  assert.equal(((await shut.json()) as { code: string }).code, 'not_ready');
  renameSync(directory, `${directory}-damaged`);
  let status = 503;
  for (let tries = 0; status === 503 && tries < 300; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    ({ status } = await write());
  }
  assert.equal(status, 200);
  assert.ok((await readLog(stage.dataDir)).summary.records >= 3);
});
