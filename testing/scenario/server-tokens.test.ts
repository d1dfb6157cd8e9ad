/** Access tokens on a real server: what opens the write routes, and that nothing but signatures commits. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Client } from '../../src/client/client.ts';
import { createClient } from '../../src/client/create.ts';
import type { BearerToken } from '../../src/client/index.ts';
import type { Hash } from '../../src/core/hash.ts';
import { createNativeVerifier } from '../../src/server/native-verifier.ts';
import type { Grant } from '../../src/server/tokens/datalog.ts';
import { attenuateToken, mintToken, openToken } from '../../src/server/tokens/make.ts';
import { addRevocations } from '../../src/server/tokens/revoke.ts';
import { put } from '../support/registry.ts';
import { exchange, statuses } from '../support/server-socket.ts';
import {
  clientOf,
  commitOver,
  commitService,
  SIGNERS,
  startTestServer,
  type TestServer,
} from '../support/server-start.ts';
import {
  descriptorsPayload,
  genesisPayload,
  makeGovernance,
  makeSigner,
  supersedePayload,
} from '../support/signers.ts';
import { grantOf, HOUR, makeTokenKey } from '../support/tokens.ts';

const KEY = makeTokenKey();
const directory = mkdtempSync(join(tmpdir(), 'quorate-tokens-'));
process.on('exit', () => rmSync(directory, { recursive: true, force: true }));

function genesisNow() {
  const governance = makeGovernance(SIGNERS, { threshold: 2 });
  return genesisPayload(governance, { createdAt: Date.now() });
}

/** Valid for an hour from now. */
function mintNow(registry: Hash, changed: Partial<Grant> = {}): Promise<string> {
  const issued = Math.floor(Date.now() / 1000);
  const grant = grantOf({ registry, issued, expires: issued + HOUR, ...changed });
  return mintToken(KEY.privateKey, grant);
}

function clientWith(url: string, token: BearerToken): Client {
  return createClient({ url, token, verifier: createNativeVerifier(), maxAttempts: 1 });
}

interface Opened {
  readonly server: TestServer;
  readonly registry: Hash;
  /** Of every scope. */
  readonly token: string;
  readonly client: Client;
}

/** A registry that was begun with a token. */
async function openBegun(
  t: TestContext,
  settings: Readonly<Record<string, string>> = {},
): Promise<Opened> {
  const server = await startTestServer(t, { token_key: KEY.key, ...settings });
  const genesis = genesisNow();
  const registry = genesis.payloadB3;
  const token = await mintNow(registry);
  const client = clientWith(server.url, token);
  assert.equal(await commitOver(client, genesis), 0);
  return { server, registry, token, client };
}

function changeOf(registry: Hash, id = 'stolen') {
  return descriptorsPayload(registry, [put(id, { port: 80 })], { createdAt: Date.now() });
}

function supersedeNow(registry: Hash, supersedes: Hash) {
  return supersedePayload(registry, { supersedes }, { createdAt: Date.now() });
}

async function headOf(url: string): Promise<number> {
  return (await clientOf(url).head()).version;
}

test('a stolen token without signatures commits nothing', async (t) => {
  const { server, registry, token, client } = await openBegun(t);
  assert.equal(await commitService(client, registry, 'honest'), 1);
  const thief = clientWith(server.url, token);
  const change = changeOf(registry);
  const id = change.payloadB3;
  assert.equal((await thief.propose(change.bytes)).isNew, true);
  await assert.rejects(thief.commit(id), { code: 'quorum_not_reached' });
  // Keys of its own, another's name over its own key, and approvals of what was meant otherwise.
  const own = makeSigner('thief');
  const [alice, bob] = [SIGNERS[0] ?? assert.fail(), SIGNERS[1] ?? assert.fail()];
  const honest = changeOf(registry, 'meant-otherwise');
  await assert.rejects(thief.approve(id, own.approve(change)), { code: 'unknown_signer' });
  for (const forged of [
    { ...own.approve(change), signer_id: alice.signer.signer_id },
    alice.approve(honest),
    { ...bob.approve(change), signer_id: alice.signer.signer_id },
  ])
    await assert.rejects(thief.approve(id, forged), { code: 'invalid_signature' });
  await assert.rejects(thief.commit(id), { code: 'quorum_not_reached' });
  // One signer of two is no quorum, however often it is asked for.
  await thief.approve(id, alice.approve(change));
  await thief.approve(id, alice.approve(change));
  await assert.rejects(thief.commit(id), { code: 'quorum_not_reached' });
  const head = await clientOf(server.url).head();
  const replaced = supersedeNow(registry, head.entryHash);
  await thief.propose(replaced.bytes);
  await assert.rejects(thief.commit(replaced.payloadB3), { code: 'quorum_not_reached' });
  assert.equal(await headOf(server.url), 1);
  // It was the quorum alone that was missing.
  await thief.approve(id, bob.approve(change));
  assert.equal((await thief.commit(id)).version, 2);
});

test('without a token nothing is written, also from this machine, and everything is read', async (t) => {
  const { server, registry } = await openBegun(t);
  const stranger = clientOf(server.url);
  const change = changeOf(registry);
  await assert.rejects(stranger.propose(change.bytes), { code: 'unauthenticated' });
  await assert.rejects(stranger.commit(change.payloadB3), { code: 'unauthenticated' });
  const [signer = assert.fail()] = SIGNERS;
  await assert.rejects(stranger.approve(change.payloadB3, signer.approve(change)), {
    code: 'unauthenticated',
  });
  assert.deepEqual(await stranger.unverifiedProposals().then((list) => list.length), 1);
  assert.equal(await headOf(server.url), 0);
});

test('a genesis is begun by a token of its own hash, and by no other', async (t) => {
  const server = await startTestServer(t, { token_key: KEY.key });
  const [genesis, other] = [genesisNow(), changeOf(genesisNow().payloadB3)];
  const foreign = clientWith(server.url, await mintNow(other.payloadB3));
  await assert.rejects(commitOver(foreign, genesis), { code: 'forbidden' });
  const bound = await mintNow(genesis.payloadB3, {
    caveats: [{ proposals: [genesis.payloadB3] }],
  });
  const client = clientWith(server.url, bound);
  assert.equal(await commitOver(client, genesis), 0);
  await assert.rejects(client.propose(changeOf(genesis.payloadB3).bytes), { code: 'forbidden' });
});

test('each write route asks for its own scope', async (t) => {
  const { server, registry } = await openBegun(t);
  const only = async (scope: Grant['scopes'][number]) =>
    clientWith(server.url, await mintNow(registry, { scopes: [scope] }));
  const change = changeOf(registry, 'scoped');
  const id = change.payloadB3;
  const { entryHash: supersedes } = await clientOf(server.url).head();
  const replaced = supersedeNow(registry, supersedes);
  const [signer = assert.fail(), second = assert.fail()] = SIGNERS;
  const [proposer, approver, committer, superseder] = await Promise.all([
    only('propose'),
    only('approve'),
    only('commit'),
    only('supersede'),
  ]);
  for (const client of [approver, committer, superseder])
    await assert.rejects(client.propose(change.bytes), { code: 'forbidden' });
  await proposer.propose(change.bytes);
  for (const client of [proposer, committer, superseder])
    await assert.rejects(client.approve(id, signer.approve(change)), { code: 'forbidden' });
  await approver.approve(id, signer.approve(change));
  await approver.approve(id, second.approve(change));
  for (const client of [proposer, approver, superseder])
    await assert.rejects(client.commit(id), { code: 'forbidden' });
  for (const client of [proposer, approver, committer])
    await assert.rejects(client.propose(replaced.bytes), { code: 'forbidden' });
  await superseder.propose(replaced.bytes);
  assert.equal((await committer.commit(id)).version, 1);
});

test('a token bound to a kind and a beginning of ids changes nothing else, and not who signs', async (t) => {
  const { server, registry, token } = await openBegun(t);
  const narrow = clientWith(
    server.url,
    await attenuateToken(token, [{ kinds: ['service'] }, { idPrefix: 'team/' }]),
  );
  const change = (...ids: readonly string[]) =>
    descriptorsPayload(
      registry,
      ids.map((id) => put(id, {})),
      { createdAt: Date.now() },
    );
  await narrow.propose(change('team/a', 'team/b').bytes);
  for (const ids of [['team/a', 'tea'], ['team'], ['other/team/a']])
    await assert.rejects(narrow.propose(change(...ids).bytes), { code: 'forbidden' });
  const zone = descriptorsPayload(registry, [{ ...put('team/a', {}), kind: 'zone' }], {
    createdAt: Date.now(),
  });
  await assert.rejects(narrow.propose(zone.bytes), { code: 'forbidden' });
});

test('a token that has expired, or that another key signed, opens nothing', async (t) => {
  const { server, registry } = await openBegun(t);
  const now = Math.floor(Date.now() / 1000);
  const expired = await mintNow(registry, { issued: now - HOUR, expires: now - 1 });
  const issued = { issued: now, expires: now + HOUR };
  const foreign = await mintToken(makeTokenKey().privateKey, grantOf({ registry, ...issued }));
  for (const [token, told] of [
    [expired, 'expected a token that has not expired, got one that has'],
    [foreign, 'expected a token signed by a key that is configured here, got another'],
  ] as const)
    await assert.rejects(clientWith(server.url, token).propose(changeOf(registry).bytes), {
      code: 'unauthenticated',
      message: told,
    });
});

test('a revoked token is refused soon after it was added to the list, while others go on', async (t) => {
  const token_revocations = join(directory, 'revoked');
  writeFileSync(token_revocations, '# nobody yet\n');
  const { server, registry, client, token } = await openBegun(t, { token_revocations });
  const thief = await attenuateToken(token, [{ operations: ['propose'] }]);
  const change = changeOf(registry);
  await clientWith(server.url, thief).propose(change.bytes);
  await addRevocations(token_revocations, (await openToken(thief)).revocationIds.slice(-1));
  const deadline = Date.now() + 30_000;
  for (;;) {
    const answer = await clientWith(server.url, thief)
      .propose(change.bytes)
      .then(
        () => 'accepted',
        (error: { code: string }) => error.code,
      );
    if (answer === 'unauthenticated') break;
    assert.equal(answer, 'accepted');
    assert.ok(Date.now() < deadline, 'expected the list to be read again');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.equal(await commitService(client, registry, 'checkout'), 1);
});

test('a token counts in one place alone: one Authorization header', async (t) => {
  const { server, registry, token } = await openBegun(t);
  const body = Buffer.from(changeOf(registry).bytes).toString();
  const post = (path: string, headers: readonly string[]) =>
    exchange(
      server.address,
      [
        `POST ${path} HTTP/1.1`,
        'Host: localhost',
        'Connection: close',
        'Content-Type: application/json',
        `Content-Length: ${body.length}`,
        ...headers,
        '',
        body,
      ].join('\r\n'),
    );
  const path = '/registry/proposals';
  const bearer = `Authorization: Bearer ${token}`;
  for (const [at, headers] of [
    [`${path}?token=${token}`, []],
    [`${path}?access_token=${token}`, []],
    [path, [`Cookie: token=${token}`]],
    [path, [`X-Authorization: Bearer ${token}`]],
    [path, [`Proxy-Authorization: Bearer ${token}`]],
    [path, [bearer, bearer]],
    [path, [bearer, 'Authorization: Bearer other']],
    [path, ['Authorization: Bearer other', bearer]],
    [path, ['Authorization: Basic b3RoZXI6dG9rZW4=', bearer]],
    [path, [`${bearer}, Bearer ${token}`]],
    [path, [`Authorization: Basic ${token}`]],
    [path, [`Authorization: Bearer ${token.slice(0, -1)}`]],
  ] as const) {
    const answer = await post(at, headers);
    assert.deepEqual(statuses(answer), [401], headers.join(' | ').slice(0, 60));
    assert.match(answer, /\r\nwww-authenticate: Bearer realm="quorate"\r\n/i);
    assert.ok(!answer.includes(token.slice(0, 40)), 'a refusal says the token back');
  }
  assert.deepEqual(statuses(await post(path, [bearer])), [202]);
  const written = JSON.stringify(server.records) + server.audited.join('');
  assert.ok(!written.includes(token.slice(0, 40)), 'a token in a URL is written down');
});

test('no token is written anywhere: not in the log, the audit log, or an answer', async (t) => {
  const { server, registry, token } = await openBegun(t);
  const narrow = await attenuateToken(token, [{ operations: ['approve'] }]);
  const broken = `${token.slice(0, 100)}AAAA${token.slice(104)}`;
  for (const text of [narrow, broken])
    await assert.rejects(clientWith(server.url, text).propose(changeOf(registry).bytes));
  const written = JSON.stringify(server.records) + server.audited.join('\n');
  const [id] = (await openToken(token)).revocationIds;
  assert.ok(server.audited.length > 0 && written.includes(id), 'the token is known by its id');
  assert.match(written, /a token does not allow a write/);
  for (const text of [token, narrow, broken])
    for (let at = 0; at + 32 <= text.length; at += 16)
      assert.ok(!written.includes(text.slice(at, at + 32)), `characters ${at} on`);
});

test('a client gives its token to no other origin, and no error of its quotes it', async (t) => {
  const { registry, token, server } = await openBegun(t);
  const seen: (string | undefined)[] = [];
  const other = createServer((request, response) => {
    seen.push(request.headers.authorization);
    const target = new URL(request.url ?? '/', server.url).href;
    if (request.url?.includes('commit'))
      response
        .writeHead(403, { 'content-type': 'application/problem+json' })
        .end(
          JSON.stringify({ code: 'forbidden', detail: `not you, ${token}`, details: { token } }),
        );
    else response.writeHead(307, { location: target }).end();
  }).listen(0, '127.0.0.1');
  await once(other, 'listening');
  t.after(() => other.close());
  const address = other.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  const client = clientWith(`http://127.0.0.1:${port}`, async () => token);
  const change = changeOf(registry);
  await assert.rejects(client.propose(change.bytes), { code: 'unexpected_answer' });
  await assert.rejects(client.commit(change.payloadB3), (error: Error) => {
    assert.equal(error.message, 'not you, [token]');
    assert.ok(!JSON.stringify(error).includes(token));
    return true;
  });
  await assert.rejects(client.unverifiedProposals(), { code: 'unexpected_answer' });
  assert.deepEqual(seen, [`Bearer ${token}`, `Bearer ${token}`, undefined]);
  // Nothing went on to where it was sent: the registry has heard of no change.
  assert.deepEqual((await clientOf(server.url).unverifiedProposals()).length, 1);
});
