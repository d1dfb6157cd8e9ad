/** The walk over a long log after a start, as a server runs it: in a thread, behind what it serves. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import Database from 'better-sqlite3';
import { makeLongLog } from '../performance/long-log.ts';
import { makeDataDir, startTestServer, type TestServer } from '../support/server-start.ts';

/** After genesis: one more than are walked where they are served. */
const ENTRIES = 1_025;
const DAMAGED = 500;
const DEADLINE_MS = 30_000;

/** A data directory with a log that a signed checkpoint covers. */
async function makeLog(): Promise<{ data: string; path: string }> {
  const data = makeDataDir();
  mkdirSync(data);
  const path = join(data, 'registry.db');
  await makeLongLog({ path, count: ENTRIES, descriptors: 10, signerCount: 1, threshold: 1 });
  return { data, path };
}

function start(t: TestContext, data: string): Promise<TestServer> {
  return startTestServer(t, { profile: 'macronode', data });
}

/** A byte of the payload that the entry keeps; no other place has the same bytes. */
function damage(path: string): void {
  const db = new Database(path, { readonly: true });
  const payload = db
    .prepare<[number], Buffer>('SELECT payload FROM entries WHERE version = ?')
    .pluck()
    .get(DAMAGED);
  db.close();
  const text = payload?.toString('latin1') ?? '';
  const file = readFileSync(path, 'latin1');
  assert.equal(file.split(text).length, 2);
  writeFileSync(path, file.replace(text, text.replace('service', 'Service')), 'latin1');
}

interface Ready {
  readonly ready: boolean;
  readonly write_ready: boolean;
  readonly missing: readonly string[];
}

async function readinessOf({ url }: TestServer): Promise<Ready> {
  return (await (await fetch(`${url}/readyz`)).json()) as Ready;
}

async function until(server: TestServer, isSo: (ready: Ready) => boolean): Promise<Ready> {
  for (const deadline = performance.now() + DEADLINE_MS; ; ) {
    const ready = await readinessOf(server);
    if (isSo(ready)) return ready;
    assert.ok(performance.now() < deadline, `still ${JSON.stringify(ready)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function saysWhole({ records }: TestServer): boolean {
  return records.some(
    ({ msg, entries }) => /is whole/.test(String(msg)) && entries === ENTRIES + 1,
  );
}

test('damage that no reader has asked for ends writes, and reads go on', async (t) => {
  const { data, path } = await makeLog();
  damage(path);
  const server = await start(t, data);
  // A signed checkpoint vouches for the log: nobody waits for the walk.
  assert.equal((await readinessOf(server)).write_ready, true);
  const { ready, missing } = await until(server, ({ write_ready }) => !write_ready);
  assert.equal(ready, true);
  assert.match(missing.join(), /a whole log: restore the store/);
  assert.equal((await fetch(`${server.url}/registry/head`)).status, 200);
  assert.equal((await fetch(`${server.url}/registry/${DAMAGED}`)).status, 500);
  assert.equal(saysWhole(server), false);
});

test('a log that nothing vouches for takes writes once the thread has been through it', async (t) => {
  const { data, path } = await makeLog();
  const db = new Database(path);
  assert.equal(db.prepare('DELETE FROM checkpoint').run().changes, 1);
  db.close();
  const server = await start(t, data);
  await until(server, ({ write_ready }) => write_ready);
  assert.ok(saysWhole(server));
  assert.equal((await fetch(`${server.url}/checkpoint`)).status, 200);
});

test('a stop waits for no walk, and a walk that is left alone ends well', async (t) => {
  const { data } = await makeLog();
  const server = await start(t, data);
  await server.stop();
  assert.equal(saysWhole(server), false);
  const another = await start(t, data);
  for (const deadline = performance.now() + DEADLINE_MS; !saysWhole(another); ) {
    assert.ok(performance.now() < deadline);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.equal((await readinessOf(another)).write_ready, true);
});
