import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import Database from 'better-sqlite3';
import { databasePath } from '../../src/server/open-store.ts';
import { exchange } from '../support/server-socket.ts';
import {
  beginOver,
  clientOf,
  commitService,
  makeDataDir,
  startTestServer,
} from '../support/server-start.ts';

/** A registry of two entries at rest. */
async function makeStored(t: TestContext): Promise<string> {
  const data = makeDataDir();
  const server = await startTestServer(t, { profile: 'macronode', data });
  const client = clientOf(server.url);
  await commitService(client, await beginOver(client), 'checkout');
  await server.stop();
  return data;
}

const macronode = (data: string) => ({ profile: 'macronode', data });

test('a start that fails because a port is taken leaves nothing half-started', async (t) => {
  const other = await startTestServer(t);
  const taken = `127.0.0.1:${other.address.port}`;
  const settings = macronode(makeDataDir());
  for (const key of ['listen', 'metrics_listen'])
    await assert.rejects(startTestServer(t, { ...settings, [key]: taken }), {
      code: 'invalid_request',
      message: `expected to listen on ${taken}, got EADDRINUSE: another process listens there: stop it, or choose another address`,
    });
  // The store is free again: its lock would refuse this one.
  await startTestServer(t, settings);
});

test('a data directory that can not be made is named, with what to do', async (t) => {
  const path = makeDataDir();
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, 'a file');
  for (const data of [path, join(path, 'below'), '/dev/null/data'])
    await assert.rejects(startTestServer(t, macronode(data)), ({ code, message }) => {
      assert.equal(code, 'storage_failed');
      assert.match(
        message,
        /^expected a directory at .* got E[A-Z]+: .* or choose another --data$/,
      );
      return true;
    });
});

test('a store of a newer program is refused and left as it is', async (t) => {
  const data = await makeStored(t);
  const db = new Database(databasePath(data));
  db.pragma('user_version = 9999');
  db.close();
  await assert.rejects(startTestServer(t, macronode(data)), {
    code: 'storage_newer',
    message: /9999/,
  });
  const after = new Database(databasePath(data));
  assert.equal(after.pragma('user_version', { simple: true }), 9999);
  after.close();
});

test('a file that is no database is refused as damaged', async (t) => {
  const data = makeDataDir();
  mkdirSync(data, { recursive: true });
  writeFileSync(databasePath(data), 'not a database, '.repeat(1000));
  await assert.rejects(startTestServer(t, macronode(data)), { code: 'storage_damaged' });
});

test('a changed byte in the stored head is refused at the start', async (t) => {
  const data = await makeStored(t);
  const db = new Database(databasePath(data));
  db.pragma('wal_checkpoint(TRUNCATE)');
  const { leaf } = db.prepare('SELECT leaf FROM entries ORDER BY version DESC').get() as {
    leaf: Buffer;
  };
  db.close();
  const file = readFileSync(databasePath(data));
  const offset = file.indexOf(leaf);
  assert.ok(offset > 0, 'the leaf was found in the file');
  file[offset] = 0x5b;
  writeFileSync(databasePath(data), file);
  await assert.rejects(startTestServer(t, macronode(data)), { code: 'storage_damaged' });
});

test('a store of another registry than the pinned one is refused, and the pinned one is served', async (t) => {
  const data = await makeStored(t);
  for (const pin of [
    { origin: 'registry.example.com/other' },
    { registry: `b3:${'0'.repeat(64)}` },
  ])
    await assert.rejects(startTestServer(t, { ...macronode(data), ...pin }), {
      code: 'storage_foreign',
    });
  await startTestServer(t, { ...macronode(data), origin: 'registry.example.com/test' });
});

test('no other registry than the pinned one can be begun', async (t) => {
  const { url } = await startTestServer(t, { registry: `b3:${'0'.repeat(64)}` });
  await assert.rejects(beginOver(clientOf(url)), { code: 'wrong_registry' });
});

const POST =
  'POST /registry/proposals HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n';

test('a write under a name that is not loopback is refused: a rebound page could send it', async (t) => {
  const { address } = await startTestServer(t);
  for (const host of [
    'registry.example.com',
    'localhost.example.com',
    '127.0.0.1.example.com',
    '10.0.0.1:80',
  ])
    assert.match(
      await exchange(address, `${POST}Host: ${host}\r\n\r\n{}`),
      /^HTTP\/1\.1 403 .*"code":"forbidden".*open to this machine only/s,
      host,
    );
  for (const host of ['localhost', `LocalHost:${address.port}`, '127.0.0.1', '[::1]:1'])
    assert.match(
      await exchange(address, `${POST}Host: ${host}\r\n\r\n{}`),
      /^HTTP\/1\.1 400 /,
      host,
    );
});

test('reads are open under any name', async (t) => {
  const { address } = await startTestServer(t);
  const answer = await exchange(
    address,
    'GET /version HTTP/1.1\r\nHost: registry.example.com\r\nConnection: close\r\n\r\n',
  );
  assert.match(answer, /^HTTP\/1\.1 200 /);
});

test('a host or target that makes no url is a problem, not a bare answer', async (t) => {
  const { address, records } = await startTestServer(t);
  for (const request of ['GET / HTTP/1.1\r\nHost: a b', 'GET /\\ HTTP/1.1\r\nHost: a'])
    assert.match(
      await exchange(address, `${request}\r\nConnection: close\r\n\r\n`),
      /^HTTP\/1\.1 400 .*application\/problem\+json.*"code":"invalid_request"/s,
    );
  assert.equal(records.filter(({ msg }) => msg === 'request refused').length, 2);
});

test('reads past the rate of one address are refused, and probes are not', async (t) => {
  const { url } = await startTestServer(t, { max_reads_per_minute: '2' });
  const statuses: number[] = [];
  for (const path of ['/version', '/registry/head', '/registry/head', '/registry/head', '/healthz'])
    statuses.push((await fetch(`${url}${path}`)).status);
  assert.deepEqual(statuses, [200, 404, 404, 429, 200]);
});

test('writes past the rate of one address are refused with when to come back', async (t) => {
  const { url } = await startTestServer(t, { max_writes_per_minute: '2' });
  const post = () => fetch(`${url}/registry/commit/b3:${'0'.repeat(64)}`, { method: 'POST' });
  const answers = [await post(), await post(), await post()];
  assert.deepEqual(
    answers.map(({ status }) => status),
    [404, 404, 429],
  );
  const wait = Number(answers[2]?.headers.get('retry-after'));
  assert.ok(wait >= 1 && wait <= 60, `${wait} s`);
});

test('the log says where it serves, what, from where, and why only loopback may write', async (t) => {
  const data = await makeStored(t);
  const { url, records } = await startTestServer(t, macronode(data));
  const started = records.find(({ msg }) => /^serving/.test(String(msg)));
  assert.equal(
    started?.msg,
    `serving on ${url}; without a token key, write routes are open to this machine only`,
  );
  const { profile, origin, registry, version, metrics } = started ?? {};
  assert.deepEqual(
    [profile, started?.data, origin, version, metrics],
    ['macronode', data, 'registry.example.com/test', 1, 'off'],
  );
  assert.match(String(registry), /^b3:[0-9a-f]{64}$/);
  rmSync(data, { recursive: true });
});
