import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeUtf8 } from '../../src/core/bytes.ts';
import type { ErrorCode } from '../../src/core/error.ts';
import { MAX_PAYLOAD_BYTES } from '../../src/core/payload.ts';
import { codeOf, openTestApp } from '../support/http-app.ts';
import { put } from '../support/registry.ts';
import { descriptorsPayload } from '../support/signers.ts';

const JSON_TYPE = { 'content-type': 'application/json' };
const ID = `b3:${'0'.repeat(64)}`;

const app = await openTestApp();
const VALID = decodeUtf8(descriptorsPayload(app.registryHash, [put('a', { v: 1 })]).bytes);

function replaced(from: string, to: string): string {
  assert.ok(VALID.includes(from), `${from} is in the payload`);
  return VALID.replace(from, to);
}

const BODIES: readonly (readonly [what: string, body: BodyInit, code: ErrorCode])[] = [
  ['nothing', '', 'malformed'],
  ['half a document', VALID.slice(0, -1), 'malformed'],
  ['two documents', VALID + VALID, 'malformed'],
  ['no JSON', 'hello', 'malformed'],
  ['a comment', `/**/${VALID}`, 'malformed'],
  ['bytes that are no UTF-8', Uint8Array.of(0x22, 0xff, 0x22), 'malformed'],
  ['an overlong encoding', Uint8Array.of(0x22, 0xc0, 0xaf, 0x22), 'malformed'],
  ['a BOM', `\ufeff${VALID}`, 'malformed'],
  ['UTF-16', new Uint8Array(Buffer.from(VALID, 'utf16le')), 'malformed'],
  ['33 levels', '['.repeat(33) + ']'.repeat(33), 'too_deep'],
  ['a million brackets', '['.repeat(1_000_000), 'too_deep'],
  ['100,001 values', `[${'0,'.repeat(100_000)}0]`, 'too_deep'],
  ['white space', ` ${VALID}`, 'not_canonical'],
  ['a line end', `${VALID}\n`, 'not_canonical'],
  ['a duplicate key', replaced('{"v":1}', '{"v":2,"v":1}'), 'not_canonical'],
  ['keys out of order', replaced('{"v":1}', '{"v":1,"a":1}'), 'not_canonical'],
  ['an escape that need not be', replaced('"v"', '"\\u0076"'), 'not_canonical'],
  ['a lone surrogate', replaced('"v"', '"\\ud800"'), 'malformed'],
  ['minus zero', replaced('"v":1', '"v":-0'), 'not_canonical'],
  ['an exponent', replaced('"v":1', '"v":1e0'), 'not_canonical'],
  ['a number beyond doubles', replaced('"v":1', '"v":1e400'), 'malformed'],
  ['lost precision', replaced('"v":1', '"v":9007199254740993'), 'not_canonical'],
  ['an unsafe integer', replaced('"v":1', '"v":9007199254740992'), 'invalid_payload'],
  ['__proto__', replaced('{"v":1}', '{"__proto__":1}'), 'invalid_payload'],
  ['constructor', replaced('{"v":1}', '{"constructor":1}'), 'invalid_payload'],
  ['an unknown member', replaced('"note":""', '"more":1,"note":""'), 'invalid_payload'],
  ['a missing member', replaced('"note":"",', ''), 'invalid_payload'],
  ['another type', replaced('"descriptors"', '"descriptor"'), 'invalid_payload'],
  ['a control character', replaced('"note":""', '"note":"\\n"'), 'invalid_payload'],
  ['a bidi override', replaced('"note":""', '"note":"\u202e"'), 'invalid_payload'],
  ['an id with a dot segment', replaced('"id":"a"', '"id":"a/../b"'), 'invalid_payload'],
  ['null', 'null', 'invalid_payload'],
  ['an array', '[]', 'invalid_payload'],
  ['another registry', replaced(app.registryHash, ID), 'wrong_registry'],
];

for (const [what, body, code] of BODIES)
  test(`a payload that is ${what} is refused as ${code}`, async () => {
    for (const route of ['/registry/proposals', '/registry/supersede']) {
      const response = await app.post(route, body);
      // The wrong type for the route is found before what depends on the registry.
      const expected = route.endsWith('e') && code === 'wrong_registry' ? 'invalid_request' : code;
      assert.equal(await codeOf(response), expected, route);
    }
  });

test('after all these refusals nothing is in flight, and the log is as it was', async () => {
  const { proposals } = await (await app.get('/registry/proposals')).json();
  assert.deepEqual(
    proposals.map((p: { state: string }) => p.state),
    ['committed'],
  );
  assert.equal(app.registry.head()?.version, 0);
});

test('only application/json is taken, in UTF-8', async () => {
  const refused = [
    ...['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x'],
    ...['application/json; charset=utf-16', 'application/json; charset=latin1', 'text/json'],
    ...['application/json5', 'application/problem+json', 'application/json, text/plain', '*/*'],
    ...['application/json; profile=x', 'xapplication/json'],
  ];
  for (const type of refused) {
    const response = await app.post('/registry/proposals', VALID, { 'content-type': type });
    assert.deepEqual([response.status, await codeOf(response)], [415, 'unsupported_media_type']);
  }
  const bytes = new TextEncoder().encode('null');
  assert.equal(
    await codeOf(await app.post('/registry/proposals', bytes, {})),
    'unsupported_media_type',
  );
  for (const type of [
    'application/json',
    'Application/JSON; charset=UTF-8',
    'application/json;charset="utf-8"',
  ]) {
    const response = await app.post('/registry/proposals', 'null', { 'content-type': type });
    assert.equal(await codeOf(response), 'invalid_payload', type);
  }
});

test('a content-encoding is refused before a byte is read', async () => {
  for (const coding of ['gzip', 'br', 'zstd', 'identity', 'x']) {
    const { body, pulled } = endless();
    const headers = { ...JSON_TYPE, 'content-encoding': coding };
    const response = await app.post('/registry/proposals', body, headers);
    assert.deepEqual([response.status, await codeOf(response)], [415, 'unsupported_encoding']);
    assert.equal(response.headers.get('accept-encoding'), 'identity');
    assert.ok(pulled() <= 1);
  }
});

/** A body that never ends, in pieces of 64 KiB, and how many of them were asked for. */
function endless(): { body: ReadableStream; pulled: () => number; cancelled: () => boolean } {
  let pulled = 0;
  let isCancelled = false;
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      pulled++;
      controller.enqueue(new Uint8Array(65_536).fill(0x20));
    },
    cancel: () => {
      isCancelled = true;
    },
  });
  return { body, pulled: () => pulled, cancelled: () => isCancelled };
}

test('a body is counted as it comes, and dropped at the first byte too many', async () => {
  const { body, pulled, cancelled } = endless();
  const response = await app.post('/registry/proposals', body);
  assert.deepEqual([response.status, await codeOf(response)], [413, 'too_large']);
  assert.ok(cancelled());
  assert.ok(pulled() <= MAX_PAYLOAD_BYTES / 65_536 + 3, `${pulled()} pieces`);
});

test('a body in 4,096 parts is read, one in 4,097 is not', async () => {
  const inParts = (count: number) =>
    new ReadableStream<Uint8Array>({
      pull: (controller) => {
        controller.enqueue(Uint8Array.of(0x20));
        if (--count === 0) controller.close();
      },
    });
  // White space and no end: only a body that was read is looked at.
  const code = async (count: number) =>
    codeOf(await app.post('/registry/proposals', inParts(count)));
  assert.deepEqual([await code(4_096), await code(4_097)], ['malformed', 'too_large']);
});

test('a declared length over the limit is refused unread, a false one does not help', async () => {
  const { body, pulled } = endless();
  const declared = { ...JSON_TYPE, 'content-length': `${MAX_PAYLOAD_BYTES + 1}` };
  assert.equal(await codeOf(await app.post('/registry/proposals', body, declared)), 'too_large');
  assert.ok(pulled() <= 1);
  const liar = { ...JSON_TYPE, 'content-length': '10' };
  const answer = await app.post('/registry/proposals', endless().body, liar);
  assert.equal(await codeOf(answer), 'too_large');
});

test('a payload of exactly 1 MiB is read, one byte more is not', async () => {
  const filled = (bytes: number) => `"${'a'.repeat(bytes - 2)}"`;
  const exact = await app.post('/registry/proposals', filled(MAX_PAYLOAD_BYTES));
  assert.equal(await codeOf(exact), 'invalid_payload');
  const more = await app.post('/registry/proposals', filled(MAX_PAYLOAD_BYTES + 1));
  assert.equal(await codeOf(more), 'too_large');
});

test('a body that breaks off is refused, and is no failure of the service', async () => {
  const { lines } = app;
  const before = lines.filter(({ level }) => level === 'error').length;
  const body = new ReadableStream({
    pull: (controller) => controller.error(new Error('socket hang up')),
  });
  const response = await app.post('/registry/proposals', body);
  assert.deepEqual([response.status, await codeOf(response)], [400, 'malformed']);
  assert.equal(lines.filter(({ level }) => level === 'error').length, before);
});

test('an approval has a small limit, and the same refusals', async () => {
  const post = async (body: string) => codeOf(await app.post(`/registry/approvals/${ID}`, body));
  assert.equal(await post(`"${'a'.repeat(5_000)}"`), 'too_large');
  assert.equal(await post(''), 'malformed');
  assert.equal(await post('{"b":1,"a":1}'), 'not_canonical');
  assert.equal(await post('{"algo":1,"algo":2}'), 'not_canonical');
  assert.equal(await post('{"__proto__":1}'), 'invalid_payload');
  assert.equal(await post('{}'), 'invalid_approval');
  assert.equal(await post('['.repeat(40)), 'too_deep');
});

test('a commit takes no body', async () => {
  const response = await app.post(`/registry/commit/${ID}`, '{}');
  assert.deepEqual([response.status, await codeOf(response)], [400, 'invalid_request']);
  const empty = await app.post(`/registry/commit/${ID}`, new Uint8Array());
  assert.equal(await codeOf(empty), 'unknown_proposal');
});

test('an unknown query parameter is refused on every route that has parameters', async () => {
  const paths = [
    ...['/registry/head', '/registry/head/entry', '/registry/0', '/registry/0/set'],
    ...['/registry/0/governance', '/registry/0/descriptors/service/a', '/registry/stream'],
    ...['/registry/diff?from=0', '/registry/entries?from=0', '/registry/history/service/a'],
    ...['/registry/proposals', `/registry/proposals/${ID}`, '/version', '/openapi.json'],
    ...['/checkpoint', '/tile/0/000.p/1', '/tile/entries/000.p/1', '/registry/0/tlog-proof'],
    ...['/registry/proof/inclusion/0', '/registry/proof/inclusion/0/1'],
    ...['/registry/proof/consistency/0/1'],
  ];
  for (const path of paths) {
    const response = await app.get(`${path}${path.includes('?') ? '&' : '?'}utm=1`);
    assert.deepEqual([response.status, await codeOf(response)], [400, 'invalid_request'], path);
  }
  for (const path of ['/registry/proposals', `/registry/commit/${ID}`])
    assert.equal(await codeOf(await app.post(`${path}?x=1`, '{}')), 'invalid_request');
});

test('no path, query or header makes a read fail', async () => {
  const text = fc.string({ unit: 'grapheme-ascii', maxLength: 12 });
  const segment = fc.oneof(
    text,
    fc.constantFrom('registry', 'head', '0', 'set', 'diff', '%', '%2F'),
    fc.constantFrom('tile', 'entries', '000.p', '1', 'proof', 'inclusion', 'consistency'),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(segment, { maxLength: 6 }),
      fc.array(fc.tuple(fc.constantFrom('after', 'from', 'to', 'limit', 'proof', 'size'), text)),
      text.filter((t) => /^[\x21-\x7e]*$/.test(t)),
      async (segments, query, header) => {
        const search = query
          .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
          .join('&');
        const path = `/${segments.map((s) => s.replace(/[?#\\]/g, '')).join('/')}?${search}`;
        if (!URL.canParse(`http://127.0.0.1:7070${path}`)) return;
        const headers = { 'if-none-match': header, 'accept-encoding': header, 'x-corr-id': header };
        assert.ok((await app.get(path, headers)).status < 500, path);
      },
    ),
    { numRuns: 500 },
  );
});
