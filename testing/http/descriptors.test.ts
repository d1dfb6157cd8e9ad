import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CACHE_CONTROL } from '../../src/api/caching.ts';
import { canonicalBytes, parseCanonical } from '../../src/core/canonical.ts';
import { descriptorPath } from '../../src/core/descriptor.ts';
import { formatHash, hashOf, parseHash } from '../../src/core/hash.ts';
import {
  decodeSetProof,
  readSetProof,
  type SetProofVerdict,
  verifyBranch,
} from '../../src/core/set-proof.ts';
import { createMemoryStore } from '../../src/store/memory.ts';
import { codeOf, openTestApp } from '../support/http-app.ts';
import { lying } from '../support/lying-store.ts';
import { put, remove } from '../support/registry.ts';

interface Body {
  readonly descriptor: unknown;
  readonly proof: unknown;
  readonly set_root: string;
  readonly set_version: number | null;
  readonly value_hash: string | null;
}

function verdictOf(id: string, { proof, set_root }: Body): SetProofVerdict {
  const branch = decodeSetProof(readSetProof(parseCanonical(canonicalBytes(proof))));
  const place = { root: parseHash(set_root), path: descriptorPath({ kind: 'service', id }) };
  return verifyBranch(place, branch);
}

test('a descriptor comes with the version that put it, and no proof unless asked', async () => {
  const { get, change } = await openTestApp();
  await change(put('a', { v: 1 }));
  await change(put('b', {}));
  const body: Body = await (await get('/registry/2/descriptors/service/a')).json();
  assert.deepEqual(body.descriptor, { id: 'a', kind: 'service', spec: { v: 1 } });
  assert.equal(body.value_hash, hashOf(canonicalBytes(body.descriptor)));
  assert.deepEqual([body.set_version, body.proof], [1, null]);
});

test('a proof of presence leads to the set root of the version', async () => {
  const { get, change, registry } = await openTestApp();
  await change(put('a', { v: 1 }), put('b', {}), put('c', {}));
  const body: Body = await (await get('/registry/head/descriptors/service/a?proof=1')).json();
  const verdict = verdictOf('a', body);
  assert.ok(verdict.state === 'present');
  assert.equal(formatHash(verdict.valueHash), body.value_hash);
  assert.equal(body.set_root, registry.head()?.object.set_root);
});

test('absence is 404 without a proof and a proven answer with one', async () => {
  const { get, change } = await openTestApp();
  await change(put('a', {}));
  const response = await get('/registry/1/descriptors/service/b');
  assert.deepEqual([response.status, await codeOf(response)], [404, 'not_found']);
  const body: Body = await (await get('/registry/1/descriptors/service/b?proof=1')).json();
  assert.deepEqual([body.descriptor, body.set_version, body.value_hash], [null, null, null]);
  assert.equal(verdictOf('b', body).state, 'absent');
});

test('the same descriptor with and without a proof has two tags', async () => {
  const { get, change } = await openTestApp();
  await change(put('a', {}));
  const path = '/registry/1/descriptors/service/a';
  const [bare, proven] = [await get(path), await get(`${path}?proof=1`)];
  assert.notEqual(bare.headers.get('etag'), proven.headers.get('etag'));
  assert.equal((await get(`${path}?proof=0`)).headers.get('etag'), bare.headers.get('etag'));
});

test('an id may hold slashes, as they are or escaped, and is decoded once', async () => {
  const { get, change } = await openTestApp();
  const id = '@scope/name@1.0.0+build';
  await change(put(id, {}), put('~a:b', {}));
  const read = async (escaped: string) =>
    (await get(`/registry/head/descriptors/service/${escaped}`)).status;
  assert.equal(await read(id), 200);
  assert.equal(await read(encodeURIComponent(id)), 200);
  assert.equal(await read('%7Ea%3Ab'), 200);
  assert.equal(await read(encodeURIComponent(encodeURIComponent(id))), 400);
});

test('a bad kind, id or escape is 400 by name', async () => {
  const { get } = await openTestApp();
  const cases = [
    ['Service/a', /a kind/],
    ['service/a%20b', /an id/],
    ['service/a//b', /an id/],
    ['service/a%2F%2Fb', /an id/],
    ['service/a%2F..', /an id/],
    [`service/${'a'.repeat(257)}`, /an id/],
    ['service/a%00', /an id/],
    ['service/%C3%A9', /an id/],
    ['a%2Fb/c', /a kind/],
    ['service/%FF', /percent-encoded/],
    ['service/%', /percent-encoded/],
    ['service/%E0%A4%A', /percent-encoded/],
  ] as const;
  for (const [path, message] of cases)
    for (const prefix of ['/registry/0/descriptors', '/registry/history']) {
      const response = await get(`${prefix}/${path}`);
      assert.equal(response.status, 400, path);
      assert.match((await response.json()).detail, message, path);
    }
});

test('a history has every value, newest first, with the versions between which it was current', async () => {
  const { get, change } = await openTestApp();
  await change(put('a', { v: 1 }));
  await change(put('a', { v: 2 }, { v: 1 }));
  await change(remove('a', { v: 2 }));
  await change(put('a', { v: 3 }));
  const response = await get('/registry/history/service/a');
  const { items, kind, id } = await response.json();
  assert.deepEqual([kind, id], ['service', 'a']);
  assert.deepEqual(
    items.map((i: { set_version: number; end_version: number | null; descriptor: Body }) => [
      i.set_version,
      i.end_version,
      Reflect.get(i.descriptor, 'spec'),
    ]),
    [
      [4, null, { v: 3 }],
      [2, 3, { v: 2 }],
      [1, 2, { v: 1 }],
    ],
  );
  assert.equal(response.headers.get('cache-control'), CACHE_CONTROL.head);
  const limited = await (await get('/registry/history/service/a?limit=1')).json();
  assert.equal(limited.items.length, 1);
  assert.deepEqual((await (await get('/registry/history/service/zz')).json()).items, []);
});

test('a history goes on below the last value of a page, and ends with an empty one', async () => {
  const { get, change } = await openTestApp();
  for (let v = 1; v <= 5; v++) await change(put('a', { v }, v > 1 ? { v: v - 1 } : undefined));
  const pageOf = async (search: string): Promise<number[]> => {
    const { items } = await (await get(`/registry/history/service/a?limit=2${search}`)).json();
    return items.map((item: { set_version: number }) => item.set_version);
  };
  assert.deepEqual(await pageOf(''), [5, 4]);
  assert.deepEqual(await pageOf('&before=4'), [3, 2]);
  assert.deepEqual(await pageOf('&before=2'), [1]);
  assert.deepEqual(await pageOf('&before=1'), []);
  assert.equal((await get('/registry/history/service/a?before=-1')).status, 400);
});

test('who has a history is told so before any of it is read', async () => {
  const store = createMemoryStore();
  let reads = 0;
  const counted = lying(store, {
    history: (query) => {
      reads++;
      return store.history(query);
    },
  });
  const { get, change } = await openTestApp({ registry: { store: counted } });
  await change(put('a', {}));
  const etag = (await get('/registry/history/service/a')).headers.get('etag') ?? '';
  const known = await get('/registry/history/service/a', { 'if-none-match': etag });
  assert.deepEqual([known.status, reads], [304, 1]);
});

test('a history changes its tag with the head', async () => {
  const { get, change } = await openTestApp();
  const etag = (await get('/registry/history/service/a')).headers.get('etag') ?? '';
  const again = () => get('/registry/history/service/a', { 'if-none-match': etag });
  assert.equal((await again()).status, 304);
  await change(put('a', {}));
  assert.equal((await again()).status, 200);
});

test('the entry whose set root a descriptor is held against is read once, also where a checkpoint is tied to it', async () => {
  const read: number[] = [];
  const memory = createMemoryStore();
  const store = lying(memory, {
    entry: (version) => {
      read.push(version);
      return memory.entry(version);
    },
  });
  const { get, change } = await openTestApp({ registry: { store } });
  await change(put('a', {}));
  read.length = 0;
  const answer = await get('/registry/head/descriptors/service/a?proof=1');
  assert.ok('inclusion_proof' in (await answer.json()));
  assert.deepEqual(read, [1]);
});
