/** Blobs through deploy/nginx.conf in Debian's nginx: of any size, and neither refused, cached nor kept on the way. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { hashOf } from '../../src/core/hash.ts';
import { startBehindNginx } from '../support/behind-nginx.ts';
import { makeBlob } from '../support/blobs.ts';
import { runCli } from '../support/cli-io.ts';
import { ask, isNginxMissing, type RawAnswer } from '../support/nginx.ts';
import { makeDataDir } from '../support/server-start.ts';

const MEBIBYTE = 1024 * 1024;
/** Past client_max_body_size of all else. */
const BLOB = makeBlob(3 * MEBIBYTE);

/** nginx says keep-alive and hangs up, where an upload is refused before all of it has come. */
const ALONE = { connection: 'close' };

/** `blob` runs `quorate blob` through nginx, with a token. */
async function openStage(t: TestContext, settings: Readonly<Record<string, string>> = {}) {
  const data = makeDataDir();
  const kept = { profile: 'macronode', data, blobs: 'on' };
  const { server, token, proxyUrl } = await startBehindNginx(t, { ...kept, ...settings });
  const file = join(dirname(data), 'file');
  writeFileSync(file, BLOB.bytes);
  const env = { QUORATE_URL: proxyUrl, QUORATE_TOKEN: token };
  return {
    file,
    authorization: `Bearer ${token}`,
    path: `${proxyUrl}/blobs/${BLOB.address}`,
    directPath: `${server.url}/blobs/${BLOB.address}`,
    blob: (...argv: readonly string[]) => runCli(['blob', ...argv], { env }),
  };
}

/** Of one exchange or one connection. */
const OF_THE_WAY = new Set(['date', 'connection', 'keep-alive', 'server', 'x-corr-id']);

function substanceOf({ status, headers, body }: RawAnswer): object {
  const others = Object.entries(headers).filter(([name]) => !OF_THE_WAY.has(name));
  return { status, body: hashOf(body), headers: Object.fromEntries(others) };
}

test('a blob of 3 MB is put and got through nginx, byte for byte, whole and by range', async (t) => {
  if (isNginxMissing(t)) return;
  const { file, path, directPath, blob } = await openStage(t);
  const put = await blob('put', file);
  assert.deepEqual([put.code, put.stdout.trim()], [0, BLOB.address], put.stderr);
  const got = await blob('get', BLOB.address, '--out', `${file}.got`);
  assert.equal(got.code, 0, got.stderr);
  assert.ok(readFileSync(`${file}.got`).equals(BLOB.bytes));
  const ranges = ['', 'bytes=1000000-2500009', 'bytes=-9', 'bytes=9999999-', 'bytes=0-1,5-6'];
  for (const method of ['GET', 'HEAD'])
    for (const range of ranges) {
      const headers = { 'x-corr-id': 'one', ...(range !== '' && { range }) };
      const options = { method, headers };
      const answer = await ask(path, options);
      assert.deepEqual(substanceOf(answer), substanceOf(await ask(directPath, options)), range);
      assert.equal(answer.headers['x-corr-id'], 'one');
    }
  const { status, body } = await ask(path, { headers: { range: 'bytes=1000000-2500009' } });
  assert.equal(status, 206);
  assert.ok(body.equals(BLOB.bytes.subarray(1_000_000, 2_500_010)));
  const known = await ask(path, { headers: { 'if-none-match': `"${BLOB.address}"` } });
  assert.deepEqual([known.status, known.body.length], [304, 0]);
});

test('a blob is put through nginx in chunks, and by nobody without a token', async (t) => {
  if (isNginxMissing(t)) return;
  const { authorization, path } = await openStage(t);
  const headers = { 'transfer-encoding': 'chunked', ...ALONE };
  const chunked = { method: 'PUT', body: BLOB.bytes, headers };
  assert.equal((await ask(path, chunked)).status, 401);
  const withToken = { ...chunked, headers: { ...headers, authorization } };
  assert.equal((await ask(path, withToken)).status, 201);
  assert.equal((await ask(path, withToken)).status, 200);
  assert.ok((await ask(path)).body.equals(BLOB.bytes));
});

test('a blob that is too large is refused through nginx by the server', async (t) => {
  if (isNginxMissing(t)) return;
  // What is left of a refused upload holds up the end of the server.
  const settings = { max_blob_bytes: '1MiB', drain_timeout: '200ms' };
  const { authorization, path } = await openStage(t, settings);
  for (const coding of [{}, { 'transfer-encoding': 'chunked' }]) {
    const headers = { ...coding, ...ALONE, authorization };
    const refused = await ask(path, { method: 'PUT', body: BLOB.bytes, headers });
    assert.equal(refused.status, 413);
    assert.equal(JSON.parse(refused.body.toString()).code, 'too_large');
  }
});
