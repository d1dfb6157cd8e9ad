/** A large set over HTTP: prepared by a thread, the same bytes as without it, and no file after the end. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { databasePath } from '../../src/server/open-store.ts';
import { type LogChange, makeLongLog } from '../performance/long-log.ts';
import { makeDataDir, startTestServer } from '../support/server-start.ts';

const ENTRIES = 20;
const PUTS = 300;

/** Together more than is held in memory. */
function* largeSet(): Generator<readonly LogChange[]> {
  for (let entry = 0; entry < ENTRIES; entry++)
    yield Array.from({ length: PUTS }, (_, i) => ({
      kind: 'service',
      id: `d${entry * PUTS + i}`,
      spec: { text: `${i}`.repeat(1_100) },
    }));
}

async function makeData(): Promise<string> {
  const data = makeDataDir();
  await mkdir(data);
  const path = databasePath(data);
  await makeLongLog({ path, count: ENTRIES, changes: largeSet(), signerCount: 1, threshold: 1 });
  return data;
}

test('a large set is prepared once, sent with its length, and the same as from the database', async (t) => {
  const data = await makeData();
  const names = () => readdirSync(join(data, 'sets'));

  const server = await startTestServer(t, { profile: 'macronode', data });
  const [one, other] = await Promise.all([
    fetch(`${server.url}/registry/head/set`),
    fetch(`${server.url}/registry/${ENTRIES}/set`, { headers: { 'accept-encoding': 'br' } }),
  ]);
  const text = await one.text();
  assert.ok(text.length > 16 * 1024 * 1024, `${text.length} bytes would be held`);
  assert.equal(one.headers.get('content-length'), `${text.length}`);
  assert.equal(one.headers.get('content-location'), `/registry/${ENTRIES}/set`);
  assert.equal(await other.text(), text);
  assert.equal(other.headers.get('content-encoding'), null);
  assert.equal(other.headers.get('cache-control'), 'public, max-age=31536000, immutable');
  const prepared = server.records.filter(({ msg }) => msg === 'a whole set was prepared');
  assert.deepEqual([prepared.length, names().length], [1, 1]);

  const etag = one.headers.get('etag') ?? '';
  const known = await fetch(one.url, { headers: { 'if-none-match': etag } });
  assert.equal(known.status, 304);
  const bare = await fetch(one.url, { method: 'HEAD' });
  assert.deepEqual([bare.status, bare.headers.get('content-length')], [200, `${text.length}`]);

  // Who goes away in the middle of it holds up nobody.
  const left = await fetch(one.url);
  await left.body?.getReader().cancel();
  await server.stop();
  assert.deepEqual(names(), []);

  const without = await startTestServer(t, {
    profile: 'macronode',
    data,
    max_prepared_sets: '0B',
  });
  const streamed = await fetch(`${without.url}/registry/${ENTRIES}/set`);
  assert.equal(streamed.headers.get('content-length'), null);
  assert.equal(streamed.headers.get('etag'), etag);
  assert.equal((await streamed.text()) === text, true, 'other bytes');
  assert.deepEqual(names(), []);
});
