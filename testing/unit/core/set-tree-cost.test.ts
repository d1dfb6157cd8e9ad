/** The cost of a set's tree in hashes, counted under it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exponentOf, hashesOf } from '../../support/counted-hashes.ts';

const { SetTree } = await import('../../../src/core/set-tree.ts');
const { SetRows } = await import('../../../src/core/set-rows.ts');
const { blake3Bytes } = await import('../../../src/core/hash.ts');

const path = (i: number): Uint8Array => blake3Bytes(new TextEncoder().encode(`service/${i}`));
const valueHash = (i: number): Uint8Array => new Uint8Array(32).fill(i);

function changesOf(size: number) {
  return Array.from({ length: size }, (_, i) => ({ path: path(i), valueHash: valueHash(i) }));
}

function treeOf(size: number): typeof SetTree.EMPTY {
  return SetTree.EMPTY.with(changesOf(size));
}

/** Hashes within a subtree that is kept as its rows: its leaves, the nodes above them, and ways that do not fork. */
const HASHES_OF_FEW = 24;

test('building a set of N costs between two and three hashes for each descriptor, whichever way', async () => {
  const costs: [number, number][] = [];
  for (const size of [512, 4096, 32_768]) {
    const changes = changesOf(size);
    const rows = new SetRows(size);
    for (const change of changes) rows.add(change.path, change.valueHash);
    const hashes = await hashesOf(() => SetTree.fromRows(rows.bytes));
    assert.ok(hashes >= 2 * size - 1 && hashes < 3 * size, `${hashes} hashes for ${size}`);
    assert.equal(await hashesOf(() => SetTree.EMPTY.with(changes)), hashes);
    costs.push([size, hashes]);
  }
  const exponent = exponentOf(costs);
  assert.ok(exponent > 0.97 && exponent < 1.03, `n^${exponent}`);
});

test('one update costs hashes like log N: each doubling of N adds about one', async () => {
  const sizes = [256, 512, 1024, 2048, 4096];
  const means: number[] = [];
  for (const size of sizes) {
    const tree = treeOf(size);
    let hashes = 0;
    for (let i = 0; i < 40; i++) {
      const change = { path: path(i * 3), valueHash: valueHash(255) };
      hashes += await hashesOf(() => tree.with([change]));
    }
    means.push(hashes / 40);
  }
  means.forEach((mean, i) => {
    const log = Math.log2(sizes[i] ?? 1);
    assert.ok(mean > log && mean < log + HASHES_OF_FEW, `${mean} hashes for one of ${sizes[i]}`);
  });
  const perDoubling = ((means.at(-1) ?? 0) - (means[0] ?? 0)) / (sizes.length - 1);
  assert.ok(perDoubling > 0.7 && perDoubling < 1.3, `${perDoubling} more for each doubling`);
});

test('reading costs no hash, and a proof those of a few descriptors, however large the set', async () => {
  for (const size of [10, 1000, 20_000]) {
    const tree = treeOf(size);
    for (const each of [path(5), path(50_000)]) {
      assert.equal(await hashesOf(() => tree.get(each)), 0);
      const hashes = await hashesOf(() => tree.branch(each));
      assert.ok(hashes <= HASHES_OF_FEW, `${hashes} hashes of ${size}`);
    }
  }
});

test('after many changes, one by one, a proof costs no more than in a tree made at once', async () => {
  let tree = SetTree.EMPTY;
  for (const change of changesOf(600)) tree = tree.with([change]);
  for (let i = 0; i < 300; i++) tree = tree.with([{ path: path(i), valueHash: null }]);
  for (let i = 0; i < 600; i += 7) {
    const hashes = await hashesOf(() => tree.branch(path(i)));
    assert.ok(hashes <= HASHES_OF_FEW, `${hashes} hashes`);
  }
});
