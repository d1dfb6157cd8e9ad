import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertSameTile, countTiles, TileLevels } from '../../../src/cli/audit-tiles.ts';
import { LogTree } from '../../../src/core/tlog/log-tree.ts';
import type { TreeNode } from '../../../src/core/tlog/merkle.ts';
import { tileWidth } from '../../../src/core/tlog/tiles.ts';
import { refuses } from '../../support/core-assert.ts';

/** Nodes that each leaf completes, with a hash that says where it stands: what a tile holds is seen at a glance. */
function* leaves(from: number, size: number): Generator<readonly TreeNode[]> {
  for (let index = from; index < size; index++) {
    const nodes: TreeNode[] = [];
    for (let level = 0; (index + 1) % 2 ** level === 0; level++) {
      const at = (index + 1) / 2 ** level - 1;
      nodes.push({ level, index: at, hash: hashOf(level, at) });
    }
    yield nodes;
  }
}

function hashOf(level: number, index: number): Uint8Array {
  const hash = new Uint8Array(32);
  new DataView(hash.buffer).setFloat64(0, level);
  new DataView(hash.buffer).setFloat64(8, index);
  return hash;
}

test('the nodes of these tests are those that a tree completes', () => {
  let tree = LogTree.EMPTY;
  for (const expected of leaves(0, 600)) {
    const next = tree.with(Uint8Array.of(tree.size % 256));
    assert.deepEqual(
      next.nodes.map(({ level, index }) => [level, index]),
      expected.map(({ level, index }) => [level, index]),
    );
    tree = next.tree;
  }
});

for (const size of [1, 255, 256, 257, 65_535, 65_536, 65_537, 70_000, 131_072])
  test(`every tile above the leaves of a log of ${size} comes once, whole`, () => {
    const levels = new TileLevels();
    const found = [];
    for (const nodes of leaves(0, size)) found.push(...levels.add(nodes));
    found.push(...levels.partial);
    const expected = [];
    for (let level = 1; tileWidth({ level, index: 0 }, size) > 0; level++)
      for (let index = 0; tileWidth({ level, index }, size) > 0; index++)
        expected.push(`${level}/${index}/${tileWidth({ level, index }, size)}`);
    assert.deepEqual(
      found.map(({ level, index, width }) => `${level}/${index}/${width}`).sort(),
      expected.sort(),
    );
    for (const { level, index, width, hashes } of found)
      for (let i = 0; i < width; i++)
        assert.deepEqual(hashes[i], hashOf(level * 8, index * 256 + i));
    assert.equal(countTiles(size), found.length + 2 * Math.ceil(size / 256));
  });

test('tiles that are still open go on where they were kept', () => {
  for (const at of [256, 700, 65_536, 66_000]) {
    const first = new TileLevels();
    for (const nodes of leaves(0, at)) first.add(nodes);
    const second = new TileLevels({ size: at, open: structuredClone(first.open) });
    for (const nodes of leaves(at, 67_000)) {
      first.add(nodes);
      second.add(nodes);
    }
    assert.deepEqual(second.partial, first.partial);
  }
});

test('a tile is the same hash by hash, no more and no less', () => {
  const hashes = [hashOf(8, 0), hashOf(8, 1)];
  const tile = { level: 1, index: 0, width: 2, hashes };
  assert.doesNotThrow(() => assertSameTile(tile, structuredClone(hashes)));
  refuses('invalid_proof', () => assertSameTile(tile, hashes.toReversed()), /tile 1\/000\.p\/2 /);
  refuses('invalid_proof', () => assertSameTile(tile, hashes.slice(1)));
  refuses('invalid_proof', () => assertSameTile(tile, hashes.slice(0, 1)));
  refuses('invalid_proof', () => assertSameTile(tile, [...hashes, hashOf(8, 2)]));
});
