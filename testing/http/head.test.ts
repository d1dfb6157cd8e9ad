import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CACHE_CONTROL } from '../../src/api/caching.ts';
import { decodeUtf8 } from '../../src/core/bytes.ts';
import { codeOf, openTestApp } from '../support/http-app.ts';
import { put } from '../support/registry.ts';

test('the head is the published bytes, its ETag the entry hash', async () => {
  const { get, change } = await openTestApp();
  const head = await change(put('a', {}));
  const response = await get('/registry/head');
  assert.equal(await response.text(), decodeUtf8(head.bytes));
  assert.equal(response.headers.get('etag'), `"${head.object.entry_hash}"`);
  assert.equal(response.headers.get('cache-control'), CACHE_CONTROL.head);
});

test('the head asks nothing of the store', async () => {
  const { app, store, registry } = await openTestApp();
  store[Symbol.asyncDispose] = async () => undefined;
  for (const name of ['head', 'entry', 'entries', 'set', 'descriptor'] as const)
    Object.defineProperty(store, name, {
      value: () => assert.fail(`store.${name} was asked`),
    });
  const response = await app.request('/registry/head');
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('etag'), registry.head()?.etag);
});

test('before genesis there is no head, and every route under head says so', async () => {
  const { get } = await openTestApp({ registry: { isBegun: false } });
  const paths = ['', '/entry', '/set', '/governance', '/descriptors/service/a'];
  for (const path of paths) {
    const response = await get(`/registry/head${path}`);
    assert.deepEqual([response.status, await codeOf(response)], [404, 'not_initialised'], path);
  }
  const { status } = await get('/registry/diff?from=0');
  assert.equal(status, 404);
});

test('a head that the client knows is 304, a newer one is 200', async () => {
  const { get, change } = await openTestApp();
  const etag = (await get('/registry/head')).headers.get('etag') ?? '';
  assert.equal((await get('/registry/head', { 'if-none-match': etag })).status, 304);
  assert.equal((await get('/registry/head', { 'if-none-match': `"x", W/${etag}` })).status, 304);
  await change(put('a', {}));
  assert.equal((await get('/registry/head', { 'if-none-match': etag })).status, 200);
});

test('HEAD has the headers of GET, length included, and no body', async () => {
  const { get, head } = await openTestApp();
  const [full, bare] = [await get('/registry/head'), await head('/registry/head')];
  for (const name of ['etag', 'cache-control', 'content-type', 'content-length'])
    assert.equal(bare.headers.get(name), full.headers.get(name), name);
  assert.equal(bare.headers.get('content-length'), `${(await full.arrayBuffer()).byteLength}`);
});

test('a long poll answers at once when the head is newer already', async () => {
  const { get, change, timers } = await openTestApp();
  await change(put('a', {}));
  const { pending } = timers;
  const response = await get('/registry/head?after=0&wait=60');
  assert.equal((await response.json()).version, 1);
  assert.equal(response.headers.get('cache-control'), 'no-store');
  assert.equal(timers.pending, pending);
});

test('a long poll waits for the next head and no longer', async () => {
  const { get, change, timers } = await openTestApp();
  const { pending } = timers;
  const waiting = get('/registry/head?after=0&wait=60');
  assert.equal(timers.pending, pending + 1);
  const head = await change(put('a', {}));
  const response = await waiting;
  assert.equal(await response.text(), decodeUtf8(head.bytes));
  assert.equal(timers.pending, pending);
});

test('a long poll answers the current head when its time is up', async () => {
  const { get, timers } = await openTestApp();
  const waiting = get('/registry/head?after=0&wait=5');
  timers.advance(5_000);
  const response = await waiting;
  assert.deepEqual([response.status, (await response.json()).version], [200, 0]);
  assert.equal(response.headers.get('cache-control'), 'no-store');
});

test('a long poll with If-None-Match is 304 when nothing is new', async () => {
  const { get, timers, registry } = await openTestApp();
  const etag = registry.head()?.etag ?? '';
  const waiting = get('/registry/head?after=0&wait=5', { 'if-none-match': etag });
  timers.advance(5_000);
  assert.equal((await waiting).status, 304);
});

test('a long poll whose client is gone gives its place back', async () => {
  const { send, timers } = await openTestApp({ deps: { limits: () => ({ maxStreams: 1 }) } });
  const gone = new AbortController();
  const { pending } = timers;
  const waiting = send('/registry/head?after=0&wait=60', { signal: gone.signal });
  gone.abort();
  await waiting;
  assert.equal(timers.pending, pending);
  const again = send('/registry/head?after=0&wait=1');
  timers.advance(1_000);
  assert.equal((await again).status, 200);
});

test('long polls count against the caps of streams', async () => {
  const { get, timers } = await openTestApp({
    deps: { limits: () => ({ maxStreamsPerAddress: 1 }) },
  });
  const first = get('/registry/head?after=0&wait=5');
  const second = await get('/registry/head?after=0&wait=5');
  assert.deepEqual([second.status, await codeOf(second)], [429, 'too_many_streams']);
  timers.advance(5_000);
  assert.equal((await first).status, 200);
});

test('a long poll is counted apart, so that its wait is no latency of the head', async () => {
  const { get, timers, metric } = await openTestApp();
  const waiting = get('/registry/head?after=0&wait=5');
  timers.advance(5_000);
  await waiting;
  await get('/registry/head');
  const seconds = (route: string) =>
    metric(`request_latency_seconds_sum{route="${route}",method="GET"}`);
  assert.equal(await seconds('/registry/head?after'), 5);
  assert.equal(await seconds('/registry/head'), 0);
});

test('a long poll before genesis answers with genesis, or says that there is none', async () => {
  const { get, timers } = await openTestApp({ registry: { isBegun: false } });
  const waiting = get('/registry/head?after=0&wait=5');
  timers.advance(5_000);
  assert.equal(await codeOf(await waiting), 'not_initialised');
});
