/** An operator's day: freeze, crash, thaw, a snapshot that is taken away and started on. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { canonicalText } from '../../src/core/canonical.ts';
import { runCli } from '../support/cli-io.ts';
import { mountSmall } from '../support/mount.ts';
import { ask } from '../support/operator.ts';
import { put } from '../support/registry.ts';
import { spawnServer } from '../support/server-process.ts';
import {
  beginOver,
  clientOf,
  commitOver,
  commitService,
  makeDataDir,
  SIGNERS,
  startTestServer,
} from '../support/server-start.ts';
import { descriptorsPayload } from '../support/signers.ts';

function operator(dataDir: string, act: string, ...argv: readonly string[]) {
  const socket = ['--socket', join(dataDir, 'operator.sock')];
  return runCli(['operator', act, ...argv, ...socket, '--json'], { env: { USER: 'alice' } });
}

async function bodyOf(url: string): Promise<Uint8Array> {
  const response = await fetch(url);
  assert.equal(response.status, 200, url);
  return new Uint8Array(await response.arrayBuffer());
}

function post(url: string, body: Uint8Array | string): Promise<Response> {
  const headers = { 'content-type': 'application/json' };
  return fetch(url, { method: 'POST', headers, body: Buffer.from(body) });
}

test('the socket is for the user of the server alone, in a directory that is too', async (t) => {
  const data = makeDataDir();
  await startTestServer(t, { profile: 'macronode', data });
  const socket = join(data, 'operator.sock');
  assert.ok(statSync(socket).isSocket());
  assert.equal(statSync(socket).mode & 0o777, 0o600);
  assert.equal(statSync(data).mode & 0o777, 0o700);
});

test('a freeze refuses writes over HTTP with its reason, and outlives kill -9; reads go on', async (t) => {
  const data = makeDataDir();
  const first = await spawnServer(data);
  t.after(() => first.kill());
  const registry = await beginOver(first.client);
  const changes = [put('a', {})];
  const waiting = descriptorsPayload(registry, changes, { createdAt: Date.now() });
  await first.client.propose(waiting.bytes);
  const frozen = await operator(data, 'freeze', '--reason', 'the keys are being counted');
  assert.equal(frozen.code, 0, frozen.stderr);
  const [{ frozen: state } = {}] = frozen.json();
  const { reason, since } = state as { reason: string; since: string };

  const other = descriptorsPayload(registry, [put('b', {})], { createdAt: Date.now() });
  const [signer] = SIGNERS;
  assert.ok(signer);
  const id = waiting.payloadB3;
  for (const [path, body] of [
    ['proposals', other.bytes],
    [`approvals/${id}`, canonicalText(signer.approve(waiting))],
    [`commit/${id}`, ''],
  ] as const) {
    const headers = path.startsWith('commit') ? {} : { 'content-type': 'application/json' };
    const refused = await fetch(`${first.url}/registry/${path}`, {
      method: 'POST',
      headers,
      ...(body !== '' && { body: Buffer.from(body) }),
    });
    assert.equal(refused.status, 503, path);
    assert.equal(refused.headers.get('retry-after'), '60');
    const problem = await refused.json();
    assert.deepEqual([problem.code, problem.details], ['frozen', { reason, since }], path);
  }
  assert.equal((await first.client.head()).version, 0);
  const known = await post(`${first.url}/registry/proposals`, waiting.bytes);
  assert.equal(known.status, 200, 'what is known is told');

  assert.equal(await first.kill(), 'SIGKILL');
  const second = await spawnServer(data);
  t.after(() => second.kill());
  const status = await operator(data, 'status');
  assert.deepEqual(status.json()[0]?.frozen, { reason, since, kept: true });
  await assert.rejects(second.client.approve(id, signer.approve(waiting)), { code: 'frozen' });
  assert.equal((await second.client.head()).version, 0);
  await bodyOf(`${second.url}/checkpoint`);
  assert.equal((await operator(data, 'thaw', '--reason', 'all are there')).code, 0);
  assert.equal(await commitOver(second.client, waiting), 1);
  assert.equal(await second.stop(), 0);
  const audited = readdirSync(join(data, 'audit'))
    .map((name) => readFileSync(join(data, 'audit', name), 'utf8'))
    .join('');
  for (const word of ['"freeze"', '"thaw"', 'operator:alice', 'the keys are being counted'])
    assert.ok(audited.includes(word), word);
});

test('a snapshot is a whole registry: it verifies, and a server that starts on it serves the same bytes and goes on', async (t) => {
  const data = makeDataDir();
  const server = await startTestServer(t, { profile: 'macronode', data });
  const client = clientOf(server.url);
  const registry = await beginOver(client);
  for (const name of ['a', 'b', 'c']) await commitService(client, registry, name);
  const open = descriptorsPayload(registry, [put('open', {})], { createdAt: Date.now() });
  await client.propose(open.bytes);
  const made = await operator(data, 'snapshot');
  assert.equal(made.code, 0, made.stderr);
  const [{ path, version } = {}] = made.json();
  assert.equal(version, 3);
  const world = ['--registry', registry, '--state', join(makeDataDir(), 'state')];
  const verified = await runCli(['snapshot', 'verify', String(path), ...world]);
  assert.equal(verified.code, 0, verified.stderr);

  const restored = makeDataDir();
  const to = ['--data', restored, '--from', server.url];
  const restoring = await runCli(['snapshot', 'restore', String(path), ...to, ...world]);
  assert.equal(restoring.code, 0, restoring.stderr);
  assert.deepEqual(readdirSync(restored), ['registry.db']);
  assert.equal(statSync(restored).mode & 0o777, 0o700);
  const again = await startTestServer(t, { profile: 'macronode', data: restored });
  for (const read of [
    'registry/head',
    'registry/0',
    'registry/2',
    'registry/head/set',
    'registry/2/descriptors/service/a?proof=1',
    'registry/entries?from=0&limit=10',
    'registry/proof/inclusion/1/4',
    'registry/proof/consistency/2/4',
    'tile/entries/000.p/4',
    'checkpoint',
  ])
    assert.deepEqual(
      await bodyOf(`${again.url}/${read}`),
      await bodyOf(`${server.url}/${read}`),
      read,
    );
  const reader = clientOf(again.url);
  assert.equal(await commitOver(reader, open), 4, 'a proposal in flight was in it');
  assert.equal((await client.head()).version, 3);
});

test('a snapshot right after a commit has the checkpoint that covers it', async (t) => {
  const data = makeDataDir();
  const server = await startTestServer(t, { profile: 'macronode', data });
  const client = clientOf(server.url);
  const registry = await beginOver(client);
  for (const [i, name] of ['a', 'b', 'c'].entries()) {
    await commitService(client, registry, name);
    const made = await operator(data, 'snapshot');
    assert.equal(made.code, 0, made.stderr);
    const [{ path } = {}] = made.json();
    const listed = await runCli(['snapshot', 'list', join(data, 'snapshots'), '--json']);
    const { header } = listed.json().find(({ name }) => String(path).endsWith(String(name))) ?? {};
    const { version, checkpoint } = header as { version: number; checkpoint: string };
    assert.deepEqual([version, checkpoint.split('\n')[1]], [i + 1, `${i + 2}`]);
  }
});

test('a micronode takes operator acts too, keeps none of them, and audits each', async (t) => {
  const memory = mountSmall(t, '1m');
  if (memory === undefined) return;
  const socketPath = join(memory, 'operator.sock');
  const server = await startTestServer(t, { operator_listen: socketPath });
  const reason = { reason: 'a drill' };
  const post = (act: string, body: object) =>
    ask(socketPath, { method: 'POST', path: `/operator/${act}`, body });
  assert.equal((await post('freeze', reason)).status, 200);
  await assert.rejects(beginOver(clientOf(server.url)), { code: 'frozen' });
  assert.equal((await post('thaw', reason)).status, 200);
  await beginOver(clientOf(server.url));
  assert.equal((await post('snapshot', {})).body.code, 'invalid_request');
  assert.deepEqual((await post('reload', {})).body.changed, []);
  assert.equal((await post('compact', {})).status, 200);
  const acts = server.audited.filter((line) => line.includes('"operator"'));
  assert.equal(acts.length, 5, server.audited.join('\n'));
});
