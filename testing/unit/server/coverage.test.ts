/** Which snapshots a pruning may rest on: those of the registry's own history, and no others that look like them. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { snapshotCoverage } from '../../../src/server/retention/coverage.ts';
import { readFrom } from '../../../src/server/snapshot/directory-place.ts';
import { snapshotName } from '../../../src/server/snapshot/header.ts';
import { Snapshots } from '../../../src/server/snapshot/snapshots.ts';
import { openSnapshot } from '../../../src/server/snapshot/unpack.ts';
import { openSqliteReader } from '../../../src/store/sqlite.ts';
import { openOperator, type TestOperator } from '../../support/operator.ts';
import { keepCheckpoint, openTestRegistry, put, SILENT_LOG } from '../../support/registry.ts';
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

async function openGrown(t: TestContext, dataDir?: string): Promise<TestOperator> {
  const server = await openOperator(t, dataDir === undefined ? {} : { dataDir });
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

/** A copy of the server's database as it is now. */
async function copyOf({ store }: TestOperator): Promise<string> {
  const path = join(makeDirectory(), 'registry.db');
  await store.snapshot({ path });
  return path;
}

test('a file with the header of a true snapshot over other bytes covers nothing', async (t) => {
  const server = await openGrown(t);
  const database = await copyOf(server);
  const { header } = await packTest(database);
  const junk = join(makeDirectory(), 'junk');
  writeFileSync(junk, 'x'.repeat(10_000));
  const pruned = await openStore(t, database);
  await pruned.setOldest(3);
  await pruned.prune();
  const forged: string[] = [];
  for (const path of [junk, await copyOf({ ...server, store: pruned })])
    forged.push(await place(server, (await packTest(path, undefined, header)).path));
  const [name, payload] = await prune(server);
  assert.ok(!forged.includes(name));
  assert.match(payload, /"id":"d1"/);
  const unverified = server.warnings.filter(({ message }) => /could not be verified/.test(message));
  assert.deepEqual(new Set(unverified.map(({ fields }) => fields.name)), new Set(forged));
});

test('a whole snapshot that somebody put there covers what it holds, and leaves nothing beside it', async (t) => {
  const dataDir = makeDirectory();
  const left = join(dataDir, 'snapshots', '.verifying');
  mkdirSync(left, { recursive: true });
  writeFileSync(join(left, 'registry.db'), 'of a process that was killed');
  const server = await openGrown(t, dataDir);
  const put = await place(server, (await packTest(await copyOf(server))).path);
  const [name] = await prune(server);
  assert.equal(name, put);
  assert.equal(existsSync(left), false);
});

test('what was verified once is only hashed again, and what was not needs room', async (t) => {
  const { store, registry, dataDir } = await openGrown(t);
  let minFreeBytes = 0;
  const findAfter = (snapshots: Snapshots) => {
    const coverage = snapshotCoverage({
      directory: join(dataDir, 'snapshots'),
      snapshots,
      registry: () => registry.head()?.object.registry,
      store,
      log: SILENT_LOG,
    });
    return () => coverage.find({ oldest: 0, horizon: 3 }, new AbortController().signal);
  };
  const start = () =>
    new Snapshots({
      store,
      dataDir,
      minFreeBytes: () => minFreeBytes,
      log: SILENT_LOG,
      now: Date.now,
      monotonicMs: () => 0,
    });
  const snapshots = start();
  const { file } = await snapshots.make(new AbortController().signal);
  minFreeBytes = 2 ** 50;
  assert.equal(await findAfter(snapshots)(), file, 'made here');
  const find = findAfter(start());
  assert.equal(await find(), undefined, 'made before a restart, and no room');
  minFreeBytes = 0;
  assert.equal(await find(), file);
  minFreeBytes = 2 ** 50;
  assert.equal(await find(), file, 'verified before');
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
