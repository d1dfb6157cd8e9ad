import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { decodeUtf8 } from '../../src/core/bytes.ts';
import { RegistryError } from '../../src/core/error.ts';
import { alarmRefusal } from '../../src/registry/witness.ts';
import { codeOf, openTestApp } from '../support/http-app.ts';
import { put } from '../support/registry.ts';
import { descriptorsPayload } from '../support/signers.ts';

test('the version names the program and the wire format', async () => {
  const { get } = await openTestApp();
  const build = { name: 'quorate', version: '0.1.0', revision: null, schema_versions: ['1.0.0'] };
  assert.deepEqual(await (await get('/version')).json(), build);
});

test('liveness is ok whatever the registry says, under any query', async () => {
  const { get, registry } = await openTestApp({ registry: { isBegun: false } });
  registry.drain();
  for (const path of ['/livez', '/healthz', '/livez?verbose'])
    assert.equal(await (await get(path)).text(), 'ok\n');
});

test('readiness is 200 or 503 with what is missing, and no problem document', async () => {
  const { get, registry, head } = await openTestApp();
  const ready = await get('/readyz');
  assert.deepEqual(await ready.json(), { ready: true, write_ready: true, missing: [], version: 0 });
  registry.drain();
  const draining = await get('/readyz');
  const { ready: isReady, missing } = await draining.json();
  assert.deepEqual([draining.status, isReady, missing.length], [503, false, 1]);
  assert.equal((await head('/readyz')).status, 503);
});

test('readiness lists every condition when it is asked to, shut ones with what they miss', async () => {
  const gate = { name: 'storage', refusal: () => shut };
  let shut: RegistryError | undefined;
  const { get } = await openTestApp({ registry: { gates: [gate] } });
  const names = ['genesis', 'running', 'store', 'log', 'checkpoint', 'storage'];
  const checks = names.map((name) => ({ name, ok: true, missing: null }));
  const open = { ready: true, write_ready: true, missing: [], version: 0 };
  for (const query of [
    '?verbose',
    '?verbose=1',
    '?verbose=true',
    '?exclude=x&verbose',
    '?verbose&verbose',
  ])
    assert.deepEqual(await (await get(`/readyz${query}`)).json(), { ...open, checks }, query);
  for (const query of ['', '?', '?verbose=0', '?verbose=false', '?verbos', '?verbose%00'])
    assert.deepEqual(await (await get(`/readyz${query}`)).json(), open, query);

  shut = new RegistryError('storage_slow', 'expected a quick store, got a slow one');
  const response = await get('/readyz?verbose');
  assert.equal(response.status, 200, 'a service that only sheds writes keeps its readers');
  const body = await response.json();
  assert.deepEqual([body.ready, body.write_ready], [true, false]);
  assert.deepEqual(body.missing, [shut.message]);
  assert.deepEqual(body.checks.at(-1), { name: 'storage', ok: false, missing: shut.message });
});

test('a gate that is shut answers writes with its code, Retry-After and a reason', async () => {
  const rows = [
    ['storage_slow', 503, '5'],
    ['loop_late', 503, '2'],
    ['read_only', 503, '30'],
    ['frozen', 503, '60'],
    ['not_ready', 503, '5'],
    ['overloaded', 429, '1'],
  ] as const;
  let code: (typeof rows)[number][0] = 'frozen';
  const gate = {
    name: 'gate',
    refusal: () =>
      isShut ? new RegistryError(code, 'expected an open gate, got a shut one') : undefined,
  };
  let isShut = false;
  const { get, post, registryHash } = await openTestApp({ registry: { gates: [gate] } });
  const payload = decodeUtf8(descriptorsPayload(registryHash, [put('a', {})]).bytes);
  isShut = true;
  for (const row of rows) {
    [code] = row;
    const response = await post('/registry/proposals', payload);
    const problem = await response.json();
    const told = [problem.code, response.status, response.headers.get('retry-after')];
    assert.deepEqual([told, problem.details], [[...row], { reason: 'gate' }]);
    assert.equal((await get('/registry/head')).status, 200);
  }
  isShut = false;
  assert.equal((await post('/registry/proposals', payload)).status, 202);
});

test('a witness that is ahead shuts writes with a reason, and nothing else', async () => {
  let refusal: RegistryError | undefined;
  const cosigner = {
    submit: () => undefined,
    refusal: () => refusal,
    [Symbol.asyncDispose]: async () => undefined,
  };
  const { get, post, registryHash } = await openTestApp({
    registry: { cosigners: [() => cosigner] },
  });
  const payload = decodeUtf8(descriptorsPayload(registryHash, [put('a', {})]).bytes);
  refusal = alarmRefusal({ reason: 'ahead', name: 'witness.example.com', theirs: 9, ours: 1 });
  const response = await post('/registry/proposals', payload);
  const { code, details } = await response.json();
  assert.deepEqual([response.status, response.headers.get('retry-after')], [503, '5']);
  assert.deepEqual([code, details.reason], ['not_ready', 'ahead']);
  const { ready, write_ready, checks } = await (await get('/readyz?verbose')).json();
  assert.deepEqual([ready, write_ready], [true, false]);
  assert.deepEqual(checks.find(({ name }: { name: string }) => name === 'checkpoint').ok, false);
  assert.equal((await get('/registry/head')).status, 200);
});

test('while draining, reads go on and writes are told to come back', async () => {
  const { get, post, registry, registryHash } = await openTestApp();
  registry.drain();
  assert.equal((await get('/registry/head')).status, 200);
  const payload = descriptorsPayload(registryHash, [put('a', {})]);
  const response = await post('/registry/proposals', decodeUtf8(payload.bytes));
  assert.deepEqual([response.status, await codeOf(response)], [503, 'draining']);
  assert.equal(response.headers.get('retry-after'), '5');
  // Committed before: repeating it is a read.
  assert.equal((await post(`/registry/commit/${registryHash}`, undefined, {})).status, 200);
});

test('the document it serves is the committed one', async () => {
  const { get } = await openTestApp();
  const file = join(import.meta.dirname, '../../openapi.json');
  const served = await get('/openapi.json');
  assert.deepEqual(await served.json(), JSON.parse(readFileSync(file, 'utf8')));
});

test('each document of the wire format has its schema', async () => {
  const { get } = await openTestApp();
  for (const name of ['payload', 'approval', 'descriptor-set', 'governance']) {
    const schema = await (await get(`/schema/${name}`)).json();
    assert.equal(schema.$id, `urn:quorate:schema:1.0.0:${name}`);
  }
  for (const name of ['x', 'payload.json', 'toString', '__proto__'])
    assert.equal(await codeOf(await get(`/schema/${name}`)), 'not_found');
});
