import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Allowance } from '../../src/http/deps.ts';
import { codeOf, openTestApp } from '../support/http-app.ts';

const ID = `b3:${'0'.repeat(64)}`;
const WRITES = [
  '/registry/proposals',
  '/registry/supersede',
  `/registry/approvals/${ID}`,
  `/registry/commit/${ID}`,
];
const JSON_TYPE = { 'content-type': 'application/json' };

test('a write from elsewhere is 403 and says why, on every write route; reads are open', async () => {
  const app = await openTestApp({ deps: { isWriteAllowed: () => false } });
  for (const path of WRITES) {
    const response = await app.post(path, '{}');
    const problem = await response.json();
    assert.deepEqual([response.status, problem.code], [403, 'forbidden'], path);
    assert.match(problem.detail, /without a token key, write routes are open to this machine only/);
  }
  assert.equal((await app.get('/registry/head')).status, 200);
});

test('a write through a proxy is refused: behind one, the world looks like loopback', async () => {
  const app = await openTestApp();
  const names = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip', 'via'];
  for (const path of WRITES)
    for (const name of names) {
      const response = await app.post(path, '{}', { ...JSON_TYPE, [name]: '127.0.0.1' });
      assert.equal(await codeOf(response), 'forbidden', name);
      const read = await app.get('/registry/head', { [name]: '203.0.113.9' });
      assert.equal(read.status, 200);
    }
});

test('a write by a page of another origin is refused', async () => {
  const app = await openTestApp();
  const pages: readonly Record<string, string>[] = [
    { origin: 'https://example.com' },
    { origin: 'null' },
    { origin: 'http://127.0.0.1:8080', host: '127.0.0.1:7070' },
    { origin: 'https://127.0.0.1:7070', host: '127.0.0.1:7070' },
    { origin: 'http://127.0.0.1:7070.example.com', host: '127.0.0.1:7070' },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    // Its own name made to resolve to 127.0.0.1.
    { origin: 'http://evil.example:7070', host: 'evil.example:7070' },
    { origin: 'http://127.0.0.1.evil.example', host: '127.0.0.1.evil.example' },
  ];
  for (const headers of pages)
    for (const path of WRITES) {
      const response = await app.post(path, '{}', { ...JSON_TYPE, ...headers });
      assert.equal(await codeOf(response), 'forbidden', JSON.stringify(headers));
    }
});

test('a write by a page of the service itself, or by no page, is let through', async () => {
  const app = await openTestApp();
  const clients: readonly Record<string, string>[] = [
    {},
    { host: 'anything.example' },
    { 'sec-fetch-site': 'none' },
    { origin: 'http://127.0.0.1:7070', host: '127.0.0.1:7070', 'sec-fetch-site': 'same-origin' },
    { origin: 'http://localhost:7070', host: 'localhost:7070' },
    { origin: 'http://[::1]:7070', host: '[::1]:7070' },
    { origin: 'http://127.0.0.1:7070' },
  ];
  for (const headers of clients) {
    const response = await app.post('/registry/proposals', 'null', { ...JSON_TYPE, ...headers });
    assert.equal(await codeOf(response), 'invalid_payload', JSON.stringify(headers));
  }
});

test('one request too many is 429 with the time to wait, before its body is read', async () => {
  const asked: string[] = [];
  const consume = (address: string): Allowance => {
    asked.push(address);
    return { ok: false, retryAfterSeconds: 7 };
  };
  const app = await openTestApp({
    deps: { consumeWrite: consume, consumeRead: consume, clientAddress: () => '192.0.2.1' },
  });
  const write = await app.post('/registry/proposals', 'not json');
  const read = await app.get('/registry/head');
  for (const response of [write, read]) {
    assert.deepEqual([response.status, await codeOf(response)], [429, 'rate_limited']);
    assert.equal(response.headers.get('retry-after'), '7');
  }
  assert.deepEqual(asked, ['192.0.2.1', '192.0.2.1']);
});

test('probes of health are never limited', async () => {
  const app = await openTestApp({
    deps: { consumeRead: () => ({ ok: false, retryAfterSeconds: 1 }) },
  });
  for (const path of ['/livez', '/healthz', '/readyz', '/version'])
    assert.equal((await app.get(path)).status, 200, path);
});

test('documents of the contract cost work, and are limited like every read', async () => {
  const paths = ['/openapi.json', '/schema/payload'];
  const limited = await openTestApp({
    deps: { consumeRead: () => ({ ok: false, retryAfterSeconds: 1 }) },
  });
  const full = await openTestApp({ deps: { limits: () => ({ maxInflight: 0 }) } });
  for (const path of paths) {
    assert.equal(await codeOf(await limited.get(path)), 'rate_limited', path);
    assert.equal(await codeOf(await full.get(path)), 'overloaded', path);
  }
});

test('a write that is not allowed does not use up the allowance of those that are', async () => {
  let asked = 0;
  const app = await openTestApp({
    deps: {
      isWriteAllowed: () => false,
      consumeWrite: () => {
        asked++;
        return { ok: true, retryAfterSeconds: 0 };
      },
    },
  });
  await app.post('/registry/proposals', '{}');
  assert.equal(asked, 0);
});

test('reads above the cap on requests at once are 429, long polls and probes are not', async () => {
  const app = await openTestApp({ deps: { limits: () => ({ maxInflight: 0 }) } });
  const read = await app.get('/registry/head');
  assert.deepEqual([read.status, await codeOf(read)], [429, 'overloaded']);
  assert.equal((await app.get('/registry/head?after=-1&wait=0')).status, 400, 'looked at');
  assert.equal((await app.get('/livez')).status, 200);
});

test('no host name makes a read a long poll', async () => {
  const app = await openTestApp({ deps: { limits: () => ({ maxInflight: 0 }) } });
  for (const url of ['http://wait=/registry/head', 'http://wait=1.example/registry/head?x=wait='])
    assert.equal((await app.app.fetch(new Request(url))).status, 429, url);
});

test('every header by which a proxy shows refuses a write, also without a value', async () => {
  const app = await openTestApp();
  for (const name of ['x-forwarded-proto', 'x-forwarded-for', 'forwarded', 'via', 'x-real-ip']) {
    const response = await app.post('/registry/proposals', '{}', { ...JSON_TYPE, [name]: '' });
    assert.equal(await codeOf(response), 'forbidden', name);
  }
});

test('the allowance of an address is used before its token is looked at, that of the token after', async () => {
  const asked: string[] = [];
  const consume = (kind: string, ok: boolean) => (caller: string) => {
    asked.push(`${kind} of ${caller}`);
    return { ok, retryAfterSeconds: 3 };
  };
  const authority = {
    authenticate: async (token: string) => {
      asked.push(`check of ${token}`);
      return { id: 'token-id', authorize: async () => undefined };
    },
  };
  const deps = { authority: () => authority, consumeToken: consume('token', false) };
  const app = await openTestApp({ deps: { ...deps, consumeWrite: consume('address', true) } });
  const headers = { ...JSON_TYPE, authorization: 'Bearer abc' };
  const response = await app.post('/registry/proposals', '{}', headers);
  assert.deepEqual([response.status, response.headers.get('retry-after')], [429, '3']);
  assert.deepEqual(asked, ['address of 127.0.0.1', 'check of abc', 'token of token-id']);
  const strict = await openTestApp({ deps: { ...deps, consumeWrite: consume('address', false) } });
  await strict.post('/registry/proposals', '{}', headers);
  assert.deepEqual(asked.slice(3), ['address of 127.0.0.1'], 'the token was not looked at');
});
