/** The root of a set without its tree: the one that the tree has, whatever the paths are. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { SetRows } from '../../../src/core/set-rows.ts';
import { SetTree } from '../../../src/core/set-tree.ts';
import { SetRoot } from '../../../src/server/snapshot/set-root.ts';
import { makeRandom } from '../../support/random.ts';

interface Row {
  readonly path: Uint8Array;
  readonly valueHash: Uint8Array;
}

function sha256(text: string): Uint8Array {
  return new Uint8Array(createHash('sha256').update(text).digest());
}

function rowAt(path: Uint8Array): Row {
  return { path, valueHash: sha256(path.join()) };
}

function rootOf(rows: readonly Row[]): string {
  const root = new SetRoot();
  for (const { path, valueHash } of rows) root.add(path, valueHash);
  return root.root();
}

function assertRoot(rows: readonly Row[], what: string): void {
  const expected = new SetRows();
  for (const { path, valueHash } of rows) expected.add(path, valueHash);
  assert.equal(rootOf(rows), SetTree.fromRows(expected.bytes).root, what);
}

test('sets of any size have the root of their tree', () => {
  for (const count of [0, 1, 2, 3, 8, 9, 255, 256, 257, 5_000]) {
    const rows = Array.from({ length: count }, (_, i) => rowAt(sha256(`${i}`)));
    assertRoot(rows, `${count} descriptors`);
    assertRoot(rows.toReversed(), `${count} descriptors, from the other end`);
  }
});

test('paths that agree on many bits are told apart by the bit that differs', () => {
  const path = sha256('one');
  for (let bit = 0; bit < 256; bit++) {
    const twin = Uint8Array.from(path);
    twin[bit >> 3] = (twin[bit >> 3] ?? 0) ^ (0x80 >> (bit & 7));
    assertRoot([rowAt(path), rowAt(twin)], `bit ${bit}`);
    assertRoot([rowAt(twin), rowAt(sha256('other')), rowAt(path)], `bit ${bit}, and another`);
  }
});

test('many paths that differ behind what they are sorted by first have the root of their tree', () => {
  const random = makeRandom(7);
  const beginning = sha256('the same');
  const rows = Array.from({ length: 300 }, (_, i) => {
    const path = sha256(`${i}`);
    path.set(beginning.subarray(0, Math.floor(random() * 12)));
    return rowAt(path);
  });
  assertRoot(rows, 'grouped');
});

test('a path that is there twice is damage, in whatever share', () => {
  const rows = Array.from({ length: 40 }, (_, i) => rowAt(sha256(`${i}`)));
  for (const row of rows)
    assert.throws(() => rootOf([...rows, { ...row, valueHash: sha256('another') }]), {
      code: 'storage_damaged',
    });
});
