import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LogTree } from '../../../../src/core/tlog/log-tree.ts';
import { EMPTY_ROOT, subtreesOf } from '../../../../src/core/tlog/merkle.ts';
import { refuses } from '../../../support/core-assert.ts';
import { growTree, ReferenceTree } from '../../../support/core-tlog.ts';

const records = Array.from({ length: 130 }, (_, i) => Uint8Array.of(i, 1));
const reference = new ReferenceTree(records);
const { trees, completed } = growTree(records);

test('an empty tree has no edge and the root of nothing', () => {
  assert.equal(LogTree.EMPTY.size, 0);
  assert.deepEqual(LogTree.EMPTY.edge, []);
  assert.deepEqual(LogTree.EMPTY.root, EMPTY_ROOT);
});

test('each append names the subtrees that it completed, and every complete subtree is named once', () => {
  const named = new Set<string>();
  completed.forEach((nodes, at) => {
    nodes.forEach(({ level, index, hash }, i) => {
      assert.equal(level, i);
      assert.equal((index + 1) * 2 ** level, at + 1, 'ends with this leaf');
      assert.deepEqual(hash, reference.root(index * 2 ** level, (index + 1) * 2 ** level));
      named.add(`${level}/${index}`);
    });
  });
  let expected = 0;
  for (let span = 1; span <= records.length; span *= 2)
    expected += Math.floor(records.length / span);
  assert.equal(named.size, expected);
  assert.equal(completed.flat().length, expected);
});

test('the edge is the complete subtrees of the tree, and makes it anew', () => {
  for (const tree of trees) {
    const places = subtreesOf({ begin: 0, end: tree.size });
    const hashes = places.map(({ level, index }) =>
      reference.root(index * 2 ** level, (index + 1) * 2 ** level),
    );
    assert.deepEqual(tree.edge, hashes);
    const again = LogTree.fromEdge(tree);
    assert.deepEqual([again.size, again.root], [tree.size, tree.root]);
  }
});

test('an append leaves the tree before it as it was, and the caller its edge', () => {
  const before = trees[7]!;
  const [edge, root] = [[...before.edge], before.root];
  before.with(records[0]!);
  before.with(records[7]!);
  assert.deepEqual([before.size, before.edge, before.root], [7, edge, root]);
  const mine = [...edge];
  const tree = LogTree.fromEdge({ size: 7, edge: mine });
  mine.pop();
  assert.deepEqual(tree.with(records[7]!).tree.root, reference.root(0, 8));
});

test('an edge that is not one of a tree of that size is refused', () => {
  const { edge } = trees[7]!;
  const refused = [
    { size: 7, edge: edge.slice(1) },
    { size: 7, edge: [...edge, edge[0]!] },
    { size: 7, edge: edge.with(1, new Uint8Array(31)) },
    { size: 8, edge },
    { size: 0, edge },
    { size: -1, edge: [] },
    { size: 0.5, edge: edge.slice(1) },
    { size: Number.NaN, edge: [] },
    { size: Number.POSITIVE_INFINITY, edge },
    { size: 2 ** 53, edge: edge.slice(0, 1) },
  ];
  for (const each of refused) refuses('malformed', () => LogTree.fromEdge(each), /at the edge/);
  assert.equal(LogTree.fromEdge({ size: 0, edge: [] }).size, 0);
});

test('an edge that somebody shortened in memory stops the append', () => {
  const tree = LogTree.fromEdge(trees[3]!);
  (tree.edge as Uint8Array[]).length = 0;
  refuses('internal', () => tree.with(records[3]!), /whole edge at 3 leaves/);
});
