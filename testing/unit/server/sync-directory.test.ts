/** Directories that are made with those they lie in: one by one, and none of them where one cannot be. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { restoreSnapshot } from '../../../src/server/snapshot/restore.ts';
import { makeDirectories } from '../../../src/server/sync-directory.ts';
import { programOf, QUORATE } from '../../support/child.ts';
import { makeDirectory } from '../../support/store-sqlite.ts';

test('what is missing is made for this user alone, and named the lowest first', async () => {
  const top = makeDirectory();
  mkdirSync(join(top, 'a'));
  const lowest = join(top, 'a/b/c');
  assert.deepEqual(await makeDirectories(lowest), [lowest, join(top, 'a/b')]);
  for (const path of ['a/b', 'a/b/c']) assert.equal(statSync(join(top, path)).mode & 0o777, 0o700);
  assert.deepEqual(await makeDirectories(lowest), []);
});

test('two that make the same directories both have them', async () => {
  const lowest = join(makeDirectory(), 'a/b/c/d');
  const made = await Promise.all([makeDirectories(lowest), makeDirectories(lowest)]);
  assert.equal(made.flat().length, 4);
  assert.ok(statSync(lowest).isDirectory());
});

test('a file or a link that leads nowhere is in the way, and what was made before it is gone', async () => {
  const top = makeDirectory();
  writeFileSync(join(top, 'file'), '');
  symlinkSync(join(top, 'nowhere'), join(top, 'link'));
  for (const path of ['file', 'file/a', 'link', 'link/a', 'new/../file/a'])
    await assert.rejects(makeDirectories(join(top, path)), { code: 'EEXIST' });
  await assert.rejects(makeDirectories(join(top, 'a/b', 'x'.repeat(300))), {
    code: 'ENAMETOOLONG',
  });
  assert.deepEqual(readdirSync(top).sort(), ['file', 'link']);
});

test('a restore to a link that leads nowhere says what to do', async () => {
  const dataDir = join(makeDirectory(), 'link');
  symlinkSync(`${dataDir}-elsewhere`, dataDir);
  const restored = restoreSnapshot((async function* () {})(), {
    dataDir,
    registry: undefined,
    onProgress: () => undefined,
    judge: async () => assert.fail(),
    signal: new AbortController().signal,
  });
  await assert.rejects(restored, {
    code: 'storage_failed',
    message:
      /an empty directory at .*link, .* got EEXIST: .*link that leads nowhere.*choose another/,
  });
});

/** In a process of its own: one that never ends is killed. */
function runShortly(...argv: readonly string[]) {
  return spawnSync(process.execPath, argv, {
    timeout: 60_000,
    killSignal: 'SIGKILL',
    encoding: 'utf8',
  });
}

test('a place where nothing can be made is refused, and not tried for ever', (t) => {
  if (process.platform !== 'linux') return t.skip('SKIPPED, NOT PASSED: there is no /proc');
  const restored = runShortly(programOf('restore-child'), 'none.qsnap', '/proc/x/y');
  assert.deepEqual([restored.signal, restored.stdout], [null, 'refused storage_failed\n']);
  const served = runShortly(QUORATE, 'serve', '--data', '/proc/x', '--listen', '127.0.0.1:0');
  assert.deepEqual([served.signal, served.status], [null, 1], served.stderr);
  assert.match(served.stderr, /a directory at \/proc\/x or leave to make it, got ENOENT/);
});
