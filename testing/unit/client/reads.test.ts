import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryTrust } from '../../../src/client/memory-trust.ts';
import { RegistryError } from '../../../src/core/error.ts';
import { createPortableVerifier } from '../../../src/core/verifier.ts';
import { editLeaf, plain, readLog, serve } from '../../support/client-lies.ts';
import { errorOf, openClient, openStage } from '../../support/client-server.ts';
import { put, remove } from '../../support/registry.ts';
import {
  governancePayload,
  makeGovernance,
  makeSigner,
  makeSigners,
} from '../../support/signers.ts';

test('head verifies every entry from genesis and is the head of the server', async () => {
  const stage = await openStage();
  await stage.grow(3);
  const { client, saved } = openClient(stage);
  assert.equal(client.trusted(), undefined);
  const head = await client.head();
  const published = stage.registry.head()?.object;
  assert.equal(head.version, 3);
  assert.equal(head.entryHash, published?.entry_hash);
  assert.equal(head.setRoot, published?.set_root);
  assert.equal(head.setSize, 3);
  assert.deepEqual(head.governance, stage.governance);
  assert.equal(client.trusted()?.entryHash, head.entryHash);
  assert.ok((await saved())?.includes(stage.registryHash));
});

test('the portable verifier comes to the same head', async () => {
  const stage = await openStage();
  await stage.grow(1);
  const { client } = openClient(stage, { verifier: createPortableVerifier() });
  assert.equal((await client.head()).entryHash, stage.registry.head()?.object.entry_hash);
});

test('a head that did not move costs one request and no write', async () => {
  const stage = await openStage();
  const { client, saves } = openClient(stage);
  await client.head();
  stage.requests.length = 0;
  await client.head();
  assert.deepEqual(stage.requests, ['GET /checkpoint']);
  assert.equal(saves(), 1);
});

test('catching up goes page by page, reports progress, and saves once for each page', async () => {
  const stage = await openStage();
  await stage.grow(300);
  const progress: unknown[] = [];
  const { client, saves } = openClient(stage, { onProgress: (step) => progress.push(step) });
  assert.equal((await client.head()).version, 300);
  assert.deepEqual(progress, [
    { version: 255, head: 300 },
    { version: 300, head: 300 },
  ]);
  assert.equal(saves(), 2);
});

/** A set beside which a page is small: a save writes all of it. */
async function openLargeStage() {
  const stage = await openStage();
  await stage.change(...Array.from({ length: 3_000 }, (_, i) => put(`large-${i}`, { i })));
  await stage.grow(600);
  return stage;
}

test('pages that are small beside the set are saved together, and believed when they are', async () => {
  const stage = await openLargeStage();
  const trusted: unknown[] = [];
  const { client, saves } = openClient(stage, {
    onProgress: () => trusted.push(client.trusted()?.version),
  });
  assert.equal((await client.head()).version, 601);
  assert.deepEqual(trusted, [undefined, undefined, 601]);
  assert.equal(saves(), 1);
});

test('of pages that are saved together what was verified before an error is kept', async () => {
  const stage = await openLargeStage();
  stage.lie((path, honest) => (path.includes('from=512') ? Response.error() : honest()));
  const { client, saves, saved } = openClient(stage);
  await assert.rejects(client.head());
  assert.deepEqual([client.trusted()?.version, saves()], [511, 1]);
  stage.lie(undefined);
  const again = openClient(stage, { trust: memoryTrust(await saved()) });
  stage.requests.length = 0;
  assert.equal((await again.client.head()).version, 601);
  assert.ok(!stage.requests.some((request) => request.includes('from=0')));
});

test('of pages that are saved together none is believed that cannot be saved', async () => {
  const stage = await openLargeStage();
  let isFull = true;
  const kept = memoryTrust();
  const trust = {
    load: kept.load,
    save: (text: string) => (isFull ? Promise.reject(new Error('no space')) : kept.save(text)),
  };
  const { client } = openClient(stage, { trust });
  await assert.rejects(client.head(), /no space/);
  assert.equal(client.trusted(), undefined);
  isFull = false;
  assert.equal((await client.head()).version, 601);
});

test('what was found keeps its code when what came before it cannot be saved', async () => {
  const stage = await openLargeStage();
  const trust = {
    load: async () => undefined,
    save: () => Promise.reject(new Error('no space\u001b')),
  };
  const log = await readLog(stage);
  stage.lie(
    serve(editLeaf(log, 520, { prev_hash: log[0]!.leaf.payload_b3 }), { isHeadHonest: true }),
  );
  const { client } = openClient(stage, { trust });
  const error = await errorOf(client.head());
  assert.ok(error instanceof RegistryError, String(error));
  assert.equal(error.code, 'fork');
  assert.match(error.message, /could not be saved: "no space\\u001b"$/);
  assert.deepEqual([error.details.version, error.details.unsaved], [520, '"no space\\u001b"']);
  assert.equal(client.trusted(), undefined);
});

test('an entry past the head that was claimed waits for a head that claims it', async () => {
  const stage = await openStage();
  await stage.grow(1);
  const { client } = openClient(stage);
  stage.lie(async (path, honest) => {
    if (path.startsWith('/registry/entries')) await stage.grow(1);
    return honest();
  });
  assert.equal((await client.head()).version, 1);
  assert.equal(client.trusted()?.version, 1);
  stage.lie(undefined);
  assert.equal((await client.head()).version, 2);
});

test('calls at the same time share one state and each entry is verified once', async () => {
  const stage = await openStage();
  await stage.grow(2);
  const { client, saves } = openClient(stage);
  const heads = await Promise.all([
    client.head(),
    client.head(),
    client.descriptor({ kind: 'service', id: 'grown-1' }),
  ]);
  assert.deepEqual([heads[0].version, heads[1].version, heads[2].head.version], [2, 2, 2]);
  assert.equal(stage.requests.filter((request) => request.includes('/entries')).length, 1);
  assert.equal(saves(), 1);
});

test('an unpinned client reports the registry it meets first, once, and pins it', async () => {
  const stage = await openStage();
  const found: unknown[] = [];
  const trust = memoryTrust();
  const options = { trust, onFirstUse: (met: unknown) => found.push(met) };
  await openClient({ fetch: stage.fetch }, options).client.head();
  await openClient({ fetch: stage.fetch }, options).client.head();
  assert.deepEqual(found, [{ origin: 'registry.example.com/test', registry: stage.registryHash }]);
});

test('an application can refuse the first registry it meets', async () => {
  const stage = await openStage();
  const { client, saved } = openClient(
    { fetch: stage.fetch },
    {
      onFirstUse: () => {
        throw new Error('not this one');
      },
    },
  );
  await assert.rejects(client.head(), /not this one/);
  assert.equal(client.trusted(), undefined);
  assert.equal(await saved(), undefined);
});

test('a descriptor is proven by one request, without its set', async () => {
  const stage = await openStage();
  await stage.grow(20);
  const { client } = openClient(stage);
  await client.head();
  stage.requests.length = 0;
  const { head, descriptor } = await client.descriptor({ kind: 'service', id: 'grown-7' });
  assert.deepEqual(descriptor, { kind: 'service', id: 'grown-7', spec: { n: 7 } });
  assert.equal(head.version, 20);
  assert.deepEqual(stage.requests, [
    'GET /checkpoint',
    'GET /registry/20/descriptors/service/grown-7?proof=1',
  ]);
});

test('an absent descriptor is proven absent', async () => {
  const stage = await openStage();
  await stage.grow(5);
  const { client } = openClient(stage);
  assert.equal((await client.descriptor({ kind: 'service', id: 'never/was' })).descriptor, null);
  const empty = await openStage();
  assert.equal(
    (await openClient(empty).client.descriptor({ kind: 'service', id: 'x' })).descriptor,
    null,
  );
});

test('a key that no descriptor can have is refused before anything is asked for it', async () => {
  const stage = await openStage();
  const { client } = openClient(stage);
  await assert.rejects(client.descriptor({ kind: 'service', id: '../head' }), {
    code: 'invalid_request',
  });
  await assert.rejects(client.descriptor({ kind: 'Service', id: 'x' }), {
    code: 'invalid_request',
  });
  assert.ok(!stage.requests.some((request) => request.includes('descriptors')));
});

test('when the head moves and the old one is not served, the question is asked once more', async () => {
  const stage = await openStage();
  await stage.grow(1);
  const { client } = openClient(stage);
  await client.head();
  let refused = 0;
  stage.lie(async (path, honest) => {
    if (!path.startsWith('/registry/1/descriptors/')) return honest();
    refused++;
    await stage.grow(1);
    return honest('/registry/999/descriptors/service/grown-0');
  });
  const { head } = await client.descriptor({ kind: 'service', id: 'grown-0' });
  assert.equal(head.version, 2);
  assert.equal(refused, 1);
});

test('the set is served whole and gives the trusted root', async () => {
  const stage = await openStage();
  await stage.grow(12);
  const { head, items } = await openClient(stage).client.set();
  assert.equal(head.version, 12);
  assert.deepEqual(
    items.map(({ id }) => id),
    Array.from({ length: 12 }, (_, i) => `grown-${i}`).sort(),
  );
  assert.deepEqual((await openClient(await openStage()).client.set()).items, []);
});

test('an entry of the past is proven by its place in the trusted tree', async () => {
  const stage = await openStage();
  await stage.grow(4);
  const trust = memoryTrust();
  await openClient(stage, { trust }).client.head();
  const { client } = openClient(stage, { trust });
  const entry = await client.entry(1);
  assert.equal(entry.version, 1);
  assert.equal(entry.proposal?.payload.type, 'descriptors');
  assert.equal(entry.approvals.length, 2);
  assert.deepEqual(stage.requests.slice(-2), [
    'GET /registry/1',
    'GET /registry/proof/inclusion/1/5',
  ]);
  stage.requests.length = 0;
  assert.equal((await client.entry(2)).leaf.prev_hash, entry.entryHash);
  assert.deepEqual(stage.requests, ['GET /registry/2', 'GET /registry/proof/inclusion/2/5']);
});

test('an entry past the head is not found, and no version is no request', async () => {
  const stage = await openStage();
  const { client } = openClient(stage);
  assert.equal((await client.entry(0)).proposal?.payloadB3, stage.registryHash);
  await assert.rejects(client.entry(1), { code: 'not_found' });
  await stage.grow(1);
  assert.equal((await client.entry(1)).version, 1);
  for (const version of [-1, 0.5, Number.NaN])
    await assert.rejects(client.entry(version), { code: 'invalid_request' });
});

test('after a restart the trusted state goes on where it was, and a put costs one proof', async () => {
  const stage = await openStage();
  await stage.grow(6);
  const trust = memoryTrust();
  await openClient(stage, { trust }).client.head();
  await stage.change(put('new', { a: 1 }));
  await stage.change(put('new', { a: 2 }, { a: 1 }));
  stage.requests.length = 0;
  const head = await openClient(stage, { trust }).client.head();
  assert.equal(head.version, 8);
  assert.equal(head.setRoot, stage.registry.head()?.object.set_root);
  assert.deepEqual(stage.requests, [
    'GET /checkpoint',
    'GET /registry/proof/consistency/7/9',
    'GET /registry/entries?from=7&limit=256',
    'GET /registry/6/descriptors/service/new?proof=1',
  ]);
});

test('after a restart a removal that its proof does not settle fetches the set, once', async () => {
  const stage = await openStage();
  await stage.change(put('one', {}));
  await stage.change(put('two', {}));
  await stage.change(put('three', {}));
  const trust = memoryTrust();
  await openClient(stage, { trust }).client.head();
  await stage.change(remove('one', {}));
  await stage.change(remove('two', {}));
  await stage.change(remove('three', {}));
  stage.requests.length = 0;
  const head = await openClient(stage, { trust }).client.head();
  assert.equal(head.setSize, 0);
  assert.equal(head.setRoot, stage.registry.head()?.object.set_root);
  assert.equal(stage.requests.filter((request) => request.endsWith('/set')).length, 1);
});

test('after a restart an entry with many changes fetches the set instead of many proofs', async () => {
  const stage = await openStage();
  await stage.grow(2);
  const trust = memoryTrust();
  await openClient(stage, { trust }).client.head();
  await stage.change(...Array.from({ length: 33 }, (_, i) => put(`many-${i}`, {})));
  await stage.change(...Array.from({ length: 33 }, (_, i) => put(`many-${i}`, { b: 1 }, {})));
  stage.requests.length = 0;
  assert.equal((await openClient(stage, { trust }).client.head()).setSize, 35);
  assert.deepEqual(stage.requests, [
    'GET /checkpoint',
    'GET /registry/proof/consistency/3/5',
    'GET /registry/entries?from=3&limit=256',
    'GET /registry/2/set',
  ]);
});

test('a governance that changes hands is followed, also over a restart', async () => {
  const stage = await openStage();
  const trust = memoryTrust();
  await openClient(stage, { trust }).client.head();
  const dave = makeSigner('dave');
  const [first, second] = makeSigners(2);
  assert.ok(first && second);
  const next = makeGovernance([...stage.signers, dave], { threshold: 2, version: 2 });
  await stage.commit(governancePayload(stage.registryHash, { next, current: stage.governance }), [
    first,
    second,
    dave,
  ]);
  await stage.grow(1);
  const { client } = openClient(stage, { trust });
  assert.deepEqual((await client.head()).governance, next);
  assert.deepEqual((await openClient(stage, { trust }).client.head()).governance, next);
});

test('a cache that is behind is asked past, and is no rollback', async () => {
  const stage = await openStage();
  const old = await (await stage.get('/checkpoint')).text();
  await stage.grow(1);
  const { client } = openClient(stage);
  await client.head();
  let cached = 0;
  stage.lie((_path, honest, request) => {
    if (request.cache === 'reload') return honest();
    cached++;
    return plain(old);
  });
  assert.equal((await client.head()).version, 1);
  assert.equal(cached, 1);
});

test('trusted state of another registry than the pinned one is refused before anything is asked', async () => {
  const stage = await openStage();
  const trust = memoryTrust();
  await openClient(stage, { trust }).client.head();
  stage.requests.length = 0;
  const { client } = openClient({ ...stage, registryHash: `b3:${'0'.repeat(64)}` }, { trust });
  await assert.rejects(client.head(), { code: 'wrong_registry' });
  assert.deepEqual(stage.requests, []);
});

test('a trust store that cannot save leaves nothing believed', async () => {
  const stage = await openStage();
  const trust = {
    load: async () => undefined,
    save: async () => Promise.reject(new Error('no space')),
  };
  const { client } = openClient(stage, { trust });
  const error = await errorOf(client.head());
  assert.match(String(error), /no space/);
  assert.equal(client.trusted(), undefined);
});

test('before genesis there is no head', async () => {
  const stage = await openStage({ isBegun: false });
  await assert.rejects(openClient(stage).client.head(), { code: 'not_initialised' });
});
