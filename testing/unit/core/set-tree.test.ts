import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeUtf8 } from '../../../src/core/bytes.ts';
import { blake3Bytes } from '../../../src/core/hash.ts';
import { bitAt } from '../../../src/core/set-hash.ts';
import { verifyBranch } from '../../../src/core/set-proof.ts';
import { rootOfRows, type SetChange, SetRows } from '../../../src/core/set-rows.ts';
import { SetTree } from '../../../src/core/set-tree.ts';
import { codeOf, refuses } from '../../support/core-assert.ts';
import {
  fromHex,
  naiveRoot,
  type PlainSet,
  pathArbitrary,
  toHex,
  valueArbitrary,
} from '../../support/core-set.ts';

const value = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);
const hashedPath = (i: number): Uint8Array => blake3Bytes(encodeUtf8(`service/${i}`));

function pathOfBits(bits: string): Uint8Array {
  const path = new Uint8Array(32);
  [...bits].forEach((bit, i) => {
    if (bit === '1') path[i >> 3] = (path[i >> 3] ?? 0) | (0x80 >> (i & 7));
  });
  return path;
}

function treeOf(...paths: readonly Uint8Array[]): SetTree {
  return SetTree.EMPTY.with(paths.map((path, i) => ({ path, valueHash: value(i) })));
}

function apply(set: PlainSet, changes: readonly SetChange[]): PlainSet {
  const next = new Map(set);
  for (const { path, valueHash } of changes)
    if (valueHash === null) next.delete(toHex(path));
    else next.set(toHex(path), valueHash);
  return next;
}

function holds(tree: SetTree, set: PlainSet): void {
  assert.deepEqual(tree.rootHash, naiveRoot(set));
  assert.equal(tree.size, set.size);
  for (const [path, valueHash] of set) assert.deepEqual(tree.get(fromHex(path)), valueHash);
}

const changesArbitrary = fc.uniqueArray(
  fc.record({
    path: pathArbitrary,
    valueHash: fc.oneof({ weight: 3, arbitrary: valueArbitrary }, fc.constant(null)),
  }),
  { maxLength: 12, selector: ({ path }) => toHex(path) },
);

test('bits are read from the most significant on', () => {
  const path = pathOfBits('1010000001');
  const ones = Array.from({ length: 256 }, (_, i) => i).filter((i) => bitAt(path, i) === 1);
  assert.deepEqual(ones, [0, 2, 9]);
});

test('an empty set has the zero root', () => {
  assert.equal(SetTree.EMPTY.root, `b3:${'0'.repeat(64)}`);
  assert.equal(SetTree.EMPTY.get(hashedPath(0)), undefined);
  assert.deepEqual(SetTree.EMPTY.branch(hashedPath(0)), { siblings: [], leaf: null });
});

test('a leaf stands where it becomes alone', () => {
  const depthOf = (tree: SetTree, path: Uint8Array): number => tree.branch(path).siblings.length;
  const a = pathOfBits('0000');
  const b = pathOfBits('0001');
  const c = pathOfBits('1');
  assert.equal(depthOf(treeOf(a), a), 0);
  assert.equal(depthOf(treeOf(a, c), a), 1);
  const tree = treeOf(a, b, c);
  assert.deepEqual(
    [a, b, c].map((path) => depthOf(tree, path)),
    [4, 4, 1],
  );
  const last = new Uint8Array(32);
  last[31] = 1;
  assert.equal(depthOf(treeOf(new Uint8Array(32), last), last), 256);
});

test('after any changes the tree is the one its set defines, and older trees are unchanged', () => {
  fc.assert(
    fc.property(fc.array(changesArbitrary, { maxLength: 5 }), (batches) => {
      const history: { tree: SetTree; set: PlainSet }[] = [{ tree: SetTree.EMPTY, set: new Map() }];
      for (const changes of batches) {
        const { tree, set } = history.at(-1) ?? { tree: SetTree.EMPTY, set: new Map() };
        history.push({ tree: tree.with(changes), set: apply(set, changes) });
      }
      for (const { tree, set } of history) holds(tree, set);
    }),
    { numRuns: 150 },
  );
});

test('the root depends on neither the order nor the batching of changes', () => {
  const permuted = changesArbitrary.chain((changes) =>
    fc.tuple(
      fc.constant(changes),
      fc.shuffledSubarray(changes, { minLength: changes.length }),
      fc.nat(12),
    ),
  );
  fc.assert(
    fc.property(permuted, ([changes, shuffled, cut]) => {
      const at = Math.min(cut, shuffled.length);
      const batched = SetTree.EMPTY.with(shuffled.slice(0, at)).with(shuffled.slice(at));
      const single = shuffled.reduce((tree, change) => tree.with([change]), SetTree.EMPTY);
      const { root } = SetTree.EMPTY.with(changes);
      assert.deepEqual([batched.root, single.root], [root, root]);
    }),
    { numRuns: 200 },
  );
});

test('putting and removing again leaves no trace', () => {
  fc.assert(
    fc.property(changesArbitrary, changesArbitrary, (before, changes) => {
      const tree = SetTree.EMPTY.with(before);
      const undo = changes.map(({ path }) => ({ path, valueHash: tree.get(path) ?? null }));
      const back = tree.with(changes).with(undo);
      assert.equal(back.root, tree.root);
      assert.equal(back.size, tree.size);
    }),
    { numRuns: 200 },
  );
});

test('removing what is not there changes nothing', () => {
  const tree = treeOf(pathOfBits('00'), pathOfBits('01'));
  const after = tree.with([{ path: pathOfBits('000001'), valueHash: null }]);
  assert.deepEqual([after.root, after.size], [tree.root, 2]);
  assert.equal(tree.with([]).root, tree.root);
});

test('every branch leads to the root and says what is there', () => {
  fc.assert(
    fc.property(changesArbitrary, pathArbitrary, (changes, path) => {
      const tree = SetTree.EMPTY.with(changes);
      const verdict = verifyBranch({ root: tree.rootHash, path }, tree.branch(path));
      const valueHash = tree.get(path);
      assert.deepEqual(
        verdict,
        valueHash === undefined ? { state: 'absent' } : { state: 'present', valueHash },
      );
    }),
    { numRuns: 300 },
  );
});

// --- whole sets at once ---

function rowsOf(set: PlainSet, expected = 0): Uint8Array {
  const rows = new SetRows(expected);
  for (const [path, valueHash] of set) rows.add(fromHex(path), valueHash);
  return rows.bytes;
}

test('a tree of rows is the one its set defines, in whatever order they came, and changes as any', () => {
  const puts = fc.uniqueArray(fc.record({ path: pathArbitrary, valueHash: valueArbitrary }), {
    maxLength: 40,
    selector: ({ path }) => toHex(path),
  });
  fc.assert(
    fc.property(puts, changesArbitrary, (before, changes) => {
      const set = apply(new Map(), before);
      const tree = SetTree.fromRows(rowsOf(set));
      holds(tree, set);
      assert.deepEqual(rootOfRows(rowsOf(set)), tree.rootHash);
      for (const { path } of changes)
        assert.deepEqual(tree.branch(path), SetTree.EMPTY.with(before).branch(path));
      holds(tree.with(changes), apply(set, changes));
    }),
    { numRuns: 200 },
  );
});

test('a tree made in steps is the same, and each step is as small as it may be', () => {
  const set = new Map(Array.from({ length: 300 }, (_, i) => [toHex(hashedPath(i)), value(i % 5)]));
  const whole = SetTree.fromRows(rowsOf(set));
  for (const [atOnce, atLeast] of [
    [300, 0],
    [100, 2],
    [1, 60],
  ] as const) {
    const making = SetTree.inSteps(rowsOf(set), atOnce);
    let steps = 0;
    let made = making.next();
    for (; made.done !== true; made = making.next()) steps++;
    assert.ok(steps >= atLeast && (atLeast > 0 || steps === 0), `${steps} steps of ${atOnce}`);
    holds(made.value, set);
    assert.deepEqual([...made.value.leaves()], [...whole.leaves()]);
  }
  assert.equal(SetTree.inSteps(new Uint8Array(), 1).next().value?.size, 0);
});

test('as many rows may come as want to, whatever was expected', () => {
  const set = new Map(Array.from({ length: 300 }, (_, i) => [toHex(hashedPath(i)), value(i % 5)]));
  const root = naiveRoot(set);
  for (const expected of [0, 299, 300, 301, 2 ** 52])
    assert.deepEqual(SetTree.fromRows(rowsOf(set, expected)).rootHash, root, `${expected}`);
  assert.equal(new SetRows(300).count, 0);
  assert.ok(new SetRows(2 ** 52).bytes.buffer.byteLength <= 64 * 1024 * 1024);
});

test('a path that comes twice is refused', () => {
  const rows = new SetRows();
  for (const i of [1, 2, 1]) rows.add(hashedPath(i), value(i));
  refuses('internal', () => SetTree.fromRows(rows.bytes));
  for (let i = 3; i < 20; i++) rows.add(hashedPath(1), value(i));
  refuses('internal', () => [...SetTree.inSteps(rows.bytes, 1)]);
});

test('a set that shrinks and grows again is the same tree all the way', () => {
  const paths = Array.from({ length: 40 }, (_, i) => hashedPath(i));
  let tree = treeOf(...paths);
  const roots = [tree.root];
  for (const path of paths) {
    tree = tree.with([{ path, valueHash: null }]);
    roots.push(tree.root);
  }
  assert.equal(tree.root, SetTree.EMPTY.root);
  for (const [i, path] of [...paths.entries()].reverse()) {
    roots.pop();
    tree = tree.with([{ path, valueHash: value(i) }]);
    assert.equal(tree.root, roots.at(-1));
  }
});

// --- trees known in part ---

/** The tree of someone who holds the root, and a proof for each path that changes. */
function partialTree(tree: SetTree, changes: readonly SetChange[]): SetTree {
  const known = SetTree.fromRoot({ root: tree.rootHash, size: tree.size });
  return changes.reduce((partial, { path }) => partial.withBranch(path, tree.branch(path)), known);
}

test('a tree from proofs agrees with the whole tree or says that it cannot', () => {
  let agreed = 0;
  let unable = 0;
  fc.assert(
    fc.property(changesArbitrary, changesArbitrary, (before, changes) => {
      const tree = SetTree.EMPTY.with(before);
      const partial = partialTree(tree, changes);
      for (const { path } of changes) assert.deepEqual(partial.get(path), tree.get(path));
      assert.equal(partial.root, tree.root);
      let after: SetTree | undefined;
      const code = codeOf(() => {
        after = partial.with(changes);
      });
      if (code === undefined) {
        assert.equal(after?.root, tree.with(changes).root);
        assert.equal(after?.size, tree.with(changes).size);
        agreed++;
      } else {
        assert.equal(code, 'invalid_proof');
        assert.ok(changes.some((change) => change.valueHash === null));
        unable++;
      }
    }),
    { numRuns: 250, seed: 7 },
  );
  assert.ok(agreed > 60 && unable > 5, `${agreed} agreed, ${unable} could not`);
});

test('what only a hash is known of is not guessed', () => {
  const [a, b, c] = [pathOfBits('00'), pathOfBits('01'), pathOfBits('10')];
  const tree = treeOf(a, b, c);
  const bare = SetTree.fromRoot({ root: tree.rootHash, size: tree.size });
  assert.equal(bare.root, tree.root);
  refuses('invalid_proof', () => bare.get(a));
  refuses('invalid_proof', () => bare.branch(a));
  refuses('invalid_proof', () => bare.with([{ path: a, valueHash: value(9) }]));
  const known = bare.withBranch(a, tree.branch(a));
  assert.deepEqual(known.get(a), value(0));
  refuses('invalid_proof', () => known.get(b));
  // Alone on either side, a sibling known by its hash may be a leaf that has to rise.
  refuses('invalid_proof', () => known.with([{ path: a, valueHash: null }]));
  const mirrored = bare.withBranch(b, tree.branch(b));
  refuses('invalid_proof', () => mirrored.with([{ path: b, valueHash: null }]));
  const both = known.withBranch(b, tree.branch(b));
  assert.equal(
    both.with([{ path: a, valueHash: null }]).root,
    tree.with([{ path: a, valueHash: null }]).root,
  );
});

test('a branch says nothing new of a part that is known', () => {
  const paths = Array.from({ length: 6 }, (_, i) => hashedPath(i));
  const tree = treeOf(...paths);
  for (const path of [...paths, hashedPath(99)])
    assert.equal(tree.withBranch(path, tree.branch(path)).root, tree.root);
});

test('a partial tree of nothing is the empty tree', () => {
  const empty = SetTree.fromRoot({ root: new Uint8Array(32), size: 0 });
  assert.equal(empty.get(hashedPath(1)), undefined);
  assert.equal(
    empty.with([{ path: hashedPath(1), valueHash: value(1) }]).root,
    treeOf().with([{ path: hashedPath(1), valueHash: value(1) }]).root,
  );
});

test('the leaves of a tree come in the order of paths, and are the tree', () => {
  assert.deepEqual([...SetTree.EMPTY.leaves()], []);
  const paths = Array.from({ length: 40 }, (_, i) => hashedPath(i));
  const tree = treeOf(...paths);
  const leaves = [...tree.leaves()];
  assert.deepEqual(
    leaves.map(({ path }) => toHex(path)),
    paths.map(toHex).sort(),
  );
  assert.equal(SetTree.EMPTY.with(leaves).root, tree.root);
  const bare = SetTree.fromRoot({ root: tree.rootHash, size: tree.size });
  refuses('invalid_proof', () => [...bare.leaves()]);
});
