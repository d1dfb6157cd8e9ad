import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { RegistryError } from '../../src/core/error.ts';
import type { Attempt } from '../../src/http/authority.ts';
import type { AuditEvent } from '../../src/telemetry/audit.ts';
import { makeBlob, openTestBlobs, type TestBlob, type TestBlobs } from '../support/blobs.ts';
import { codeOf, openTestApp, type TestApp, type TestAppOptions } from '../support/http-app.ts';
import { until } from '../support/operator.ts';

interface BlobApp extends TestBlobs {
  readonly app: TestApp;
  put(blob: TestBlob, headers?: Record<string, string>): Promise<Response>;
  putBody(
    address: string,
    body: BodyInit | null,
    headers?: Record<string, string>,
  ): Promise<Response>;
}

async function openBlobApp(
  settings: Readonly<Record<string, string>> = {},
  { deps, ...options }: TestAppOptions = {},
): Promise<BlobApp> {
  const kept = await openTestBlobs({ settings });
  const app = await openTestApp({ ...options, deps: { ...deps, blobs: kept.blobs } });
  const putBody: BlobApp['putBody'] = (address, body, headers = {}) =>
    app.send(`/blobs/${address}`, {
      method: 'PUT',
      headers,
      body,
      ...(body && { duplex: 'half' }),
    });
  return {
    ...kept,
    app,
    putBody,
    put: ({ address, bytes }, headers) => putBody(address, bytes, headers),
  };
}

const SMALL = makeBlob(1_000);
const LARGE = makeBlob(1_500_000);

test('a blob is new once, then known, and read as it was put', async () => {
  const { app, put, metric } = await openBlobApp();
  for (const blob of [SMALL, LARGE, makeBlob(0)]) {
    const { address, bytes } = blob;
    const first = await put(blob);
    assert.equal(first.status, 201);
    assert.equal(first.headers.get('location'), `/blobs/${address}`);
    assert.deepEqual(await first.json(), { address, bytes: bytes.length });
    const again = await put(blob);
    assert.equal(again.status, 200);
    assert.deepEqual(await again.json(), { address, bytes: bytes.length });
    const read = await app.get(`/blobs/${address}`);
    assert.equal(read.status, 200);
    assert.deepEqual(await read.bytes(), bytes);
  }
  assert.equal(await metric('blob_puts_total{result="stored"}'), 3);
  assert.equal(await metric('blob_puts_total{result="known"}'), 3);
  assert.equal(await metric('registry_blobs'), 3);
  assert.equal(await metric('registry_blob_bytes'), SMALL.bytes.length + LARGE.bytes.length);
});

test('an answer says how long it is true, what it is, and that no browser shows or runs it', async () => {
  const { app, put } = await openBlobApp();
  await put(SMALL);
  for (const answer of [
    await app.get(`/blobs/${SMALL.address}`),
    await app.head(`/blobs/${SMALL.address}`),
  ]) {
    const { headers } = answer;
    assert.equal(answer.status, 200);
    assert.equal(headers.get('cache-control'), 'public, max-age=31536000, immutable');
    assert.equal(headers.get('etag'), `"${SMALL.address}"`);
    assert.equal(headers.get('accept-ranges'), 'bytes');
    assert.equal(headers.get('content-length'), '1000');
    assert.equal(headers.get('content-type'), 'application/octet-stream');
    assert.equal(headers.get('content-disposition'), 'attachment');
    assert.equal(headers.get('content-security-policy'), "default-src 'none'; sandbox");
    assert.equal(headers.get('x-content-type-options'), 'nosniff');
  }
});

test('who has it already is told so, and nothing is sent', async () => {
  const { app, put } = await openBlobApp();
  await put(LARGE);
  const known = await app.get(`/blobs/${LARGE.address}`, {
    'if-none-match': `"${LARGE.address}"`,
    range: 'bytes=0-1',
  });
  assert.equal(known.status, 304);
  const other = await app.get(`/blobs/${LARGE.address}`, { 'if-none-match': '"b3:other"' });
  assert.equal(other.status, 200);
  await other.bytes();
});

const RANGES: readonly (readonly [
  range: string,
  expected: readonly [number, number] | 'whole' | 416,
])[] = [
  ['bytes=0-0', [0, 0]],
  ['bytes=0-99', [0, 99]],
  ['bytes=999-', [999, 999]],
  ['bytes=500-100000', [500, 999]],
  ['bytes=0-99999999999999999999999999', [0, 999]],
  ['bytes=-1', [999, 999]],
  ['bytes=-1000', [0, 999]],
  ['bytes=-99999999999999999999999', [0, 999]],
  ['bytes=1000-', 416],
  ['bytes=1000-1000', 416],
  ['bytes=99999999999999999999999-', 416],
  ['bytes=-0', 416],
  // No ranges of bytes, or more than one: as if nothing were asked.
  ['bytes=5-2', 'whole'],
  ['bytes=--5', 'whole'],
  ['bytes=-', 'whole'],
  ['bytes=', 'whole'],
  ['bytes=a-b', 'whole'],
  ['bytes=0x0-0x5', 'whole'],
  ['bytes=1.5-2', 'whole'],
  ['bytes=0-1,3-4', 'whole'],
  ['lines=0-1', 'whole'],
  ['0-1', 'whole'],
  [`bytes=${Array.from({ length: 3_000 }, (_, i) => `${i}-${i}`).join(',')}`, 'whole'],
];

test('one range of bytes is answered as it is asked for', async () => {
  const { app, put } = await openBlobApp();
  await put(SMALL);
  for (const [range, expected] of RANGES) {
    const name = range.slice(0, 40);
    const answer = await app.get(`/blobs/${SMALL.address}`, { range });
    if (expected === 416) {
      assert.equal(answer.status, 416, name);
      assert.equal(answer.headers.get('content-range'), 'bytes */1000');
      assert.equal(await codeOf(answer), 'range_not_satisfiable');
    } else if (expected === 'whole') {
      assert.equal(answer.status, 200, name);
      assert.equal(answer.headers.get('content-range'), null);
      assert.deepEqual(await answer.bytes(), SMALL.bytes);
    } else {
      const [first, last] = expected;
      assert.equal(answer.status, 206, name);
      assert.equal(answer.headers.get('content-range'), `bytes ${first}-${last}/1000`);
      assert.equal(answer.headers.get('content-length'), `${last - first + 1}`);
      assert.deepEqual(await answer.bytes(), SMALL.bytes.slice(first, last + 1), name);
    }
  }
});

test('ranges of a large blob, put together, are the blob', async () => {
  const { app, put } = await openBlobApp();
  await put(LARGE);
  const parts: Uint8Array[] = [];
  for (let at = 0; at < LARGE.bytes.length; at += 400_001) {
    const answer = await app.get(`/blobs/${LARGE.address}`, {
      range: `bytes=${at}-${at + 400_000}`,
      'if-range': `"${LARGE.address}"`,
    });
    assert.equal(answer.status, 206);
    parts.push(await answer.bytes());
  }
  assert.deepEqual(new Uint8Array(Buffer.concat(parts)), LARGE.bytes);
});

test('a range that is meant for other bytes, or comes with a head, is none', async () => {
  const { app, put } = await openBlobApp();
  await put(SMALL);
  const path = `/blobs/${SMALL.address}`;
  for (const ifRange of ['"b3:other"', `W/"${SMALL.address}"`, 'Sat, 21 Nov 2026 09:30:00 GMT']) {
    const answer = await app.get(path, { range: 'bytes=0-1', 'if-range': ifRange });
    assert.equal(answer.status, 200, ifRange);
    await answer.bytes();
  }
  const head = await app.head(path, { range: 'bytes=0-1' });
  assert.deepEqual([head.status, head.headers.get('content-length')], [200, '1000']);
});

test('of nothing, the last bytes are nothing, and every other range lies outside', async () => {
  const { app, put } = await openBlobApp();
  const { address } = makeBlob(0);
  await put(makeBlob(0));
  assert.equal((await app.get(`/blobs/${address}`, { range: 'bytes=-5' })).status, 200);
  assert.equal((await app.get(`/blobs/${address}`, { range: 'bytes=0-' })).status, 416);
});

test('bytes of another hash are refused, and nothing of them is left', async () => {
  const { app, putBody, files, metric } = await openBlobApp();
  const wrong = await putBody(SMALL.address, LARGE.bytes);
  assert.equal(wrong.status, 422);
  const { code, details } = await wrong.json();
  assert.equal(code, 'hash_mismatch');
  assert.deepEqual(details, { expected: SMALL.address, got: LARGE.address });
  assert.deepEqual(files(), []);
  assert.equal((await app.get(`/blobs/${SMALL.address}`)).status, 404);
  assert.equal(await metric('blob_puts_total{result="refused"}'), 1);
});

test('bytes of another hash are refused also where the blob is there', async () => {
  const { put, putBody, pathOf } = await openBlobApp();
  await put(SMALL);
  assert.equal((await putBody(SMALL.address, LARGE.bytes)).status, 422);
  assert.deepEqual(new Uint8Array(readFileSync(pathOf(SMALL.address))), SMALL.bytes);
});

/** Tells how much of it was asked for. */
function countedBody(bytes: number, pieceBytes = 64 * 1024) {
  let asked = 0;
  const body = new ReadableStream<Uint8Array>(
    {
      pull: (controller) => {
        if (asked >= bytes) return controller.close();
        asked += pieceBytes;
        controller.enqueue(new Uint8Array(pieceBytes));
      },
    },
    { highWaterMark: 0 },
  );
  return { body, asked: () => asked };
}

test('too many bytes are refused by what is announced, before any is read, and else when they come', async () => {
  const { putBody, files } = await openBlobApp({ max_blob_bytes: '1MiB' });
  const announced = countedBody(2 ** 20 + 1);
  const early = await putBody(SMALL.address, announced.body, {
    'content-length': `${2 ** 20 + 1}`,
  });
  assert.deepEqual([early.status, await codeOf(early)], [413, 'too_large']);
  assert.equal(announced.asked(), 0);
  const endless = countedBody(Number.POSITIVE_INFINITY);
  const late = await putBody(SMALL.address, endless.body);
  assert.deepEqual([late.status, await codeOf(late)], [413, 'too_large']);
  assert.ok(endless.asked() <= 2 ** 20 + 128 * 1024, `${endless.asked()} bytes`);
  assert.deepEqual(files(), []);
});

test('the quota is not exceeded, also by several that arrive at once, and what is given up is free again', async () => {
  const { putBody, put, files } = await openBlobApp({ blob_quota: '3MiB' });
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const waiting = (i: number) =>
    new ReadableStream<Uint8Array>({
      start: async (controller) => {
        controller.enqueue(LARGE.bytes.slice(0, 1_000_000));
        await gates[i]?.promise;
        controller.error(new Error('gone'));
      },
    });
  const length = { 'content-length': `${LARGE.bytes.length}` };
  const both = [0, 1].map((i) => putBody(LARGE.address, waiting(i), length));
  await until(() => files().length === 2);
  const third = await putBody(SMALL.address, SMALL.bytes, { 'content-length': '146000' });
  assert.equal(third.status, 507);
  assert.equal(await codeOf(third), 'no_room');
  const undeclared = await putBody(makeBlob(146_000).address, makeBlob(146_000).bytes);
  assert.equal(undeclared.status, 507);
  for (const gate of gates) gate.resolve();
  for (const given of await Promise.all(both)) assert.equal(await codeOf(given), 'malformed');
  assert.deepEqual(files(), []);
  assert.equal((await put(LARGE)).status, 201);
});

test('a content coding is refused before anything is read', async () => {
  const { putBody } = await openBlobApp();
  const counted = countedBody(1_000);
  const answer = await putBody(SMALL.address, counted.body, { 'content-encoding': 'gzip' });
  const { code, detail } = (await answer.json()) as { code: string; detail: string };
  assert.deepEqual([answer.status, code], [415, 'unsupported_encoding']);
  assert.match(detail, /got "?gzip"?: a blob is the bytes that hash to its address/);
  assert.equal(counted.asked(), 0);
});

test('fewer or more bytes than were announced are refused, whatever they hash to', async () => {
  const { putBody, files } = await openBlobApp();
  for (const length of [999, 1_001]) {
    const answer = await putBody(SMALL.address, SMALL.bytes, { 'content-length': `${length}` });
    assert.deepEqual([answer.status, await codeOf(answer)], [400, 'malformed']);
  }
  assert.deepEqual(files(), []);
});

test('while writes are shut, and before genesis, nothing is put and everything is read', async () => {
  const shut = new RegistryError('frozen', 'expected no freeze, got one');
  let isShut = false;
  const gate = { name: 'freeze', refusal: () => (isShut ? shut : undefined) };
  const { app, put, putBody } = await openBlobApp({}, { registry: { gates: [gate] } });
  await put(LARGE);
  isShut = true;
  const counted = countedBody(1_000);
  const refused = await putBody(SMALL.address, counted.body);
  assert.deepEqual([refused.status, await codeOf(refused)], [503, 'frozen']);
  assert.equal(counted.asked(), 0);
  assert.equal((await app.get(`/blobs/${LARGE.address}`)).status, 200);
  const empty = await openBlobApp({}, { registry: { isBegun: false } });
  assert.equal(await codeOf(await empty.put(SMALL)), 'not_initialised');
});

test('a server that is stopping takes no more', async () => {
  const { app, put } = await openBlobApp();
  app.registry.drain();
  assert.equal(await codeOf(await put(SMALL)), 'draining');
});

test('without blobs the routes say that there is nothing', async () => {
  const app = await openTestApp();
  const path = `/blobs/${SMALL.address}`;
  assert.equal(await codeOf(await app.get(path)), 'not_found');
  assert.equal(await codeOf(await app.send(path, { method: 'PUT', body: 'x' })), 'not_found');
});

test('no other spelling of an address leads to a file, and none makes one', async () => {
  const { app, putBody, put, files } = await openBlobApp();
  await put(SMALL);
  const hex = SMALL.address.slice(3);
  const spellings = [
    `B3:${hex}`,
    `b3:${hex.toUpperCase()}`,
    hex,
    `b3:${hex}00`,
    `b3:${hex.slice(1)}`,
    `b3:..%2f..%2f${hex.slice(12)}`,
    `b3%3A..%2F`,
    `%2e%2e%2f%2e%2e%2fregistry.db`,
    `b3:${hex}%00`,
    `b3:${hex}%0a`,
    `b3:${hex}/`,
    `b3:${hex}/..`,
    `.incoming`,
    `b3:${hex.slice(0, 62)}%f0%9f`,
  ];
  for (const spelling of spellings) {
    for (const answer of [await app.get(`/blobs/${spelling}`), await putBody(spelling, 'x')])
      assert.ok([400, 404, 405].includes(answer.status), `${spelling}: ${answer.status}`);
    assert.deepEqual(files(), [hex], spelling);
  }
  // The same address to every url library: a colon may be written so.
  assert.equal((await app.get(`/blobs/b3%3A${hex}`)).status, 200);
});

test('a query is refused, and so is every other method', async () => {
  const { app, put } = await openBlobApp();
  await put(SMALL);
  const path = `/blobs/${SMALL.address}`;
  assert.equal((await app.get(`${path}?download=1`)).status, 400);
  for (const method of ['POST', 'DELETE', 'PATCH']) {
    const answer = await app.send(path, { method });
    assert.equal(answer.status, 405, method);
    assert.equal(answer.headers.get('allow'), 'GET, HEAD, OPTIONS, PUT');
  }
  const options = await app.send(path, { method: 'OPTIONS' });
  assert.equal(options.headers.get('allow'), 'GET, HEAD, OPTIONS, PUT');
});

test('a put is on record with its address, accepted or refused', async () => {
  const events: AuditEvent[] = [];
  const audit = { record: async (event: AuditEvent) => void events.push(event) };
  const { put, putBody } = await openBlobApp({}, { deps: { audit } });
  await put(SMALL);
  await putBody(SMALL.address, 'x');
  await putBody('b3:none', 'x');
  assert.deepEqual(
    events.map(({ act, decision, code, blob }) => ({ act, decision, code, blob })),
    [
      { act: 'blob', decision: 'accepted', code: null, blob: SMALL.address },
      { act: 'blob', decision: 'refused', code: 'hash_mismatch', blob: SMALL.address },
      { act: 'blob', decision: 'refused', code: 'invalid_request', blob: undefined },
    ],
  );
});

test('a token is asked before any byte is read, and about blobs alone', async () => {
  const attempts: Attempt[] = [];
  const authority = {
    authenticate: async (token: string) => {
      if (token !== 'good') throw new RegistryError('unauthenticated', 'expected another token');
      return {
        id: 'token-1',
        authorize: async (attempt: Attempt) => {
          attempts.push(attempt);
          if (attempts.length > 1) throw new RegistryError('forbidden', 'expected a wider token');
        },
      };
    },
  };
  const { app, putBody, put } = await openBlobApp({}, { deps: { authority: () => authority } });
  const counted = countedBody(1_000);
  assert.equal((await putBody(SMALL.address, counted.body)).status, 401);
  assert.equal(counted.asked(), 0);
  const bearer = { authorization: 'Bearer good' };
  assert.equal((await put(SMALL, bearer)).status, 201);
  assert.equal((await put(SMALL, bearer)).status, 403);
  const { registryHash: registry } = app;
  const asked: Attempt = { operation: 'blob', registry, proposal: null, kinds: [], idPrefix: null };
  assert.deepEqual(attempts, [asked, asked]);
});

test('a small blob that a disk has changed is a failure, is moved aside, and can be put again', async () => {
  const { app, put, pathOf, files, complaints, metric } = await openBlobApp();
  await put(SMALL);
  const changed = Uint8Array.from(SMALL.bytes);
  changed[500] = 0;
  writeFileSync(pathOf(SMALL.address), changed);
  const answer = await app.get(`/blobs/${SMALL.address}`);
  assert.deepEqual([answer.status, await codeOf(answer)], [500, 'storage_damaged']);
  await until(() => complaints.length > 0);
  assert.equal((await app.get(`/blobs/${SMALL.address}`)).status, 404);
  assert.equal(await metric('blobs_damaged_total'), 1);
  assert.equal(await metric('registry_blobs'), 0);
  assert.deepEqual(files(), [SMALL.address.slice(3)], 'for an operator to look at');
  assert.equal((await put(SMALL)).status, 201);
  assert.deepEqual(await (await app.get(`/blobs/${SMALL.address}`)).bytes(), SMALL.bytes);
});

for (const [name, change] of [
  ['changed', (bytes: Uint8Array) => bytes.with(700_000, 1 ^ (bytes[700_000] ?? 0))],
  ['cut short', (bytes: Uint8Array) => bytes.slice(0, 1_400_000)],
] as const)
  test(`of a large blob that a disk has ${name} the last piece never comes, and the connection is cut`, async () => {
    const { app, put, pathOf, complaints, metric } = await openBlobApp();
    await put(LARGE);
    writeFileSync(pathOf(LARGE.address), change(LARGE.bytes));
    const answer = await app.app.fetch(new Request(`http://a/blobs/${LARGE.address}`));
    const told = Number(answer.headers.get('content-length'));
    let came = 0;
    const reading = (async () => {
      for await (const piece of answer.body ?? []) came += piece.length;
    })();
    await until(() => app.hungUp() > 0);
    await Promise.race([reading, nextTurn()]);
    assert.ok(came < told, `${came} of ${told} bytes`);
    await until(() => complaints.length > 0);
    assert.equal(await metric('blobs_damaged_total'), 1);
    assert.equal((await app.get(`/blobs/${LARGE.address}`)).status, 404);
  });

test('who reads too many blobs at once is refused until one of them has ended', async () => {
  const { app, put } = await openBlobApp(
    {},
    { deps: { limits: () => ({ maxBlobReads: 2, maxBlobReadsPerAddress: 2 }) } },
  );
  await put(LARGE);
  const path = `http://a/blobs/${LARGE.address}`;
  const [one, other] = [
    await app.app.fetch(new Request(path)),
    await app.app.fetch(new Request(path)),
  ];
  assert.equal((await app.get(`/blobs/${LARGE.address}`)).status, 429);
  await one.body?.cancel();
  await other.bytes();
  for (let i = 0; i < 3; i++) {
    const answer = await app.get(`/blobs/${LARGE.address}`);
    assert.equal(answer.status, 200);
    await answer.bytes();
  }
});
