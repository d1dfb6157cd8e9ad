/** The walk over the log after a start, as a server runs it: in a thread, behind what it serves. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import Database from 'better-sqlite3';
import { put } from '../support/registry.ts';
import {
  beginOver,
  clientOf,
  commitOver,
  makeDataDir,
  startTestServer,
  type TestServer,
} from '../support/server-start.ts';
import { descriptorsPayload } from '../support/signers.ts';

/** In its entry alone: no descriptor holds the note of a payload. */
const NOTE = 'the note that a disk changes';
const DEADLINE_MS = 30_000;

/** Three entries, the second with `NOTE`, in the database of a server that has stopped. */
async function makeLog(t: TestContext): Promise<{ data: string; path: string }> {
  const data = makeDataDir();
  const server = await startTestServer(t, { profile: 'macronode', data });
  const client = clientOf(server.url);
  const registry = await beginOver(client);
  for (const note of [NOTE, 'another']) {
    const change = put(note.replaceAll(' ', '-'), {});
    await commitOver(
      client,
      descriptorsPayload(registry, [change], { note, createdAt: Date.now() }),
    );
  }
  await server.stop();
  return { data, path: join(data, 'registry.db') };
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
  return records.some(({ msg, entries }) => /is whole/.test(String(msg)) && entries === 3);
}

test('damage that no reader has asked for ends writes, and reads go on', async (t) => {
  const { data, path } = await makeLog(t);
  // Also where its proposal stood, which is free now.
  const file = readFileSync(path, 'latin1');
  assert.ok(file.includes(NOTE));
  writeFileSync(path, file.replaceAll(NOTE, NOTE.replace('t', 'T')), 'latin1');
  const server = await startTestServer(t, { profile: 'macronode', data });
  // A signed checkpoint vouches for the log: nobody waits for the walk.
  assert.equal((await readinessOf(server)).write_ready, true);
  const { ready, missing } = await until(server, ({ write_ready }) => !write_ready);
  assert.equal(ready, true);
  assert.match(missing.join(), /a whole log: restore the store/);
  assert.equal((await fetch(`${server.url}/registry/head`)).status, 200);
  assert.equal((await fetch(`${server.url}/registry/1`)).status, 500);
  assert.equal(saysWhole(server), false);
});

test('a log that nothing vouches for takes writes once the thread has been through it', async (t) => {
  const { data, path } = await makeLog(t);
  const db = new Database(path);
  assert.equal(db.prepare('DELETE FROM checkpoint').run().changes, 1);
  db.close();
  const server = await startTestServer(t, { profile: 'macronode', data });
  await until(server, ({ write_ready }) => write_ready);
  assert.ok(saysWhole(server));
  assert.equal((await fetch(`${server.url}/checkpoint`)).status, 200);
});

test('a stop waits for no walk', async (t) => {
  const { data } = await makeLog(t);
  const server = await startTestServer(t, { profile: 'macronode', data });
  await server.stop();
  assert.equal(saysWhole(server), false);
  // And where it is left alone, it ends well.
  const another = await startTestServer(t, { profile: 'macronode', data });
  for (const deadline = performance.now() + DEADLINE_MS; !saysWhole(another); ) {
    assert.ok(performance.now() < deadline);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.equal((await readinessOf(another)).write_ready, true);
});
