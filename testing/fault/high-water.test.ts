/** A high-water mark on a disk that takes no file: refused at the start, and on the page of metrics while it lasts. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { readSignedCheckpoint } from '../../src/core/tlog/note-signatures.ts';
import { assertMarkCanBeKept } from '../../src/server/high-water-file.ts';
import { refusesLater } from '../support/core-assert.ts';
import { makeReadOnly, mountSmall } from '../support/mount.ts';
import {
  beginOver,
  clientOf,
  commitService,
  makeDataDir,
  startTestServer,
} from '../support/server-start.ts';

test('a mark that can no longer be kept is 0 on the page until it can be again', {
  timeout: 60_000,
}, async (t) => {
  const data = makeDataDir();
  const mark = join(dirname(data), 'mark');
  const settings = { profile: 'macronode', data, high_water: mark, metrics_listen: '127.0.0.1:0' };
  const server = await startTestServer(t, settings);
  /** Until the page says so. */
  const kept = async (value: 0 | 1) => {
    const line = new RegExp(`^registry_high_water_kept ${value}$`, 'm');
    while (!line.test(await (await fetch(server.metricsUrl ?? '')).text()));
  };
  await kept(1);
  const client = clientOf(server.url);
  const registry = await beginOver(client);
  const size = () => existsSync(mark) && readSignedCheckpoint(readFileSync(mark, 'utf8')).size;
  while (size() !== 1) await kept(1);
  // No file takes the place of a directory.
  rmSync(mark);
  mkdirSync(mark);
  assert.equal(await commitService(client, registry, 'a'), 1);
  await kept(0);
  rmdirSync(mark);
  await kept(1);
  assert.equal(size(), 2);
});

test('a start that may put no mark where high_water says is refused', async (t) => {
  const disk = mountSmall(t, '1m');
  if (disk === undefined) return;
  makeReadOnly(disk);
  const settings = { profile: 'macronode', data: makeDataDir(), high_water: join(disk, 'mark') };
  await refusesLater(
    'invalid_request',
    startTestServer(t, settings),
    /^expected high_water in a directory that this server can write to, got EROFS beside .*sandbox/,
  );
});

test('a disk without room is no mistake in the setting: it may have room when the mark is written', async (t) => {
  // The directory itself takes the only inode.
  const disk = mountSmall(t, '1m,nr_inodes=1');
  if (disk !== undefined) await assertMarkCanBeKept(join(disk, 'mark'));
});
