/** The tree and its proofs against a second one written from RFC 9162, at every place of every small size and far beyond 2^32. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LogTree } from '../../../../src/core/tlog/log-tree.ts';
import {
  EMPTY_ROOT,
  foldInclusion,
  foldSubtrees,
  isConsistent,
  isIncluded,
  nodeHash,
  proveConsistency,
  proveInclusion,
  recordHash,
  rootAt,
  subtreesOf,
} from '../../../../src/core/tlog/merkle.ts';
import {
  growTree,
  leafHash,
  ReferenceTree,
  SparseTree,
  sha256,
} from '../../../support/core-tlog.ts';

const SIZES = 65;
const records = Array.from({ length: SIZES }, (_, i) => Uint8Array.of(...new Uint8Array(i % 5), i));
const reference = new ReferenceTree(records);
const { trees, read } = growTree(records);
const sizes = Array.from({ length: SIZES + 1 }, (_, size) => size);

test('the root of every size is the one of the definition', async () => {
  assert.deepEqual(EMPTY_ROOT, sha256());
  for (const size of sizes) {
    assert.deepEqual(trees[size]?.root, reference.root(0, size), `size ${size}`);
    assert.deepEqual(await rootAt(size, read), reference.root(0, size), `size ${size}`);
  }
});

test('a leaf and a node are hashed apart', () => {
  const [left, right] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
  assert.deepEqual(recordHash(left), sha256(Uint8Array.of(0), left));
  assert.deepEqual(nodeHash(left, right), sha256(Uint8Array.of(1), left, right));
});

test('a range falls into the largest complete subtrees, which cover it once and from left to right', () => {
  for (const end of sizes)
    for (let begin = 0; begin <= end; begin++) {
      let at = begin;
      for (const { level, index } of subtreesOf({ begin, end })) {
        const span = 2 ** level;
        assert.equal(index * span, at);
        const canBeLarger = at % (span * 2) === 0 && at + span * 2 <= end;
        assert.ok(!canBeLarger, `${begin}-${end}: ${level}/${index}`);
        at += span;
      }
      assert.equal(at, end);
    }
  assert.deepEqual(foldSubtrees([]), EMPTY_ROOT);
});

test('every proof of inclusion is the one of the definition, holds, and shows the older tree that ends there', async () => {
  let count = 0;
  for (const size of sizes)
    for (let index = 0; index < size; index++) {
      const proof = await proveInclusion({ index, size }, read);
      assert.deepEqual(proof, reference.path(index, 0, size), `${index} of ${size}`);
      const claim = { record: recordHash(records[index]!), index, size, proof };
      assert.ok(isIncluded({ ...claim, root: reference.root(0, size) }), `${index} of ${size}`);
      assert.deepEqual(foldInclusion(claim), {
        root: reference.root(0, size),
        prefixRoot: reference.root(0, index + 1),
      });
      count++;
    }
  assert.equal(count, (SIZES * (SIZES + 1)) / 2);
});

test('every proof of consistency is the one of the definition and holds', async () => {
  let count = 0;
  for (const size of sizes.slice(1))
    for (let from = 0; from <= size; from++) {
      const proof = await proveConsistency({ from, size }, read);
      const expected = from === 0 ? [] : reference.subproof(from, 0, size);
      assert.deepEqual(proof, expected, `${from} to ${size}`);
      const [fromRoot, root] = [reference.root(0, from), reference.root(0, size)];
      assert.ok(isConsistent({ from, size, proof, fromRoot, root }), `${from} to ${size}`);
      count++;
    }
  assert.equal(count, (SIZES * (SIZES + 3)) / 2);
});

test('the empty tree is consistent with itself and with every other, without a proof', () => {
  const root = reference.root(0, 5);
  const claim = { from: 0, size: 5, proof: [], fromRoot: EMPTY_ROOT, root };
  assert.ok(isConsistent(claim));
  assert.ok(isConsistent({ ...claim, size: 0, root: EMPTY_ROOT }));
  assert.ok(!isConsistent({ ...claim, proof: [root] }));
  assert.ok(!isConsistent({ ...claim, fromRoot: root }));
  assert.ok(!isConsistent({ ...claim, from: 5 }));
});

test('a proof for a tree that is larger than the tree is not made without an end', async () => {
  assert.deepEqual(await proveConsistency({ from: 9, size: 8 }, read), []);
  assert.ok(!isConsistent({ from: 9, size: 8, proof: [], fromRoot: EMPTY_ROOT, root: EMPTY_ROOT }));
});

test('only whole places from zero on, and hashes of 32 bytes, are looked at', () => {
  const [record, root] = [leafHash(records[0]!), reference.root(0, 2)];
  const claim = { record, index: 0, size: 2, proof: [leafHash(records[1]!)], root };
  assert.ok(isIncluded(claim));
  const single = { record, size: 1, proof: [], root: record };
  for (const index of [-1, -2, 0.5, Number.NaN, 1])
    assert.ok(!isIncluded({ ...single, index }), `index ${index}`);
  for (const size of [0, -1, 1.5, 2.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53])
    assert.ok(!isIncluded({ ...claim, size }), `size ${size}`);
  // Both halves of a node given as one hash, with an empty one beside it, make the same node.
  const halves = Uint8Array.of(...record, ...leafHash(records[1]!));
  assert.deepEqual(nodeHash(halves, new Uint8Array()), root);
  assert.ok(!isIncluded({ ...claim, record: halves, proof: [new Uint8Array()] }));
  assert.ok(!isIncluded({ ...claim, record: new Uint8Array(), proof: [halves], index: 1 }));
  const older = { from: 1, size: 2, fromRoot: halves, proof: [new Uint8Array()], root };
  assert.ok(!isConsistent(older));
  assert.ok(!isConsistent({ ...older, from: 2, fromRoot: halves, proof: [], root: halves }));
  for (const from of [-1, 0.5, Number.NaN])
    assert.ok(!isConsistent({ from, size: 2, proof: [], fromRoot: EMPTY_ROOT, root }));
  for (const size of [1.5, 2 ** 53, Number.POSITIVE_INFINITY])
    assert.ok(!isConsistent({ from: 1, size, proof: claim.proof, fromRoot: record, root }));
});

const LARGE = [2 ** 31, 2 ** 31 + 1, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 3 * 2 ** 40 + 12345]
  .concat([2 ** 52, 2 ** 52 + 1, 2 ** 53 - 2, 2 ** 53 - 1])
  .map((size) => ({ size, places: placesIn(size) }));

function placesIn(size: number): readonly number[] {
  const half = Math.floor(size / 2);
  const near = [0, 1, 2 ** 31 - 1, 2 ** 32, half, half + 1, size - 2, size - 1];
  return [...new Set(near)].filter((index) => index < size);
}

for (const { size, places } of LARGE)
  test(`the arithmetic holds in a tree of ${size} leaves`, async () => {
    const sparse = new SparseTree(places);
    const root = await rootAt(size, sparse.read);
    assert.deepEqual(root, sparse.root(0n, BigInt(size)));
    for (const index of places) {
      const record = recordHash(sparse.record(BigInt(index)));
      const proof = await proveInclusion({ index, size }, sparse.read);
      const claim = { record, index, size, proof, root };
      assert.ok(isIncluded(claim), `index ${index}`);
      assert.ok(!isIncluded({ ...claim, record: recordHash(Uint8Array.of(1)) }));
      for (const other of places)
        assert.equal(isIncluded({ ...claim, index: other }), other === index, `${index} ${other}`);
      const prefixRoot = sparse.root(0n, BigInt(index) + 1n);
      assert.deepEqual(foldInclusion(claim)?.prefixRoot, prefixRoot, `index ${index}`);

      const from = index + 1;
      const steps = await proveConsistency({ from, size }, sparse.read);
      assert.ok(steps.length <= 54);
      const consistency = { from, size, proof: steps, fromRoot: prefixRoot, root };
      assert.ok(isConsistent(consistency), `from ${from}`);
      assert.ok(!isConsistent({ ...consistency, fromRoot: root }) || from === size);
    }
  });

test('an append to a tree of nearly 2^53 leaves gives the root of the larger tree', async () => {
  const size = 2 ** 53 - 2;
  const sparse = new SparseTree([size, 5]);
  const edge = await sparse.read(subtreesOf({ begin: 0, end: size }));
  const { tree, nodes } = LogTree.fromEdge({ size, edge }).with(sparse.record(BigInt(size)));
  assert.deepEqual(tree.root, sparse.root(0n, BigInt(size) + 1n));
  assert.deepEqual(
    nodes.map(({ level, index }) => [level, index]),
    [[0, size]],
  );
});
