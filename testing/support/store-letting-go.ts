/** A log of which some is pruned and one entry erased, and what may be left of it at any moment in between. */
import assert from 'node:assert/strict';
import { CommitLane } from '../../src/store/commit-lane.ts';
import { openSqliteReader } from '../../src/store/sqlite.ts';
import type { DescriptorChange } from '../../src/store/store.ts';
import { collect, makeEntry, put } from './store-entries.ts';

/** Entries before the erasing one. */
export const LETTING_GO_SIZE = 20;
export const OLDEST = 12;
/** Every value that it put is replaced later. */
export const ERASED = 14;

function changesOf(version: number): readonly DescriptorChange[] {
  return [put(`key-${version % 3}`, `${version} ${'x'.repeat(2_000)}`)];
}

export function makeWholeLog(path: string): void {
  const lane = new CommitLane(path);
  const entries = Array.from({ length: LETTING_GO_SIZE }, (_, version) =>
    makeEntry(version, { changes: changesOf(version) }),
  );
  lane.run([{ type: 'append', expected: -1, entries }]);
  lane.close();
}

export interface LetGoState {
  readonly oldest: number;
  /** How many payloads below `oldest` are gone. */
  readonly pruned: number;
  readonly isErased: boolean;
}

/**
 * As the next start finds it: each entry whole, or without what a row says may be gone; leaves and sets from the
 * oldest version on as they were.
 */
export async function assertLetGo(path: string): Promise<LetGoState> {
  new CommitLane(path).close();
  await using store = openSqliteReader({ path });
  const { oldest, erasures } = await store.retention();
  assert.ok(oldest === 0 || oldest === OLDEST, `oldest is ${oldest}`);
  const isErased = erasures.length > 0;
  assert.equal((await store.head())?.version, LETTING_GO_SIZE - (isErased ? 0 : 1));
  let pruned = 0;
  for (let version = 0; version < LETTING_GO_SIZE; version++) {
    const expected = makeEntry(version);
    const entry = await store.entry(version);
    assert.deepEqual(entry?.leaf, expected.leaf, `leaf ${version}`);
    const isGone = entry?.payload.length === 0;
    const mayBeGone = version > 0 && version < oldest;
    if (isErased && version === ERASED) {
      assert.ok(isGone, 'the erased payload is still there');
      assert.deepEqual(entry?.approvals, expected.approvals);
      continue;
    }
    assert.ok(!isGone || mayBeGone, `payload ${version} is gone`);
    pruned += Number(isGone);
    assert.deepEqual(entry?.payload, isGone ? new Uint8Array() : expected.payload);
    assert.deepEqual(entry?.approvals, isGone ? new Uint8Array() : expected.approvals);
  }
  for (const version of [OLDEST, LETTING_GO_SIZE - 1]) {
    const rows = (await collect(store.set(version))).flat();
    assert.deepEqual(
      rows.map(({ setVersion }) => setVersion),
      [0, 1, 2].map((key) => version - ((version - key) % 3)),
    );
  }
  return { oldest, pruned, isErased };
}
