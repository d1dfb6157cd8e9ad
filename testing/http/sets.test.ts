import assert from 'node:assert/strict';
import { test } from 'node:test';
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib';
import { decodeUtf8 } from '../../src/core/bytes.ts';
import { canonicalBytes } from '../../src/core/canonical.ts';
import { RegistryError } from '../../src/core/error.ts';
import { parseHash } from '../../src/core/hash.ts';
import { SetTree } from '../../src/core/set-tree.ts';
import type { Compress, HttpLimits, SendPieces } from '../../src/http/deps.ts';
import type { PreparedSets, WholeSet } from '../../src/http/prepared-sets.ts';
import type { Registry, SetAnswer } from '../../src/registry/registry.ts';
import { COMPRESS } from '../../src/server/compress.ts';
import { codeOf, openTestApp, type TestApp, type TestAppOptions } from '../support/http-app.ts';
import { put } from '../support/registry.ts';

const DECODE = { br: brotliDecompressSync, zstd: zstdDecompressSync, gzip: gunzipSync } as const;

async function openWithSet(size: number, options: TestAppOptions = {}): Promise<TestApp> {
  const app = await openTestApp(options);
  const changes = Array.from({ length: size }, (_, i) => put(`d${i}`, { i, text: 'x'.repeat(50) }));
  if (size > 0) await app.change(...changes);
  return app;
}

/** Counts how often the app asks the reader for a set. */
function countSets({ reader }: Registry): () => number {
  let opened = 0;
  const { set } = reader;
  reader.set = (version) => {
    opened++;
    return set.call(reader, version);
  };
  return () => opened;
}

/** Counts what the app asks of the compressors. */
function counted(): { compress: Compress; compressed: string[] } {
  const compressed: string[] = [];
  const count = (coding: keyof Compress) => (body: Uint8Array) => {
    compressed.push(coding);
    return COMPRESS[coding](body);
  };
  return { compress: { br: count('br'), zstd: count('zstd'), gzip: count('gzip') }, compressed };
}

test('a set is canonical JSON of the stored descriptors, sorted, with its root', async () => {
  const { get, registry } = await openWithSet(20);
  const body = await (await get('/registry/1/set')).text();
  const { items, origin, set_root, version } = JSON.parse(body);
  assert.equal(decodeUtf8(canonicalBytes(JSON.parse(body))), body);
  assert.equal(items.length, 20);
  const ids = items.map((item: { id: string }) => item.id);
  assert.deepEqual(ids, [...ids].sort());
  const head = registry.head()?.object;
  assert.deepEqual([origin, set_root, version], [head?.origin, head?.set_root, 1]);
});

test('an empty set has no items', async () => {
  const { get } = await openTestApp();
  assert.deepEqual((await (await get('/registry/0/set')).json()).items, []);
});

test('each coding carries the same set under its own tag', async () => {
  const { get } = await openWithSet(20);
  const plain = await get('/registry/1/set');
  const body = await plain.text();
  const tags = new Set([plain.headers.get('etag')]);
  for (const coding of ['br', 'zstd', 'gzip'] as const) {
    const response = await get('/registry/1/set', { 'accept-encoding': coding });
    assert.equal(response.headers.get('content-encoding'), coding);
    const bytes = new Uint8Array(await response.arrayBuffer());
    assert.equal(DECODE[coding](bytes).toString(), body);
    assert.equal(response.headers.get('content-length'), `${bytes.length}`);
    assert.ok(bytes.length < body.length);
    tags.add(response.headers.get('etag'));
  }
  assert.equal(tags.size, 4);
});

test('every variant varies by Accept-Encoding, identity and 304 too', async () => {
  const { get } = await openWithSet(3);
  for (const headers of [{}, { 'accept-encoding': 'br' }] as Record<string, string>[]) {
    const full = await get('/registry/1/set', headers);
    assert.equal(full.headers.get('vary'), 'Accept-Encoding');
    const etag = full.headers.get('etag') ?? '';
    const known = await get('/registry/1/set', { ...headers, 'if-none-match': etag });
    assert.deepEqual([known.status, known.headers.get('vary')], [304, 'Accept-Encoding']);
    assert.equal(known.headers.get('etag'), etag);
  }
});

test('whichever accepted variant the client holds is still true', async () => {
  const { get } = await openWithSet(3);
  const tagOf = async (coding: string) =>
    (await get('/registry/1/set', { 'accept-encoding': coding })).headers.get('etag') ?? '';
  const [plain, gzip, br] = [await tagOf(''), await tagOf('gzip'), await tagOf('br')];
  const status = async (etag: string, coding: string) =>
    (await get('/registry/1/set', { 'accept-encoding': coding, 'if-none-match': etag })).status;
  assert.equal(await status(gzip, 'br, gzip'), 304);
  assert.equal(await status(plain, 'br, gzip'), 304);
  assert.equal(await status(`"other", ${br}`, 'br'), 304);
  // It no longer accepts what it holds.
  assert.equal(await status(br, 'gzip'), 200);
});

test('a set is read and compressed once, however many ask at the same time', async () => {
  const { compress, compressed } = counted();
  const { get, registry } = await openWithSet(20, { deps: { compress } });
  const opened = countSets(registry);
  const ask = () => get('/registry/1/set', { 'accept-encoding': 'br' });
  const bodies = await Promise.all(
    Array.from({ length: 8 }, async () => decodeHex(await (await ask()).arrayBuffer())),
  );
  assert.equal(new Set(bodies).size, 1);
  await ask();
  await get('/registry/head/set', { 'accept-encoding': 'br' });
  assert.deepEqual([opened(), compressed], [1, ['br']]);
});

function decodeHex(buffer: ArrayBuffer): string {
  return Buffer.from(buffer).toString('hex');
}

test('HEAD of a compressed set has the headers of GET', async () => {
  const { get, head } = await openWithSet(20);
  const headers = { 'accept-encoding': 'zstd' };
  const [full, bare] = [
    await get('/registry/1/set', headers),
    await head('/registry/1/set', headers),
  ];
  for (const name of ['etag', 'vary', 'content-encoding', 'content-length', 'cache-control'])
    assert.equal(bare.headers.get(name), full.headers.get(name), name);
});

test('a set too large to hold is streamed as it is, and measured once', async () => {
  const { compress, compressed } = counted();
  const small = await openWithSet(600);
  const app = await openTestApp({
    registry: { store: small.store },
    deps: { compress, limits: () => ({ maxBufferedBytes: 10_000 }) },
  });
  const whole = await small.get('/registry/1/set');
  const opened = countSets(app.registry);
  for (let i = 0; i < 2; i++) {
    const streamed = await app.get('/registry/1/set', { 'accept-encoding': 'br' });
    assert.equal(streamed.headers.get('content-encoding'), null);
    assert.equal(streamed.headers.get('content-length'), null);
    assert.equal(streamed.headers.get('etag'), whole.headers.get('etag'));
    assert.equal(await streamed.text(), await whole.clone().text());
  }
  // To measure it, and for each answer.
  assert.deepEqual([opened(), compressed], [3, []]);
});

test('a streamed set reads a page when the client has taken the one before, and stops with it', async () => {
  const { app, registry } = await openWithSet(3, {
    deps: { limits: () => ({ maxBufferedBytes: 10 }) },
  });
  await app.request('/registry/1/set');
  const taken: number[] = [];
  let isClosed = false;
  async function* pages(): AsyncGenerator<readonly Uint8Array[]> {
    try {
      for (let page = 0; page < 100; page++) {
        taken.push(page);
        yield [canonicalBytes({ page })];
      }
    } finally {
      isClosed = true;
    }
  }
  const { set } = registry.reader;
  registry.reader.set = async (version): Promise<SetAnswer | undefined> => {
    const answer = await set.call(registry.reader, version);
    return answer && { ...answer, pages: pages() };
  };
  const reader = (await app.request('/registry/1/set')).body?.getReader();
  assert.ok(reader);
  for (let i = 0; i < 3; i++) await reader.read();
  assert.deepEqual(taken, [0, 1]);
  await reader.cancel();
  assert.ok(isClosed);
});

test('a set that is sent keeps its place until its body has ended or was given up', async () => {
  const sizes = { maxBufferedBytes: 10, maxSetReads: 3, maxSetReadsPerAddress: 2 };
  let address = 'a';
  const { app, get, head, registry, metric } = await openWithSet(3, {
    deps: { limits: () => sizes, clientAddress: () => address },
  });
  const opened = countSets(registry);
  const ask = async () => app.request('/registry/1/set');
  const [first, second] = [await ask(), await ask()];
  const before = opened();
  const refused = await get('/registry/1/set');
  assert.equal(refused.headers.get('retry-after'), '1');
  assert.deepEqual([refused.status, await codeOf(refused)], [429, 'overloaded']);
  assert.equal(opened(), before, 'what is refused loads no tree');
  address = 'b';
  const third = await ask();
  assert.deepEqual([third.status, (await get('/registry/1/set/hashes')).status], [200, 429]);
  assert.equal(await metric('rejected_total{reason="overloaded"}'), 2);
  // One is read to its end, one is given up.
  assert.equal(JSON.parse(await third.text()).items.length, 3);
  address = 'a';
  assert.equal((await get('/registry/1/set')).status, 429, 'its own are still there');
  await first.body?.cancel();
  for (let i = 0; i < 3; i++) {
    assert.equal((await head('/registry/1/set')).status, 200);
    assert.equal(await (await get('/registry/1/set')).text(), await (await ask()).text());
  }
  await second.body?.cancel();
});

test('a set whose body breaks off, or that cannot be opened, keeps no place', async () => {
  const limits = () => ({ maxBufferedBytes: 10, maxSetReads: 1 });
  const { app, get, registry } = await openWithSet(3, { deps: { limits } });
  await (await get('/registry/1/set')).text();
  const { set } = registry.reader;
  const broken = new Error('disk on fire');
  async function* pages(): AsyncGenerator<readonly Uint8Array[]> {
    yield [canonicalBytes({})];
    throw broken;
  }
  registry.reader.set = async (version) => {
    const answer = await set.call(registry.reader, version);
    return answer && { ...answer, pages: pages() };
  };
  await assert.rejects(async () => (await app.request('/registry/1/set')).text(), broken);
  registry.reader.set = () => Promise.reject(broken);
  assert.equal((await get('/registry/1/set')).status, 500);
  registry.reader.set = set;
  assert.equal((await get('/registry/1/set')).status, 200);
});

test('a set that turns out damaged is no answer', async () => {
  const { get, registry, lines } = await openWithSet(3);
  const { set } = registry.reader;
  registry.reader.set = async (version) => {
    const answer = await set.call(registry.reader, version);
    return answer && { ...answer, pages: damaged() };
  };
  const response = await get('/registry/1/set');
  const problem = await response.json();
  assert.deepEqual([response.status, problem.code], [500, 'storage_damaged']);
  assert.doesNotMatch(JSON.stringify(problem), /secret/);
  assert.equal(lines.filter(({ level }) => level === 'error').length, 1);
  registry.reader.set = set;
  assert.equal((await get('/registry/1/set')).status, 200, 'the failure was not kept');
});

async function* damaged(): AsyncGenerator<readonly Uint8Array[]> {
  yield [canonicalBytes({})];
  throw new RegistryError('storage_damaged', 'expected other bytes in /secret/path');
}

test('a set of a version that is not there is 404 under any coding', async () => {
  const { get } = await openTestApp();
  const response = await get('/registry/5/set', { 'accept-encoding': 'br' });
  assert.equal(await codeOf(response), 'not_found');
});

test('the hashes of a set give its root, by path, under a tag of their own', async () => {
  const { get, registry } = await openWithSet(2_500);
  const response = await get('/registry/1/set/hashes');
  const body = await response.text();
  const { items, origin, set_root, version } = JSON.parse(body);
  assert.equal(decodeUtf8(canonicalBytes(JSON.parse(body))), body);
  const leaves = items.map((item: { path: string; value_hash: string }) => ({
    path: parseHash(item.path),
    valueHash: parseHash(item.value_hash),
  }));
  const tree = SetTree.EMPTY.with(leaves);
  const head = registry.head()?.object;
  assert.deepEqual([origin, set_root, version, tree.size], [head?.origin, tree.root, 1, 2_500]);
  assert.equal(set_root, head?.set_root);
  const paths = items.map((item: { path: string }) => item.path);
  assert.deepEqual(paths, [...paths].sort());
  const etag = response.headers.get('etag') ?? '';
  assert.notEqual(etag, (await get('/registry/1/set')).headers.get('etag'));
  assert.equal((await get('/registry/1/set/hashes', { 'if-none-match': etag })).status, 304);
  const atHead = await get('/registry/head/set/hashes');
  assert.equal(atHead.headers.get('content-location'), '/registry/1/set/hashes');
  assert.deepEqual((await (await get('/registry/0/set/hashes')).json()).items, []);
  assert.equal(await codeOf(await get('/registry/2/set/hashes')), 'not_found');
});

// --- sets that are prepared ---

const PREPARED = `{"items":[],"origin":"registry.example.com/test","set_root":"b3:${'0'.repeat(64)}","version":1}`;

/** Prepares nothing by itself: what `bodies` answers, and how each was used. */
function preparing(prepare: (set: WholeSet) => Promise<string | undefined>) {
  const asked: WholeSet[] = [];
  let cancelled = 0;
  const preparedSets: PreparedSets = {
    open: async (set) => {
      asked.push(set);
      const text = await prepare(set);
      if (text === undefined) return undefined;
      const bytes = new TextEncoder().encode(text);
      const body = new ReadableStream<Uint8Array>(
        {
          pull: (controller) => {
            controller.enqueue(bytes);
            controller.close();
          },
          cancel: () => void cancelled++,
        },
        { highWaterMark: 0 },
      );
      return { bytes: bytes.length, body };
    },
  };
  return { preparedSets, asked, cancelled: () => cancelled };
}

async function openPrepared(
  limits: Partial<HttpLimits>,
  prepare: (set: WholeSet) => Promise<string | undefined>,
  deps: TestAppOptions['deps'] = {},
) {
  const prepared = preparing(prepare);
  const small = await openWithSet(5_000);
  const app = await openTestApp({
    registry: { store: small.store },
    deps: { limits: () => limits, preparedSets: prepared.preparedSets, ...deps },
  });
  return { ...app, ...prepared, small };
}

test('a large set that is prepared is sent as it is, with its length', async () => {
  const { get, head, asked, registry, cancelled } = await openPrepared(
    { maxBufferedBytes: 10 },
    async () => PREPARED,
  );
  const opened = countSets(registry);
  const response = await get('/registry/head/set', { 'accept-encoding': 'br' });
  const { headers } = response;
  assert.equal(await response.text(), PREPARED);
  assert.equal(headers.get('content-length'), `${PREPARED.length}`);
  assert.equal(headers.get('content-encoding'), null);
  assert.equal(headers.get('content-location'), '/registry/1/set');
  assert.equal(headers.get('vary'), 'Accept-Encoding');
  const found = registry.head()?.object;
  assert.ok(found);
  const whole = { version: 1, setRoot: found.set_root, size: 5_000, origin: found.origin };
  // Once more to see that it is too large to be held.
  assert.deepEqual(asked, [
    { form: 'items', ...whole },
    { form: 'items', ...whole },
  ]);
  assert.deepEqual([opened(), cancelled()], [0, 1]);

  const bare = await head('/registry/1/set');
  assert.equal(bare.headers.get('content-length'), `${PREPARED.length}`);
  assert.equal(cancelled(), 2);
  const etag = headers.get('etag') ?? '';
  assert.equal((await get('/registry/1/set', { 'if-none-match': etag })).status, 304);
  assert.equal(asked.length, 3);
});

test('a prepared set that is one too many is refused, and its body given up', async () => {
  const limits = { maxBufferedBytes: 10, maxSetReadsPerAddress: 1 };
  const { app, get, cancelled } = await openPrepared(limits, async () => PREPARED);
  const reading = await app.request('/registry/head/set');
  assert.equal(await codeOf(await get('/registry/head/set')), 'overloaded');
  assert.equal(cancelled(), 1);
  assert.equal(await reading.text(), PREPARED);
  assert.equal((await get('/registry/head/set')).status, 200);
});

test('a prepared set that is small enough is held and compressed as any', async () => {
  const { get, asked, registry } = await openPrepared({}, async () => PREPARED);
  const opened = countSets(registry);
  for (let i = 0; i < 2; i++) {
    const response = await get('/registry/1/set', { 'accept-encoding': 'gzip' });
    assert.equal(response.headers.get('content-encoding'), 'gzip');
    const bytes = new Uint8Array(await response.arrayBuffer());
    assert.equal(gunzipSync(bytes).toString(), PREPARED);
  }
  assert.deepEqual([asked.length, opened()], [1, 0]);
});

test('a prepared set is sent as it is without being held, however small', async () => {
  const { get, asked, registry } = await openPrepared({}, async () => PREPARED);
  const opened = countSets(registry);
  for (let i = 0; i < 2; i++) {
    const response = await get('/registry/1/set');
    assert.equal(await response.text(), PREPARED);
    assert.equal(response.headers.get('content-length'), `${PREPARED.length}`);
  }
  assert.deepEqual([asked.length, opened()], [2, 0]);
});

test('a set that is not prepared is read from the registry, and a small one is not asked for', async () => {
  const { get, asked, small } = await openPrepared(
    { maxBufferedBytes: 1_000 },
    async () => undefined,
  );
  const whole = await small.get('/registry/1/set');
  assert.equal(await (await get('/registry/1/set')).text(), await whole.text());
  assert.equal(asked.length, 1);
  assert.deepEqual((await (await get('/registry/0/set')).json()).items, []);
  assert.equal(asked.length, 1);
  assert.equal(await codeOf(await get('/registry/2/set')), 'not_found');
  assert.equal(asked.length, 1);
});

/** Empties every piece that it has taken. */
function emptying(): { sendPieces: SendPieces; emptied: () => number } {
  let emptied = 0;
  const sendPieces: SendPieces = (_c, pieces, init) => {
    const taken = pieces.pipeThrough(
      new TransformStream<Uint8Array, Uint8Array>({
        transform: (piece, controller) => {
          controller.enqueue(piece.slice());
          piece.fill(0);
          emptied++;
        },
      }),
    );
    return new Response(taken, init);
  };
  return { sendPieces, emptied: () => emptied };
}

for (const [what, answer] of [
  ['prepared', PREPARED],
  ['read from the registry', undefined],
] as const)
  test(`the pieces of a set that is ${what} are given away: to empty them changes no other answer`, async () => {
    const { sendPieces, emptied } = emptying();
    const { get, small } = await openPrepared({ maxBufferedBytes: 10 }, async () => answer, {
      sendPieces,
    });
    const whole = answer ?? (await (await small.get('/registry/1/set')).text());
    for (let i = 0; i < 2; i++) {
      const before = emptied();
      assert.equal(await (await get('/registry/1/set')).text(), whole);
      assert.ok(emptied() > before, 'its pieces are kept');
    }
  });
