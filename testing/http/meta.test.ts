import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { decodeUtf8 } from '../../src/core/bytes.ts';
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
