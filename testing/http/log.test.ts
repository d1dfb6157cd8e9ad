import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { CACHE_CONTROL } from '../../src/api/caching.ts';
import { canonicalBytes } from '../../src/core/canonical.ts';
import { nodeHash, recordHash } from '../../src/core/tlog/merkle.ts';
import { readSignedCheckpoint, signersOf } from '../../src/core/tlog/note-signatures.ts';
import { decodeBundle, decodeTile } from '../../src/core/tlog/tiles.ts';
import { parseVerifierKey } from '../../src/core/vkey.ts';
import { createNativeVerifier } from '../../src/server/native-verifier.ts';
import { codeOf, openTestApp, type TestApp, type TestAppOptions } from '../support/http-app.ts';
import { put } from '../support/registry.ts';

async function openAt(version: number, options?: TestAppOptions): Promise<TestApp> {
  const app = await openTestApp(options);
  for (let v = 1; v <= version; v++) await app.change(put(`d${v}`, {}));
  return app;
}

const full = await openAt(256);

async function bytesOf(response: Response): Promise<Uint8Array> {
  assert.equal(response.status, 200, response.url);
  return new Uint8Array(await response.arrayBuffer());
}

async function refuses(app: TestApp, path: string): Promise<void> {
  for (const response of [await app.get(path), await app.head(path)]) {
    assert.equal(response.status, 404, path);
    assert.equal(response.headers.get('cache-control'), 'no-store', path);
  }
  assert.equal(await codeOf(await app.get(path)), 'not_found', path);
}

test('the checkpoint is the published note, signed by the log key of the governance', async () => {
  const { get, governance, registry } = await openAt(2);
  const response = await get('/checkpoint');
  const note = await response.text();
  assert.equal(note, registry.checkpoint()?.note);
  assert.equal(response.headers.get('content-type'), 'text/plain; charset=utf-8');
  assert.equal(response.headers.get('etag'), registry.checkpoint()?.etag);
  assert.equal(response.headers.get('cache-control'), CACHE_CONTROL.head);
  const checkpoint = readSignedCheckpoint(note);
  const keys = governance.log_keys.map((text) => parseVerifierKey(text)).filter((k) => k != null);
  assert.deepEqual([checkpoint.origin, checkpoint.size], ['registry.example.com/test', 3]);
  assert.equal((await signersOf(checkpoint, keys, createNativeVerifier())).size, 1);
});

test('a checkpoint that the client knows is 304, a newer one is 200', async () => {
  const { get, change } = await openTestApp();
  const etag = (await get('/checkpoint')).headers.get('etag') ?? '';
  assert.equal((await get('/checkpoint', { 'if-none-match': etag })).status, 304);
  await change(put('a', {}));
  assert.equal((await get('/checkpoint', { 'if-none-match': etag })).status, 200);
});

test('without a checkpoint everything of the log is 404 and says why', async () => {
  const empty = await openTestApp({ registry: { isBegun: false } });
  const unsigned = await openTestApp({ registry: { signers: [] } });
  const paths = [
    ...['/checkpoint', '/tile/0/000.p/1', '/tile/entries/000.p/1', '/registry/0/tlog-proof'],
    ...['/registry/proof/inclusion/0', '/registry/proof/inclusion/0?size=1'],
    ...['/registry/proof/inclusion/0/1', '/registry/proof/consistency/0/1'],
  ];
  for (const [app, why] of [
    [empty, /the registry has no genesis$/],
    [unsigned, /no log key of the governance has signed one here$/],
  ] as const)
    for (const path of paths) {
      await refuses(app, path);
      assert.match((await (await app.get(path)).json()).detail, why, path);
    }
});

test('a tile holds the hashes of the leaves that the bundle of the same name holds', async () => {
  const { get } = await openAt(2);
  const tile = await get('/tile/0/000.p/3');
  const bundle = await get('/tile/entries/000.p/3');
  const leaves = decodeBundle(await bytesOf(bundle), 3);
  assert.deepEqual(decodeTile(await bytesOf(tile), 3), leaves.map(recordHash));
  for (const [version, leaf] of leaves.entries()) {
    const entry = await (await get(`/registry/${version}`)).json();
    assert.deepEqual(leaf, canonicalBytes(entry.leaf));
  }
  for (const { headers } of [tile, bundle]) {
    assert.equal(headers.get('content-type'), 'application/octet-stream');
    assert.equal(headers.get('cache-control'), CACHE_CONTROL.immutable);
    assert.equal(headers.get('access-control-allow-origin'), '*');
  }
});

test('a full tile and its bundle have 256 entries, and the level above the root over them', async () => {
  const tile = decodeTile(await bytesOf(await full.get('/tile/0/000')), 256);
  const leaves = decodeBundle(await bytesOf(await full.get('/tile/entries/000')), 256);
  assert.deepEqual(tile, leaves.map(recordHash));
  let row = [...tile];
  while (row.length > 1)
    row = row.flatMap((left, i) => (i % 2 === 0 ? [nodeHash(left, row[i + 1] ?? left)] : []));
  assert.deepEqual(decodeTile(await bytesOf(await full.get('/tile/1/000.p/1')), 1), row);
  assert.equal((await bytesOf(await full.get('/tile/0/001.p/1'))).length, 32);
});

test('what is beyond the checkpoint is 404, and is there once the log has grown', async () => {
  const app = await openAt(1);
  const paths = ['/tile/0/000.p/3', '/tile/entries/000.p/3'];
  for (const path of paths) await refuses(app, path);
  await app.change(put('a', {}));
  for (const path of paths) assert.equal((await app.get(path)).status, 200);
  // Still there for who holds an older checkpoint.
  assert.equal((await app.get('/tile/0/000.p/2')).status, 200);
  for (const path of ['/tile/0/000', '/tile/1/000.p/1', '/tile/0/001.p/1', '/tile/63/000'])
    await refuses(app, path);
});

test('a name that is not exactly the one of a tile is 404, and never a failure', async () => {
  const names = [
    ...['0/000.p/0', '0/000.p/256', '0/000.p/257', '0/000.p/01', '0/000.p/1000', '0/000.p/-1'],
    ...['0/000.p', '0/000.p/', '0/000.p/1/', '0/000.p/1.p/1', '0/000/p/1', '0/000.P/1'],
    ...['00/000.p/1', '-1/000.p/1', '+0/000.p/1', '64/000.p/1', '100/000', '1e0/000.p/1'],
    ...['x/000.p/1', 'Entries/000.p/1', 'data/000.p/1', '8/0/000', '0/0', '0/00', '0/0000'],
    ...['0/x000/000.p/1', '0/000/000', '0/x001', '0/x001/x000', '0/X001/000', '0/x1/000'],
    ...['0/999', '0/x999/x999/x999/x999/x999/999', '0/x999/x999/x999/x999/x999/x999/999'],
    ...['0/x009/x007/x199/x254/x740/992', `0/${'x000/'.repeat(5_000)}000`, `0/${'9'.repeat(400)}`],
    ...['0/%30%30%30.p/1', '0/000.p%2f1', '0/000.p%2F1', '0/x001%2f000', '0%2f000.p/1'],
    ...['%30/000.p/1', '0/000%2ep/1', '0/000.p/1%20', '0/000.p/1%00', '0//000.p/1', '0/ 000.p/1'],
    ...['0/000.p/1;a', '0/٠٠٠.p/1', '0/%2e%2e/0/000.p/1x', '../0/000.p/1', '0/..', '0/.', '0', ''],
    ...['entries', 'entries/', 'entries/000.p/0', 'entries/000.p/256', 'entries/%30%30%30.p/1'],
    ...['entries/00', 'entries/000%2ep/1', 'entries/x000/000.p/1', 'entries/0/000.p/1'],
  ];
  for (const name of names) {
    const response = await full.get(`/tile/${name}`);
    assert.equal(response.status, 404, name);
    assert.equal(await codeOf(response), 'not_found');
  }
  for (const name of ['0/%', '0/%ff', 'entries/%E0%A4'])
    assert.equal(await codeOf(await full.get(`/tile/${name}`)), 'invalid_request', name);
  assert.equal(await codeOf(await full.get('/tile/0/000?x=1')), 'invalid_request');
});

test('a path segment that a client resolves before it asks names the tile it resolves to', async () => {
  const expected = await bytesOf(await full.get('/tile/0/001.p/1'));
  for (const name of ['1/../0/001.p/1', '0/x/../001.p/1', './0/001.p/1', '0/%2e/001.p/1'])
    assert.deepEqual(await bytesOf(await full.get(`/tile/${name}`)), expected, name);
});

test('a tile is tagged by its bytes, and a known one is 304', async () => {
  for (const path of ['/tile/0/000', '/tile/entries/000']) {
    const [whole, bare] = [await full.get(path), await full.head(path)];
    const etag = whole.headers.get('etag') ?? '';
    assert.match(etag, /^"b3:[0-9a-f]{64}"$/);
    for (const name of ['etag', 'content-length', 'cache-control', 'vary', 'content-type'])
      assert.equal(bare.headers.get(name), whole.headers.get(name), name);
    const known = await full.get(path, { 'if-none-match': etag });
    assert.equal(known.status, 304);
    assert.equal(known.headers.get('cache-control'), CACHE_CONTROL.immutable);
    assert.notEqual((await full.get(`${path}.p/1`)).headers.get('etag'), etag);
  }
  const other = await openTestApp({ registry: { threshold: 3 } });
  const tagOf = async (app: TestApp) =>
    (await app.get('/tile/0/000.p/1')).headers.get('etag') ?? '';
  assert.notEqual(await tagOf(other), await tagOf(full), 'another log is another tile');
});

test('an entry bundle is compressed as the client accepts it, once for all, each coding with its tag', async () => {
  let compressed = 0;
  const base = await openAt(3);
  const gzip = (body: Uint8Array) => {
    compressed++;
    return Promise.resolve(Uint8Array.from(body.toReversed()));
  };
  const app = await openTestApp({
    registry: { store: base.store },
    deps: { compress: { br: gzip, zstd: gzip, gzip } },
  });
  const path = '/tile/entries/000.p/4';
  const plain = await app.get(path);
  const coded = await app.get(path, { 'accept-encoding': 'gzip' });
  const again = await app.get(path, { 'accept-encoding': 'gzip' });
  assert.equal(coded.headers.get('content-encoding'), 'gzip');
  assert.equal(coded.headers.get('vary'), 'Accept-Encoding');
  assert.equal(plain.headers.get('vary'), 'Accept-Encoding');
  assert.equal(plain.headers.get('content-encoding'), null);
  assert.deepEqual(await bytesOf(coded), (await bytesOf(plain)).toReversed());
  assert.deepEqual([again.status, compressed], [200, 1]);
  const [plainTag, codedTag] = [plain, coded].map(({ headers }) => headers.get('etag') ?? '');
  assert.equal(codedTag, plainTag?.replace(/"$/, '.gzip"'));
  const known = await app.get(path, {
    'accept-encoding': 'gzip, br',
    'if-none-match': codedTag ?? '',
  });
  assert.deepEqual([known.status, known.headers.get('etag')], [304, codedTag]);
  assert.equal(known.headers.get('vary'), 'Accept-Encoding');
  assert.equal(compressed, 1, 'what the client has is not compressed again');
});

test('a compressed bundle is the bundle; hashes are sent as they are', async () => {
  const headers = { 'accept-encoding': 'gzip' };
  const coded = await bytesOf(await full.get('/tile/entries/000', headers));
  const plain = await bytesOf(await full.get('/tile/entries/000'));
  assert.deepEqual(new Uint8Array(gunzipSync(coded)), plain);
  assert.ok(coded.length < plain.length / 2, `${coded.length} of ${plain.length}`);
  const tile = await full.get('/tile/0/000', headers);
  assert.equal(tile.headers.get('content-encoding'), null);
  assert.equal(tile.headers.get('vary'), null);
});
