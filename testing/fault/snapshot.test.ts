/** Snapshots of a registry in trouble: under load, on a full disk, over damage. */
import assert from 'node:assert/strict';
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openSqliteReader } from '../../src/store/sqlite.ts';
import { checkLog } from '../support/check-log.ts';
import { runCli } from '../support/cli-io.ts';
import { lying } from '../support/lying-store.ts';
import { mountSmall } from '../support/mount.ts';
import { openOperator } from '../support/operator.ts';
import { put } from '../support/registry.ts';
import { beginOver, clientOf, commitOver, startTestServer } from '../support/server-start.ts';
import { descriptorsPayload } from '../support/signers.ts';
import { unpackTest } from '../support/snapshot.ts';
import { cellsOf } from '../support/store-cells.ts';
import { makeDirectory } from '../support/store-sqlite.ts';

const SIZE = 48 * 1024 * 1024;
const EXPIRED_BEFORE = '2020-01-01T00:00:00.000Z';

test('commits go on while a snapshot is made: none waits for it, and it holds each one or none of it', async (t) => {
  const real = await openOperator(t);
  const pad = 'x'.repeat(900_000);
  for (let i = 0; i < 6; i++) await real.change(put(`big-${i}`, { pad }));
  const before = real.registry.head()?.version ?? 0;
  const startMs = performance.now();
  let tookMs = 0;
  const asked = real.post('/operator/snapshot').then((answer) => {
    tookMs = performance.now() - startMs;
    return answer;
  });
  const latenciesMs: number[] = [];
  const some = 'y'.repeat(10_000);
  while (tookMs === 0) {
    const commitMs = performance.now();
    await real.change(put(`small-${latenciesMs.length}`, { some }));
    latenciesMs.push(performance.now() - commitMs);
  }
  const { status, body } = await asked;
  assert.equal(status, 200);
  const slowestMs = Math.max(...latenciesMs);
  t.diagnostic(
    `${latenciesMs.length} commits in ${Math.round(tookMs)} ms, the slowest took ${Math.round(slowestMs)} ms`,
  );
  // Commits that waited for the whole of it would be one before its end and one after.
  assert.ok(latenciesMs.length >= 6, `${latenciesMs.length} commits`);
  const version = Number(body.version);
  assert.ok(version >= before && version < before + latenciesMs.length);
  await using copy = openSqliteReader({ path: await unpackTest(String(body.path)) });
  assert.equal((await checkLog(copy))?.version, version);
});

test('on a disk that is full, or becomes full, a snapshot is refused and the registry is unharmed', async (t) => {
  const dataDir = mountSmall(t, String(SIZE));
  if (dataDir === undefined) return;
  const ballast = join(dataDir, 'ballast');
  const fill = () => {
    assert.throws(() => writeFileSync(ballast, new Uint8Array(SIZE)), { code: 'ENOSPC' });
  };
  let isFilled = false;
  const real = await openOperator(t, {
    dataDir,
    wrap: (store) =>
      lying(store, {
        snapshot: (target) => {
          fill();
          isFilled = true;
          return store.snapshot(target);
        },
      }),
  });
  await real.change(put('a', { pad: 'x'.repeat(500_000) }));
  await real.store.compact({ expiredBefore: EXPIRED_BEFORE });
  const meanwhile = await real.post('/operator/snapshot');
  assert.ok(isFilled, 'the disk was not filled while the copy was made');
  assert.deepEqual([meanwhile.status, meanwhile.body.code], [503, 'read_only']);
  assert.deepEqual(readdirSync(join(dataDir, 'snapshots')), []);

  isFilled = false;
  const before = await real.post('/operator/snapshot');
  assert.deepEqual([before.body.code, isFilled], ['read_only', false]);
  assert.match(String(before.body.detail), /bytes free for a snapshot.*make room/);
  const frozen = await real.post('/operator/freeze', { reason: 'the disk is full' });
  assert.deepEqual([frozen.status, frozen.body.code], [503, 'read_only']);
  assert.equal(real.freeze.refusal()?.code, 'frozen', 'it holds though it could not be kept');

  rmSync(ballast);
  assert.equal((await real.post('/operator/freeze', { reason: 'again' })).status, 200);
  assert.ok(existsSync(join(dataDir, 'freeze.json')));
  await real.post('/operator/thaw', { reason: 'there is room' });
  assert.equal((await real.change(put('b', {}))).version, 2);
  assert.equal((await checkLog(real.store))?.version, 2);
  assert.deepEqual(real.fatal, []);
});

test('a byte that a disk changed under a running registry ends a snapshot, not the registry', async (t) => {
  const real = await openOperator(t);
  await real.change(put('a', { v: 1 }));
  await real.change(put('b', {}));
  await real.store.compact({ expiredBefore: EXPIRED_BEFORE });
  const file = readFileSync(real.databasePath);
  const copy = join(makeDirectory(), 'copy.db');
  writeFileSync(copy, file);
  const cells = cellsOf(copy).filter(
    ({ tree, part, row }) =>
      row === 0 && ['entries.payload', 'spans.bytes', 'nodes.hash'].includes(`${tree}.${part}`),
  );
  assert.equal(cells.length, 3);
  for (const { offsets, tree } of cells) {
    const at = offsets[20] ?? 0;
    poke(real.databasePath, at, (file[at] ?? 0) ^ 1);
    const { status, body } = await real.post('/operator/snapshot');
    assert.deepEqual([status, body.code], [500, 'storage_damaged'], tree);
    assert.match(String(body.detail), /expected /);
    assert.deepEqual(readdirSync(join(real.dataDir, 'snapshots')), []);
    poke(real.databasePath, at, file[at] ?? 0);
  }
  const { status, body } = await real.post('/operator/snapshot');
  assert.equal(status, 200);
  assert.ok(statSync(join(real.dataDir, 'snapshots', String(body.file))).size > 0);
  assert.deepEqual(
    real.events.map(({ decision, code }) => [decision, code]),
    [...cells.map(() => ['refused', 'storage_damaged']), ['accepted', null]],
  );
  assert.equal((await real.change(put('c', {}))).version, 3);
});

/** As a disk would, behind the back of who has the file open. */
function poke(path: string, at: number, byte: number): void {
  const descriptor = openSync(path, 'r+');
  writeSync(descriptor, Uint8Array.of(byte), 0, 1, at);
  closeSync(descriptor);
}

test('a snapshot that would leave less than writes need is refused, and no write is', async (t) => {
  const data = mountSmall(t, '200m');
  if (data === undefined) return;
  const server = await startTestServer(t, { profile: 'macronode', data, ballast: '0B' });
  const client = clientOf(server.url);
  const registry = await beginOver(client);
  const { bavail, bsize } = statfsSync(data);
  // 11 MiB above the mark at which writes are refused: more than the snapshot takes.
  const filler = join(data, 'filler');
  writeFileSync(filler, new Uint8Array(bavail * bsize - 75 * 1024 * 1024));
  const create = ['--json', 'snapshot', 'create', '--socket', join(data, 'operator.sock')];
  const refused = await runCli(create);
  assert.equal(refused.code, 4);
  assert.match(refused.stderr, /bytes free for a snapshot, got \d+: make room/);
  const payload = descriptorsPayload(registry, [put('a', {})], { createdAt: Date.now() });
  await commitOver(client, payload);
  truncateSync(filler, 0);
  const made = await runCli(create);
  assert.equal(made.code, 0, made.stderr);
});
