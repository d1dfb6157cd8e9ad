/** A snapshot whose moment lies in the middle of a pruning. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import { createNativeVerifier } from '../../../src/server/native-verifier.ts';
import { verifyCopy } from '../../../src/server/snapshot/verify-copy.ts';
import { RetentionWriter } from '../../../src/store/sqlite-retention.ts';
import { keepCheckpoint, openTestRegistry, put, remove } from '../../support/registry.ts';
import { makeDirectory, openStore } from '../../support/store-sqlite.ts';

const OLDEST = 10;
/** More than one step drops. */
const MANY = Array.from({ length: 100 }, (_, i) => `many${100 + i}`);

/** One step; answers whether it was the last. */
function isLastStep(path: string): boolean {
  const db = new Database(path);
  let nowMs = 0;
  // So slow a clock that a step drops two values, or a value and a payload.
  const { reached, oldest } = new RetentionWriter(db, () => (nowMs += 1.9)).pruneStep();
  db.close();
  return reached === oldest;
}

test('a copy taken between any two steps of a pruning is whole', async (t) => {
  const store = await openStore(t, join(makeDirectory(), 'registry.db'));
  const real = await openTestRegistry({ store });
  await real.change(put('a', { v: 0 }), ...MANY.map((id) => put(id, {})));
  for (let v = 1; v < 8; v++) await real.change(put('a', { v }, { v: v - 1 }), put(`x${v}`, {}));
  await real.change(...MANY.map((id) => remove(id, {})));
  await real.change(remove('x1', {}));
  await real.change(put('x1', {}));
  await keepCheckpoint(real);
  await store.setOldest(OLDEST);
  const path = join(makeDirectory(), 'registry.db');
  await store.snapshot({ path });
  let steps = 0;
  for (let isLast = false; !isLast; steps++) {
    const facts = await verifyCopy(path, { verifier: createNativeVerifier(), onProgress() {} });
    assert.deepEqual([facts.oldest, facts.version], [OLDEST, 11]);
    isLast = isLastStep(path);
  }
  assert.ok(steps > 4, `${steps} steps`);
  await verifyCopy(path, { verifier: createNativeVerifier(), onProgress() {} });
});
