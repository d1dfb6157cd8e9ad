/**
 * Proofs that are nearly right, in every way a liar has: hashes dropped, added, swapped and flipped, another
 * place, another tree. A size alone is not in a root, so a wrong size comes with the root that a checkpoint
 * of that size signs.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { foldInclusion, isConsistent, isIncluded } from '../../../../src/core/tlog/merkle.ts';
import { leafHash, ReferenceTree } from '../../../support/core-tlog.ts';
import { makeRandom } from '../../../support/random.ts';

const SIZES = 20;
const records = Array.from({ length: SIZES }, (_, i) => Uint8Array.of(i));
const tree = new ReferenceTree(records);
const rootOf = (size: number): Uint8Array => tree.root(0, size);
const sizes = Array.from({ length: SIZES }, (_, i) => i + 1);
const random = makeRandom(7);

type Proof = readonly Uint8Array[];

function flipped(hash: Uint8Array): Uint8Array {
  const bit = Math.floor(random() * 256);
  return hash.map((byte, at) => (at === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
}

const isSame = (a: Proof, b: Proof): boolean => Buffer.concat(a).equals(Buffer.concat(b));

/** Every proof that is one change away, and a hash of one byte less or more in each place. */
function mutantsOf(proof: Proof, known: Proof): readonly Proof[] {
  const places = [...proof.keys()];
  const spare = [new Uint8Array(32), leafHash(Uint8Array.of(255)), ...known];
  const mutants = [
    ...places.map((i) => proof.toSpliced(i, 1)),
    ...places.map((i) => proof.toSpliced(i, 0, proof[i]!)),
    ...places.slice(1).map((i) => proof.toSpliced(i - 1, 2, proof[i]!, proof[i - 1]!)),
    ...places.map((i) => proof.with(i, flipped(proof[i]!))),
    ...places.map((i) => proof.with(i, proof[i]!.subarray(1))),
    ...places.map((i) => proof.with(i, Uint8Array.of(...proof[i]!, 0))),
    ...places.flatMap((i) => spare.map((hash) => proof.with(i, hash))),
    ...spare.flatMap((hash) => [
      [hash, ...proof],
      [...proof, hash],
    ]),
    proof.toReversed(),
  ];
  return mutants.filter((mutant) => !isSame(mutant, proof) || mutant.length !== proof.length);
}

test('of more than 10,000 false proofs of inclusion none is accepted', (t) => {
  let [tried, right] = [0, 0];
  for (const size of sizes)
    for (let index = 0; index < size; index++) {
      const proof = tree.path(index, 0, size);
      const record = leafHash(records[index]!);
      const root = rootOf(size);
      const claim = { record, index, size, proof, root };
      assert.ok(isIncluded(claim));
      right++;
      const others = sizes.map((_, i) => i).filter((i) => i !== index);
      const false_ = [
        ...mutantsOf(proof, [record, root]).map((mutant) => ({ ...claim, proof: mutant })),
        ...others.map((i) => ({ ...claim, index: i })),
        ...others.map((i) => ({ ...claim, record: leafHash(records[i]!) })),
        ...sizes.filter((n) => n !== size).map((n) => ({ ...claim, size: n, root: rootOf(n) })),
        ...sizes.filter((n) => n !== size).map((n) => ({ ...claim, root: rootOf(n) })),
        { ...claim, root: flipped(root) },
        { ...claim, record: flipped(record) },
        { ...claim, root: root.subarray(0, 31) },
        { ...claim, record: root },
      ].filter((each) => size > 1 || each.record !== root);
      for (const each of false_) assert.ok(!isIncluded(each), JSON.stringify(each));
      tried += false_.length;
    }
  t.diagnostic(`${tried} false, ${right} right`);
  assert.ok(tried > 10_000);
});

test('of more than 10,000 false proofs of consistency none is accepted', (t) => {
  let [tried, right] = [0, 0];
  for (const size of sizes)
    for (let from = 1; from <= size; from++) {
      const proof = tree.subproof(from, 0, size);
      const [fromRoot, root] = [rootOf(from), rootOf(size)];
      const claim = { from, size, proof, fromRoot, root };
      assert.ok(isConsistent(claim));
      right++;
      const false_ = [
        ...mutantsOf(proof, [fromRoot, root]).map((mutant) => ({ ...claim, proof: mutant })),
        ...sizes
          .filter((n) => n !== from)
          .flatMap((n) => [
            { ...claim, from: n, fromRoot: rootOf(n) },
            { ...claim, fromRoot: rootOf(n) },
          ]),
        ...sizes
          .filter((n) => n !== size)
          .flatMap((n) => [
            { ...claim, size: n, root: rootOf(n) },
            { ...claim, root: rootOf(n) },
          ]),
        { ...claim, root: flipped(root) },
        { ...claim, fromRoot: flipped(fromRoot) },
        { ...claim, fromRoot: flipped(fromRoot), root: flipped(root) },
        ...(from === size ? [] : [{ ...claim, fromRoot: root, root: fromRoot }]),
        ...(from === size ? [] : [{ ...claim, from: size, size: from }]),
      ];
      for (const each of false_) assert.ok(!isConsistent(each), JSON.stringify(each));
      tried += false_.length;
    }
  t.diagnostic(`${tried} false, ${right} right`);
  assert.ok(tried > 10_000);
});

/** Every leaf of every size, and every older size of every size. */
const pairs = sizes.flatMap((size) =>
  sizes.filter((n) => n <= size).map((n) => [n, size] as const),
);

test('a proof with more or fewer hashes than its place has is refused, be the root right', () => {
  // Hashes too many can lead to the root: they are left siblings that a smaller tree does not have.
  for (const [nth, size] of pairs) {
    const [record, root] = [leafHash(records[nth - 1]!), rootOf(size)];
    const proof = tree.path(nth - 1, 0, size);
    for (const [otherNth, otherSize] of pairs) {
      if (tree.path(otherNth - 1, 0, otherSize).length === proof.length) continue;
      const claim = { record, index: otherNth - 1, size: otherSize, proof };
      assert.equal(foldInclusion(claim), undefined, `${nth} ${size} ${otherNth} ${otherSize}`);
      assert.ok(!isIncluded({ ...claim, root }));
    }
  }
  for (const [from, size] of pairs) {
    const roots = { fromRoot: rootOf(from), root: rootOf(size) };
    const proof = tree.subproof(from, 0, size);
    for (const [otherFrom, otherSize] of pairs) {
      if (tree.subproof(otherFrom, 0, otherSize).length === proof.length) continue;
      const claim = { from: otherFrom, size: otherSize, proof, ...roots };
      assert.ok(!isConsistent(claim), `${from} ${size} ${otherFrom} ${otherSize}`);
    }
  }
});

test('a proof of another history is refused, whichever leaf was rewritten', () => {
  for (let from = 1; from < SIZES; from++)
    for (let rewritten = 0; rewritten < from; rewritten++) {
      const other = new ReferenceTree(records.with(rewritten, Uint8Array.of(99)));
      const claim = { from, size: SIZES, fromRoot: rootOf(from), root: other.root(0, SIZES) };
      for (const each of [tree, other])
        assert.ok(!isConsistent({ ...claim, proof: each.subproof(from, 0, SIZES) }));
    }
});
