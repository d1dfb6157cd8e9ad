/** Which snapshots a pruning may rest on: those of the registry's own history, and no others that look like them. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { readFrom } from '../../../src/server/snapshot/directory-place.ts';
import { snapshotName } from '../../../src/server/snapshot/header.ts';
import { openSnapshot } from '../../../src/server/snapshot/unpack.ts';
import { openSqliteReader } from '../../../src/store/sqlite.ts';
import { openOperator, type TestOperator } from '../../support/operator.ts';
import { keepCheckpoint, openTestRegistry, put } from '../../support/registry.ts';
import { packTest, unpackTest, withHeader } from '../../support/snapshot.ts';
import { makeDirectory, openStore } from '../../support/store-sqlite.ts';

/** A snapshot of a registry with the same genesis that went another way: versions 1 to `versions`. */
async function packOther(t: TestContext, versions: number): Promise<string> {
  const store = await openStore(t, join(makeDirectory(), 'registry.db'));
  const other = await openTestRegistry({ store });
  for (let i = 1; i <= versions; i++) await other.change(put(`other${i}`, {}));
  await keepCheckpoint(other);
  const path = join(makeDirectory(), 'registry.db');
  await store.snapshot({ path });
  return (await packTest(path)).path;
}

/** Where the server looks, under the name that its header gives it. */
async function place({ dataDir }: TestOperator, path: string): Promise<string> {
  const { id, header, body } = await openSnapshot(readFrom(path, 0));
  await body.return();
  const name = snapshotName({ version: header.version, id });
  mkdirSync(join(dataDir, 'snapshots'), { recursive: true });
  renameSync(path, join(dataDir, 'snapshots', name));
  return name;
}

async function openGrown(t: TestContext): Promise<TestOperator> {
  const server = await openOperator(t);
  for (let i = 1; i <= 4; i++) await server.change(put(`d${i}`, {}));
  await keepCheckpoint(server);
  return server;
}

/** The name of the snapshot that holds what was pruned, and the payload of version 1 that is in it. */
async function prune(server: TestOperator): Promise<readonly [name: string, payload: string]> {
  const { status, body } = await server.post('/operator/prune', { oldest: 3, reason: 'a test' });
  assert.equal(status, 200, JSON.stringify(body));
  const name = String(body.snapshot);
  const path = await unpackTest(join(server.dataDir, 'snapshots', name));
  await using store = openSqliteReader({ path });
  return [name, Buffer.from((await store.entry(1))?.payload ?? []).toString()];
}

test('a snapshot of another history with the same genesis covers nothing, as far as it goes', async (t) => {
  for (const versions of [4, 9]) {
    const server = await openGrown(t);
    const foreign = await place(server, await packOther(t, versions));
    const [name, payload] = await prune(server);
    assert.notEqual(name, foreign);
    assert.match(payload, /"id":"d1"/, 'what was pruned is in the snapshot that was named');
    assert.match(server.warnings.map(({ message }) => message).join(), /of another history/);
  }
});

test('a snapshot taken while versions were being dropped does not cover them', async (t) => {
  const server = await openGrown(t);
  await server.store.setOldest(3);
  assert.equal((await server.post('/operator/snapshot')).status, 200);
  const { status, body } = await server.post('/operator/prune', { oldest: 3 });
  assert.deepEqual([status, body.code], [500, 'storage_failed']);
  assert.notEqual((await server.store.entry(1))?.payload.length, 0);
});

test('a snapshot whose header claims more than its own checkpoint covers is of another history', async (t) => {
  const server = await openGrown(t);
  const early = join(makeDirectory(), 'registry.db');
  await server.store.snapshot({ path: early });
  const { path } = await packTest(early);
  const { header } = await openSnapshot(readFrom(path, 0));
  const checkpoint = header.checkpoint?.replace(/\n5\n/, '\n99\n') ?? '';
  assert.notEqual(checkpoint, header.checkpoint);
  const forged = await place(server, withHeader(path, { checkpoint }));
  const broken = await place(server, withHeader(path, { checkpoint: 'no note' }));
  const [name] = await prune(server);
  assert.ok(![forged, broken].includes(name));
  assert.equal(readdirSync(join(server.dataDir, 'snapshots')).length, 3);
});
