/** A full disk: reads go on, writes are refused and certainly not done, and resume when there is space. */
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { mountSmall } from '../support/mount.ts';
import { makeEntry, makeProposal } from '../support/store-entries.ts';
import { assertWholeTree } from '../support/store-log.ts';
import { openObserved } from '../support/store-sqlite.ts';

test('a full disk refuses writes without harm, and they resume when there is space', async (t) => {
  const directory = mountSmall(t, '4m');
  if (directory === undefined) return;
  const ballast = join(directory, 'ballast');
  writeFileSync(ballast, new Uint8Array(2 * 1024 * 1024));
  const path = join(directory, 'quorate.db');
  const { store, fatals } = await openObserved(t, { path });
  const append = (version: number) => {
    const payload = new Uint8Array(50_000).fill(version);
    return store.append({ expected: version - 1, entries: [makeEntry(version, { payload })] });
  };

  let head = -1;
  for (; head < 1_000; head++) if (await append(head + 1).then(() => false, isReadOnly)) break;
  assert.ok(head > 0 && head < 1_000, `the disk was never full: ${head}`);
  await assert.rejects(append(head + 1), { code: 'read_only' });
  await assert.rejects(store.putProposal(makeProposal('p')), { code: 'read_only' });
  await assert.rejects(store.putCheckpoint('refused'), { code: 'read_only' });
  assert.equal((await store.head())?.version, head);
  assert.equal((await store.entry(0))?.payload.length, 50_000);
  await assertWholeTree(store, head + 1);

  rmSync(ballast);
  assert.deepEqual(await append(head + 1), { outcome: 'appended', head: head + 1 });
  await store.putCheckpoint('kept');
  assert.deepEqual(fatals, []);
  await store[Symbol.asyncDispose]();
  const again = await openObserved(t, { path });
  assert.equal((await again.store.head())?.version, head + 1);
  assert.equal(await again.store.checkpoint(), 'kept');
  await assertWholeTree(again.store, head + 2);
});

function isReadOnly(error: unknown): boolean {
  assert.ok(error instanceof Error && 'code' in error);
  assert.equal(error.code, 'read_only');
  return true;
}
