/**
 * Every write, fsync and rename of a blob that is put fails once: its sender is told so, nothing half is under a
 * name, nothing is left beside it, and putting it again keeps it.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { hashOf } from '../../src/core/hash.ts';
import { blobAddress, blobPaths } from '../../src/server/blobs/blob-paths.ts';
import { BLOBS_PUT, inPieces, openTestBlobs } from '../support/blobs.ts';
import { programOf, type Run } from '../support/child.ts';
import { makeDirectory } from '../support/store-sqlite.ts';
import {
  type FailedAttempt,
  failEachCall,
  isStraceMissing,
  tracedCalls,
} from '../support/strace.ts';

/** Calls are counted by thread: one does them all. */
const ONE_THREAD = ['env', 'UV_THREADPOOL_SIZE=1'];
const CHILD = programOf('blob-child');

/** What a call means for the blob of this name; `undefined`: nothing. */
function stepOf(call: string, name: string): string | undefined {
  const isIncoming = call.includes('/.incoming/');
  if (call.startsWith('writev(') && isIncoming) return 'written';
  if (call.startsWith('fsync(')) {
    if (isIncoming) return 'synced';
    if (call.includes(`/${name.slice(0, 2)}>`)) return 'name synced';
  }
  if (call.startsWith('rename(') && call.includes(name)) return 'named';
  return call.startsWith('write(1<') && call.includes(name) ? 'answered' : undefined;
}

test('a blob is synced before it has its name, and its name is synced before it is answered', async (t) => {
  if (isStraceMissing(t)) return;
  const directory = makeDirectory();
  const program = [...ONE_THREAD, process.execPath, CHILD, join(directory, 'data')];
  const names = ['writev', 'fsync', 'rename', 'write'];
  const calls = await tracedCalls(names, { directory, program });
  let from = 0;
  for (const { address } of BLOBS_PUT) {
    const name = address.slice('b3:'.length);
    const end = calls.findIndex((call) => stepOf(call, name) === 'answered') + 1;
    const steps = calls.slice(from, end).flatMap((call) => stepOf(call, name) ?? []);
    from = end;
    const written = steps.lastIndexOf('written');
    assert.ok(written >= 0);
    assert.deepEqual(steps.slice(written + 1), ['synced', 'named', 'name synced', 'answered']);
  }
});

/** Of the blobs under a name, each of which must be whole. */
function visibleIn(dataDir: string): readonly string[] {
  const { shelves, incoming, damaged } = blobPaths(dataDir);
  for (const beside of [incoming, damaged]) assert.deepEqual(readdirSync(beside), [], beside);
  return shelves.flatMap((shelf) =>
    readdirSync(shelf).map((name) => {
      const address = blobAddress(name);
      assert.equal(hashOf(readFileSync(join(shelf, name))), address, `${shelf}/${name}`);
      return String(address);
    }),
  );
}

async function putAgain(dataDir: string): Promise<void> {
  const { blobs, metric } = await openTestBlobs({ dataDir });
  for (const { address, bytes } of BLOBS_PUT)
    await blobs.put(address, { parts: inPieces(bytes), declaredBytes: bytes.length });
  assert.equal(await metric('registry_blobs'), BLOBS_PUT.length);
}

/** Answers whether it was a put that failed, and not the start. */
async function assertRefused(
  { lines }: Run,
  { k, directory, failed, code }: FailedAttempt & { readonly code: string },
): Promise<boolean> {
  const told = `call ${k}, ${failed}: ${lines.join(', ')}`;
  const isPut = lines[0] !== 'not opened storage_failed';
  if (isPut) {
    const addressesOf = (word: string) =>
      lines.filter((line) => line.startsWith(word)).map((line) => line.slice(word.length));
    const refused = addressesOf(`refused ${code} `);
    const kept = addressesOf('kept ');
    assert.deepEqual([refused.length, kept.length], [1, BLOBS_PUT.length - 1], told);
    assert.deepEqual(visibleIn(directory), kept, told);
    assert.equal(lines.at(-1), `counted ${kept.length}`, told);
  }
  await putAgain(directory);
  assert.deepEqual(
    [...visibleIn(directory)].sort(),
    BLOBS_PUT.map(({ address }) => address).sort(),
  );
  return isPut;
}

for (const { call, error, code, calls } of [
  // Three batches of the one, and one of the other.
  { call: 'writev', error: 'EIO', code: 'storage_failed', calls: 4 },
  { call: 'writev', error: 'ENOSPC', code: 'read_only', calls: 4 },
  { call: 'rename', error: 'EIO', code: 'storage_failed', calls: 2 },
  // Of each the file and the directory of its name.
  { call: 'fsync', error: 'EIO', code: 'storage_failed', calls: 4 },
  { call: 'fsync', error: 'ENOSPC', code: 'read_only', calls: 4 },
])
  test(`a blob of which a ${call} fails with ${error} is refused, and leaves nothing`, async (t) => {
    if (isStraceMissing(t)) return;
    let puts = 0;
    const count = await failEachCall({
      call,
      effect: `error=${error}`,
      makeDirectory,
      program: ({ directory }) => [...ONE_THREAD, process.execPath, CHILD, directory],
      check: async (run, failed) => {
        if (await assertRefused(run, { ...failed, code })) puts++;
      },
    });
    t.diagnostic(`${count} calls of ${call} failed, one in each run, ${puts} of them of a put`);
    assert.equal(puts, calls);
  });
