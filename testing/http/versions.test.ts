import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CACHE_CONTROL } from '../../src/api/caching.ts';
import { decodeUtf8 } from '../../src/core/bytes.ts';
import { canonicalBytes, parseCanonical } from '../../src/core/canonical.ts';
import { codeOf, openTestApp } from '../support/http-app.ts';
import { put, remove } from '../support/registry.ts';

test('an entry is the stored bytes of its three parts, and canonical as a whole', async () => {
  const { get, change, store } = await openTestApp();
  const head = await change(put('a', { text: 'é ', deep: [1.5, null] }));
  const stored = await store.entry(1);
  const response = await get('/registry/1');
  const body = await response.text();
  assert.ok(stored);
  const [approvals, leaf, payload] = [stored.approvals, stored.leaf, stored.payload].map(
    decodeUtf8,
  );
  assert.equal(body, `{"approvals":${approvals},"leaf":${leaf},"payload":${payload}}`);
  assert.equal(decodeUtf8(canonicalBytes(JSON.parse(body))), body);
  assert.equal(response.headers.get('etag'), `"${head.object.entry_hash}"`);
  assert.equal(response.headers.get('cache-control'), CACHE_CONTROL.immutable);
});

test('a version that is not there yet is 404 and must not be cached', async () => {
  const { get } = await openTestApp();
  const paths = [
    '',
    '/set',
    '/governance',
    '/descriptors/service/a',
    '/descriptors/service/a?proof=1',
  ];
  for (const version of ['1', '9007199254740991', '9007199254740993', '9999999999999999'])
    for (const path of paths) {
      const response = await get(`/registry/${version}${path}`);
      assert.deepEqual([response.status, await codeOf(response)], [404, 'not_found']);
      assert.equal(response.headers.get('cache-control'), 'no-store');
    }
});

test('what is no version is 400 or 404, never 500', async () => {
  const { get } = await openTestApp();
  const spellings = [
    ...['01', '00', '12345678901234567', '1'.repeat(400)],
    ...['-1', '+1', '1.0', '1e3', '0x1', ' 1', 'HEAD', 'latest', 'NaN', '%31%', '%00', '٣', '1;1'],
  ];
  for (const spelling of spellings)
    for (const path of ['', '/set', '/governance', '/descriptors/service/a']) {
      const response = await get(`/registry/${spelling}${path}`);
      assert.ok([400, 404].includes(response.status), `${spelling}${path}: ${response.status}`);
      await codeOf(response);
    }
});

test('an escaped digit is the digit', async () => {
  const { get } = await openTestApp();
  assert.equal((await get('/registry/%30')).status, 200);
  assert.equal((await get('/registry/h%65ad')).status, 200);
});

test('an answer under head names its version, and is cached like the head', async () => {
  const { get, change } = await openTestApp();
  await change(put('a', {}));
  for (const path of ['/set', '/governance', '/descriptors/service/a']) {
    const underHead = await get(`/registry/head${path}`);
    const location = underHead.headers.get('content-location');
    assert.equal(location, `/registry/1${path}`);
    assert.equal(underHead.headers.get('cache-control'), CACHE_CONTROL.head);
    const named = await get(location);
    assert.equal(named.headers.get('cache-control'), CACHE_CONTROL.immutable);
    assert.equal(named.headers.get('content-location'), null);
    assert.equal(named.headers.get('etag'), underHead.headers.get('etag'));
    assert.equal(await named.text(), await underHead.text());
  }
});

test('the entry at the head names its version', async () => {
  const { get, change } = await openTestApp();
  await change(put('a', {}));
  const response = await get('/registry/head/entry');
  assert.equal(response.headers.get('content-location'), '/registry/1');
  assert.equal(await response.text(), await (await get('/registry/1')).text());
});

test('a 304 keeps what a cache needs: ETag, Cache-Control, Vary, Content-Location', async () => {
  const { get } = await openTestApp();
  const full = await get('/registry/head/set');
  const etag = full.headers.get('etag') ?? '';
  const { status, headers } = await get('/registry/head/set', { 'if-none-match': etag });
  assert.equal(status, 304);
  for (const name of ['etag', 'cache-control', 'vary', 'content-location'])
    assert.equal(headers.get(name), full.headers.get(name), name);
});

test('If-None-Match: * matches what is there, and nothing that is not', async () => {
  const { get } = await openTestApp();
  assert.equal((await get('/registry/0', { 'if-none-match': '*' })).status, 304);
  assert.equal((await get('/registry/1', { 'if-none-match': '*' })).status, 404);
});

test('the governance is that after the version, with the origin', async () => {
  const { get, governance, registry } = await openTestApp();
  const body = await (await get('/registry/0/governance')).json();
  assert.deepEqual(body, { governance, origin: registry.head()?.object.origin, version: 0 });
});

test('a difference has both sides and null for what is absent', async () => {
  const { get, change } = await openTestApp();
  await change(put('a', { v: 1 }), put('b', { v: 1 }));
  await change(put('a', { v: 2 }, { v: 1 }), remove('b', { v: 1 }), put('c', {}));
  const { changes, from, to } = await (await get('/registry/diff?from=1&to=2')).json();
  assert.deepEqual([from, to], [1, 2]);
  const item = (id: string, spec: object) => ({ id, kind: 'service', spec });
  assert.deepEqual(changes, [
    { id: 'a', kind: 'service', before: item('a', { v: 1 }), after: item('a', { v: 2 }) },
    { id: 'b', kind: 'service', before: item('b', { v: 1 }), after: null },
    { id: 'c', kind: 'service', before: null, after: item('c', {}) },
  ]);
  const back = await (await get('/registry/diff?from=2&to=1')).json();
  assert.deepEqual(back.changes[1], { ...changes[1], before: null, after: item('b', { v: 1 }) });
  assert.deepEqual((await (await get('/registry/diff?from=2&to=2')).json()).changes, []);
});

test('a difference is immutable between two versions, and like the head without the second', async () => {
  const { get, change } = await openTestApp();
  await change(put('a', {}));
  const both = await get('/registry/diff?from=0&to=1');
  const open = await get('/registry/diff?from=0');
  assert.equal(both.headers.get('cache-control'), CACHE_CONTROL.immutable);
  assert.equal(open.headers.get('cache-control'), CACHE_CONTROL.head);
  assert.equal(open.headers.get('content-location'), '/registry/diff?from=0&to=1');
  assert.equal(await open.text(), await both.text());
  for (const search of ['from=0&to=2', 'from=2&to=0', 'from=9'])
    assert.equal(await codeOf(await get(`/registry/diff?${search}`)), 'not_found');
});

test('a difference that the client knows is 304, and is not computed', async () => {
  const { get, change, registry } = await openTestApp();
  await change(put('a', {}));
  const etag = (await get('/registry/diff?from=0')).headers.get('etag') ?? '';
  registry.reader.diff = () => assert.fail('the difference was computed');
  const known = await get('/registry/diff?from=0', { 'if-none-match': etag });
  assert.equal(known.status, 304);
  assert.equal(known.headers.get('content-location'), '/registry/diff?from=0&to=1');
});

test('entries come one a line, from a version on, and none past the head', async () => {
  const { get, change } = await openTestApp();
  for (let v = 1; v <= 3; v++) await change(put(`d${v}`, {}));
  const lines = (text: string) => text.split('\n').slice(0, -1);
  const page = lines(await (await get('/registry/entries?from=1&limit=2')).text());
  assert.deepEqual(page, [
    await (await get('/registry/1')).text(),
    await (await get('/registry/2')).text(),
  ]);
  for (const line of page) parseCanonical(new TextEncoder().encode(line));
  assert.equal(await (await get('/registry/entries?from=4')).text(), '');
  assert.equal(lines(await (await get('/registry/entries?from=0')).text()).length, 4);
});

test('a page of entries is immutable when the limit was given and reached, else not stored', async () => {
  const { get, change } = await openTestApp();
  await change(put('a', {}));
  const caching = async (search: string) =>
    (await get(`/registry/entries?${search}`)).headers.get('cache-control');
  assert.equal(await caching('from=0&limit=2'), CACHE_CONTROL.immutable);
  assert.equal(await caching('from=0&limit=3'), 'no-store');
  assert.equal(await caching('from=0'), 'no-store');
  assert.equal(await caching('from=2&limit=1'), 'no-store');
});
