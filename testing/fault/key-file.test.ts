/** A key whose file cannot be written whole: the command says so, and leaves neither half of it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { CHILD_ENV, QUORATE } from '../support/child.ts';
import { makeDirectory } from '../support/cli-stage.ts';
import { failEachCall, isStraceMissing } from '../support/strace.ts';

const keygen = (path: string) => [QUORATE, 'token', 'keygen', '-o', path, '--plain', '--json'];

test('a key that does not fit leaves nothing, and can be made once there is room', () => {
  const directory = makeDirectory();
  const path = join(directory, 'token.pem');
  const shell = (limit: string) =>
    spawnSync(
      'sh',
      ['-c', `ulimit -f ${limit}; exec "$@"`, 'sh', process.execPath, ...keygen(path)],
      {
        env: { ...CHILD_ENV, NODE_COMPILE_CACHE: '' },
        encoding: 'utf8',
      },
    );
  const { status, stdout, stderr } = shell('0');
  assert.deepEqual([status, stdout], [1, '']);
  assert.equal(JSON.parse(stderr).message, `expected to write ${path}, got EFBIG`);
  assert.deepEqual(readdirSync(directory), []);
  assert.equal(shell('100').status, 0);
  assert.deepEqual(readdirSync(directory).sort(), ['token.pem', 'token.pub']);
});

test('a key of which either file cannot be synced leaves neither', async (t) => {
  if (isStraceMissing(t)) return;
  const failed = new Set<string>();
  await failEachCall({
    call: 'fsync',
    effect: 'error=EIO',
    makeDirectory,
    // Calls are counted by thread: one does them all.
    program: ({ directory }) => [
      ...['env', 'UV_THREADPOOL_SIZE=1', process.execPath],
      ...keygen(join(directory, 'token.pem')),
    ],
    check: async ({ lines }, { directory, failed: call }) => {
      const [file = assert.fail(call)] = /token\.(?:pem|pub)(?=>)/.exec(call) ?? [];
      failed.add(file);
      assert.deepEqual(lines, [], call);
      for (const name of ['token.pem', 'token.pub'])
        assert.ok(!existsSync(join(directory, name)), `${name} after ${call}`);
    },
  });
  assert.deepEqual([...failed].sort(), ['token.pem', 'token.pub']);
});
