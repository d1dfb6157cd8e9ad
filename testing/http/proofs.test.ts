import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CACHE_CONTROL } from '../../src/api/caching.ts';
import { decodeBase64 } from '../../src/core/bytes.ts';
import { canonicalBytes, parseCanonical } from '../../src/core/canonical.ts';
import { descriptorPath } from '../../src/core/descriptor.ts';
import { parseHash } from '../../src/core/hash.ts';
import { decodeLeaf } from '../../src/core/leaf.ts';
import { decodeSetProof, readSetProof, verifyBranch } from '../../src/core/set-proof.ts';
import { parseCheckpoint } from '../../src/core/tlog/checkpoint.ts';
import { isConsistent, isIncluded, recordHash } from '../../src/core/tlog/merkle.ts';
import { parseNote } from '../../src/core/tlog/note.ts';
import { parseProofFile } from '../../src/core/tlog/proof-file.ts';
import type { PublishedCheckpoint, Registry } from '../../src/registry/registry.ts';
import { codeOf, openTestApp, type TestApp } from '../support/http-app.ts';
import { put } from '../support/registry.ts';

interface Grown extends TestApp {
  /** The root of the tree of each size, from 1 on at its own index. */
  readonly roots: readonly Uint8Array[];
}

/** A log of `size` leaves, and every checkpoint it had. */
async function openGrown(size: number): Promise<Grown> {
  const app = await openTestApp();
  const roots = [new Uint8Array(), rootOf(app.registry)];
  while (roots.length <= size) {
    await app.change(put(`d${roots.length - 1}`, {}));
    roots.push(rootOf(app.registry));
  }
  return { ...app, roots };
}

function rootOf(registry: Registry): Uint8Array {
  return registry.checkpoint()?.root ?? assert.fail('expected a checkpoint, got none');
}

function hashesOf(texts: readonly string[]): readonly Uint8Array[] {
  return texts.map((text) => decodeBase64(text) ?? assert.fail(text));
}

async function leafOf({ get }: TestApp, version: number): Promise<Uint8Array> {
  return canonicalBytes((await (await get(`/registry/${version}`)).json()).leaf);
}

async function refuses(app: TestApp, path: string): Promise<void> {
  const response = await app.get(path);
  assert.deepEqual([response.status, await codeOf(response)], [404, 'not_found'], path);
  assert.equal(response.headers.get('cache-control'), 'no-store', path);
}

const SIZE = 6;
const log = await openGrown(SIZE);

test('an inclusion proof leads from the leaf of each version to the root of each size', async () => {
  for (let size = 1; size <= SIZE; size++)
    for (let version = 0; version < size; version++) {
      const response = await log.get(`/registry/proof/inclusion/${version}/${size}`);
      const { leaf_index: index, proof, ...rest } = await response.json();
      assert.deepEqual([index, rest], [version, { size }]);
      const claim = {
        record: recordHash(await leafOf(log, version)),
        index,
        size,
        proof: hashesOf(proof),
        root: log.roots[size] ?? assert.fail(),
      };
      assert.ok(isIncluded(claim), `${version} in ${size}`);
      assert.equal(response.headers.get('cache-control'), CACHE_CONTROL.immutable);
    }
});

test('a consistency proof leads from the root of each size to that of each later one', async () => {
  for (let size = 0; size <= SIZE; size++)
    for (let from = 0; from <= size; from++) {
      const response = await log.get(`/registry/proof/consistency/${from}/${size}`);
      const { proof, ...rest } = await response.json();
      assert.deepEqual(rest, { from, size });
      assert.equal(response.headers.get('cache-control'), CACHE_CONTROL.immutable);
      const [fromRoot, root] = [log.roots[from], log.roots[size]];
      assert.ok(fromRoot && root);
      const isProven = isConsistent({ from, size, proof: hashesOf(proof), fromRoot, root });
      // The empty tree has no checkpoint to compare with.
      assert.ok(from === 0 ? proof.length === 0 : isProven, `${from} in ${size}`);
    }
});

test('a proof that the client knows is 304', async () => {
  for (const path of ['/registry/proof/inclusion/1/5', '/registry/proof/consistency/2/5']) {
    const etag = (await log.get(path)).headers.get('etag') ?? '';
    assert.equal((await log.get(path, { 'if-none-match': etag })).status, 304);
    assert.equal((await log.head(path)).headers.get('etag'), etag);
  }
});

test('a proof beyond the checkpoint is 404, and is there once the log has grown', async () => {
  const app = await openGrown(2);
  const paths = ['/registry/proof/inclusion/2/3', '/registry/proof/consistency/1/3'];
  for (const path of paths) await refuses(app, path);
  await refuses(app, '/registry/proof/inclusion/2');
  await refuses(app, '/registry/proof/inclusion/0?size=3');
  await refuses(app, '/registry/2/tlog-proof');
  await app.change(put('a', {}));
  for (const path of paths) assert.equal((await app.get(path)).status, 200);
});

test('a proof of what cannot be is 404: a version not in its size, a size that shrinks', async () => {
  for (const path of [
    ...['inclusion/0/0', 'inclusion/3/3', 'inclusion/5/2', 'inclusion/9999999999999999/1'],
    ...['inclusion/0/9999999999999999', 'inclusion/3?size=3', 'inclusion/9999999999999999'],
    ...['consistency/3/2', 'consistency/0/9007199254740993', 'consistency/9999999999999999/1'],
  ])
    await refuses(log, `/registry/proof/${path}`);
  await refuses(log, '/registry/9999999999999999/tlog-proof');
});

test('what is no number is 400 or 404 in every place of every proof, never 500', async () => {
  const spellings = [
    ...['01', '00', '-1', '+1', '1.0', '1e3', '0x1', 'head', 'latest', '%20', '%00', '٣', '1%2f1'],
    ...['12345678901234567', '1'.repeat(400), '..', '%2e%2e', '1;1', '', '%31%'],
  ];
  for (const text of spellings)
    for (const path of [
      ...[`inclusion/${text}`, `inclusion/${text}/1`, `inclusion/0/${text}`],
      ...[`consistency/${text}/1`, `consistency/1/${text}`],
    ]) {
      const response = await log.get(`/registry/proof/${path}`);
      assert.ok([400, 404].includes(response.status), `${path}: ${response.status}`);
      await codeOf(response);
    }
  for (const size of ['', '01', '-1', '9007199254740992', 'x'])
    assert.equal(
      await codeOf(await log.get(`/registry/proof/inclusion/0?size=${size}`)),
      'invalid_request',
    );
});

test('asked by query a proof is not stored, and names where it may be', async () => {
  for (const [query, size] of [
    ['?size=4', 4],
    ['', SIZE],
  ] as const) {
    const found = await log.get(`/registry/proof/inclusion/1${query}`);
    const location = found.headers.get('content-location');
    assert.equal(location, `/registry/proof/inclusion/1/${size}`);
    assert.equal(found.headers.get('cache-control'), 'no-store');
    const named = await log.get(location);
    assert.equal(named.headers.get('content-location'), null);
    assert.equal(await found.text(), await named.text());
  }
});

test('a proof file holds the place of one version and the checkpoint, whole', async () => {
  const response = await log.get('/registry/3/tlog-proof');
  assert.equal(response.headers.get('content-type'), 'text/plain; charset=utf-8');
  assert.equal(response.headers.get('cache-control'), CACHE_CONTROL.head);
  const { index, proof, note } = parseProofFile(await response.text());
  assert.equal(note, log.registry.checkpoint()?.note);
  const { size, root } = parseCheckpoint(parseNote(note).text);
  assert.deepEqual([index, size], [3, SIZE]);
  assert.ok(isIncluded({ record: recordHash(await leafOf(log, 3)), index, size, proof, root }));
});

test('a proof file changes its tag with the checkpoint and with the version', async () => {
  const app = await openGrown(2);
  const tagOf = async (version: string) =>
    (await app.get(`/registry/${version}/tlog-proof`)).headers.get('etag') ?? '';
  const etag = await tagOf('0');
  assert.notEqual(await tagOf('1'), etag);
  const again = () => app.get('/registry/0/tlog-proof', { 'if-none-match': etag });
  assert.equal((await again()).status, 304);
  await app.change(put('a', {}));
  assert.equal((await again()).status, 200);
});

test('a proof file under head is that of its version, which it names', async () => {
  const response = await log.get('/registry/head/tlog-proof');
  const location = response.headers.get('content-location') ?? '';
  assert.equal(location, `/registry/${SIZE - 1}/tlog-proof`);
  assert.equal(await response.text(), await (await log.get(location)).text());
});

test('a proven descriptor under head is led on from the set root to the checkpoint', async () => {
  const app = await openGrown(3);
  for (const id of ['d1', 'absent']) {
    const response = await app.get(`/registry/head/descriptors/service/${id}?proof=1`);
    assert.equal(response.headers.get('content-location'), null);
    assert.equal(response.headers.get('cache-control'), CACHE_CONTROL.head);
    const body = await response.json();
    const { size, root } = parseCheckpoint(parseNote(body.checkpoint).text);
    const record = canonicalBytes(body.leaf);
    const { version: index, set_root: setRoot } = decodeLeaf(record);
    assert.deepEqual([index, setRoot], [body.version, body.set_root]);
    const proof = hashesOf(body.inclusion_proof);
    assert.ok(isIncluded({ record: recordHash(record), index, size, proof, root }));
    const branch = decodeSetProof(readSetProof(parseCanonical(canonicalBytes(body.proof))));
    const place = { root: parseHash(setRoot), path: descriptorPath({ kind: 'service', id }) };
    assert.equal(verifyBranch(place, branch).state, id === 'd1' ? 'present' : 'absent');
  }
});

test('only a proof under head is tied to the checkpoint: a number never changes', async () => {
  const app = await openGrown(2);
  for (const path of ['head/descriptors/service/d1', '1/descriptors/service/d1?proof=1']) {
    const body = await (await app.get(`/registry/${path}`)).json();
    for (const name of ['leaf', 'inclusion_proof', 'checkpoint']) assert.ok(!(name in body), path);
  }
});

test('a tied proof changes its tag with the checkpoint, though the head is the same', async () => {
  const app = await openGrown(2);
  const path = '/registry/head/descriptors/service/d1?proof=1';
  const etag = (await app.get(path)).headers.get('etag') ?? '';
  assert.equal((await app.get(path, { 'if-none-match': etag })).status, 304);
  const published = app.registry.checkpoint() ?? assert.fail();
  const cosigned = { ...published, note: `${published.note}more\n`, etag: '"cosigned"' };
  app.registry.checkpoint = () => cosigned;
  const renewed = await app.get(path, { 'if-none-match': etag });
  assert.equal(renewed.status, 200);
  assert.equal((await renewed.json()).checkpoint, cosigned.note);
});

test('while no checkpoint covers the head, its proof is that of the number', async () => {
  const app = await openTestApp();
  const old = app.registry.checkpoint();
  await app.change(put('a', {}));
  for (const checkpoint of [old, undefined]) {
    app.registry.checkpoint = () => checkpoint;
    const underHead = await app.get('/registry/head/descriptors/service/a?proof=1');
    const location = underHead.headers.get('content-location') ?? '';
    assert.equal(location, '/registry/1/descriptors/service/a?proof=1');
    const named = await app.get(location);
    assert.equal(await underHead.text(), await named.text());
    assert.equal(underHead.headers.get('etag'), named.headers.get('etag'));
  }
});

/** The checkpoint is of 3 leaves when it is read first, and of 4 for whoever reads it again. */
async function openRacing(): Promise<Grown & { reads: () => number; first: PublishedCheckpoint }> {
  const [older, app] = [await openGrown(3), await openGrown(4)];
  const first = older.registry.checkpoint() ?? assert.fail();
  const newest = app.registry.checkpoint();
  assert.deepEqual(first.root, app.roots[3], 'both logs are one');
  let reads = 0;
  app.registry.checkpoint = () => (reads++ === 0 ? first : newest);
  return { ...app, reads: () => reads, first };
}

test('an answer is about one checkpoint, also when another is published meanwhile', async () => {
  const note = await openRacing();
  assert.equal(await (await note.get('/checkpoint')).text(), note.first.note);
  const found = await openRacing();
  const { size, proof } = await (await found.get('/registry/proof/inclusion/0')).json();
  const { root } = found.first;
  const record = recordHash(await leafOf(found, 0));
  assert.ok(isIncluded({ record, index: 0, size, proof: hashesOf(proof), root }));
  const kept = await openRacing();
  const file = parseProofFile(await (await kept.get('/registry/0/tlog-proof')).text());
  assert.equal(file.note, kept.first.note);
  assert.ok(isIncluded({ ...file, record, size: 3, root }));
  for (const { reads } of [note, found, kept]) assert.equal(reads(), 1);
});

test('a tied proof is about one checkpoint, and its tag is too', async () => {
  const app = await openGrown(2);
  const path = '/registry/head/descriptors/service/d1?proof=1';
  const expected = await app.get(path);
  const [first, text] = [app.registry.checkpoint(), await expected.text()];
  let reads = 0;
  app.registry.checkpoint = () =>
    reads++ === 0 || first === undefined ? first : { ...first, note: 'other\n', etag: '"other"' };
  const racing = await app.get(path);
  assert.equal(await racing.text(), text);
  assert.equal(racing.headers.get('etag'), expected.headers.get('etag'));
  assert.equal(reads, 1);
});
