/** Correlation ids that are made here. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { correlationOf } from '../../../src/http/correlation.ts';
import { newCorrId } from '../../../src/server/corr-id.ts';

test('ids are well formed, differ, and are random in every digit, however many are made', () => {
  const ids = Array.from({ length: 5_000 }, newCorrId);
  assert.equal(new Set(ids).size, ids.length);
  for (const id of ids) {
    assert.match(id, /^[0-9a-f]{32}$/);
    assert.equal(
      correlationOf(id, () => 'another'),
      id,
    );
  }
  for (let i = 0; i < 32; i++) {
    const seen = Map.groupBy(ids, (id) => id[i]);
    // About 312 of each digit; one in 10^20 runs has less than 150.
    assert.equal(seen.size, 16);
    for (const same of seen.values()) assert.ok(same.length > 150, `digit ${i}: ${same.length}`);
  }
});
