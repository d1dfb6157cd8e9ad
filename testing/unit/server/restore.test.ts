/** Restoring a snapshot into a directory that somebody else uses meanwhile. */
import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { readFrom } from '../../../src/server/snapshot/directory-place.ts';
import { restoreSnapshot } from '../../../src/server/snapshot/restore.ts';
import type { Chunks } from '../../../src/server/snapshot/unpack.ts';
import { openSqliteReader, openSqliteStore } from '../../../src/store/sqlite.ts';
import { checkLog } from '../../support/check-log.ts';
import { openTestRegistry, put } from '../../support/registry.ts';
import { packTest } from '../../support/snapshot.ts';
import { makeDirectory } from '../../support/store-sqlite.ts';

const IDLE = { metrics: { fsync() {}, checkpointed() {} }, onFatal: assert.fail };

let snapshot: string;

before(async () => {
  const path = join(makeDirectory(), 'registry.db');
  const real = await openTestRegistry({ store: await openSqliteStore({ ...IDLE, path }) });
  await real.change(put('a', {}));
  await real.registry[Symbol.asyncDispose]();
  snapshot = (await packTest(path)).path;
});

function restore(dataDir: string, source: Chunks, judge: () => Promise<void> = async () => {}) {
  const { signal } = new AbortController();
  return restoreSnapshot(source, {
    dataDir,
    registry: undefined,
    onProgress: () => undefined,
    judge,
    signal,
  });
}

async function assertWhole(dataDir: string): Promise<void> {
  assert.ok(!existsSync(join(dataDir, '.unfinished')));
  await using store = openSqliteReader({ path: join(dataDir, 'registry.db') });
  assert.equal((await checkLog(store))?.version, 1);
}

test('a second restore into the same directory is refused, and takes nothing from the first', async () => {
  const dataDir = join(makeDirectory(), 'data');
  const held = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  // What it unpacks before the first one gives its name is no whole database.
  const slow = async function* (): AsyncGenerator<Uint8Array> {
    const bytes = readFileSync(snapshot);
    yield bytes.subarray(0, -100);
    begun.resolve();
    await held.promise;
    yield bytes.subarray(-100);
  };
  let second: Promise<unknown> | undefined;
  await restore(dataDir, readFrom(snapshot, 0), async () => {
    second = restore(dataDir, slow());
    await Promise.race([begun.promise, second.catch(() => undefined)]);
  });
  await assertWhole(dataDir);
  held.resolve();
  await assert.rejects(second ?? Promise.resolve(), {
    code: 'storage_locked',
    message: /expected nobody else to restore to .*data, got another process that does/,
  });
  await assertWhole(dataDir);
});

test('what is left of a restore that was killed is removed, and that of one under way is not', async () => {
  const dataDir = makeDirectory();
  const unfinished = join(dataDir, '.unfinished');
  mkdirSync(unfinished);
  writeFileSync(join(unfinished, 'registry.db'), 'half');
  writeFileSync(join(unfinished, 'restore-lock'), '');
  await restore(dataDir, readFrom(snapshot, 0), async () => {
    await assert.rejects(restore(dataDir, readFrom(snapshot, 0)), { code: 'storage_locked' });
    assert.ok(existsSync(join(unfinished, 'registry.db')));
  });
  assert.deepEqual(readdirSync(dataDir), ['registry.db']);
  await assertWhole(dataDir);
});

test('a link where a restore works leads nowhere', async () => {
  const [dataDir, elsewhere] = [makeDirectory(), makeDirectory()];
  writeFileSync(join(elsewhere, 'mine'), '');
  symlinkSync(elsewhere, join(dataDir, '.unfinished'));
  await restore(dataDir, readFrom(snapshot, 0));
  assert.deepEqual([readdirSync(elsewhere), readdirSync(dataDir)], [['mine'], ['registry.db']]);
});
