/** A disk that fails while a snapshot is carried to a directory that is not there yet. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import { makeDirectory } from '../support/store-sqlite.ts';
import { failEachCall, isStraceMissing } from '../support/strace.ts';

const PLACE = new URL('../../src/server/snapshot/directory-place.ts', import.meta.url);
/** Writes three bytes to the place that it is given, and says how that went. */
const PROGRAM = `
  const { createDirectoryPlace } = await import(${JSON.stringify(PLACE)});
  const chunks = (async function* () { yield Buffer.from('abc'); })();
  await createDirectoryPlace(process.argv[1]).write('1-0123456789abcdef.qsnap', chunks).then(
    () => console.log('done'),
    ({ code }) => console.log('refused', code),
  );`;
const MADE = ['', 'a', 'a/b'];

test('every directory that is made for a snapshot is durable, and gone when one cannot be', async (t) => {
  if (isStraceMissing(t)) return;
  const synced: string[] = [];
  await failEachCall({
    call: 'fsync',
    effect: 'error=EIO',
    makeDirectory,
    program: ({ directory }) => [
      ...['-E', 'UV_THREADPOOL_SIZE=1'],
      ...MADE.flatMap((path) => ['-P', join(directory, path)]),
      ...[process.execPath, '--input-type=module', '-e', PROGRAM, join(directory, 'a/b')],
    ],
    check: async ({ lines }, { directory, failed }) => {
      assert.deepEqual(lines, ['refused storage_failed']);
      const [, path = ''] = /<([^>]*)>/.exec(failed) ?? [];
      synced.push(relative(directory, path));
      // The last one is that of the snapshot's own name: whole, and only not known to be durable.
      const isMade = path === join(directory, 'a/b');
      assert.deepEqual(readdirSync(directory).sort(), isMade ? ['a', 'trace'] : ['trace']);
    },
  });
  assert.deepEqual(synced.sort(), MADE);
});
