import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json } from '../../../src/core/canonical.ts';
import { descriptorPath } from '../../../src/core/descriptor.ts';
import { formatHash } from '../../../src/core/hash.ts';
import {
  decodeSetProof,
  encodeSetProof,
  readSetProof,
  verifyBranch,
} from '../../../src/core/set-proof.ts';
import type { SetBranch } from '../../../src/core/set-rows.ts';
import { SetTree } from '../../../src/core/set-tree.ts';
import { refuses } from '../../support/core-assert.ts';

const pathOf = (id: string): Uint8Array => descriptorPath({ kind: 'service', id });
const ids = Array.from({ length: 40 }, (_, i) => `svc-${i}`);
const tree = SetTree.EMPTY.with(
  ids.map((id, i) => ({ path: pathOf(id), valueHash: new Uint8Array(32).fill(i + 1) })),
);
const root = tree.rootHash;
const absentIds = Array.from({ length: 40 }, (_, i) => `absent-${i}`);

function stateOf(path: Uint8Array, branch: SetBranch): string {
  return verifyBranch({ root, path }, branch).state;
}

/** An absent id whose proof ends in nothing, and one whose proof ends in another's leaf. */
function absentWith(isLeaf: boolean): Uint8Array {
  const path = absentIds.map(pathOf).find((p) => (tree.branch(p).leaf !== null) === isLeaf);
  assert.ok(path);
  return path;
}

const CASES: readonly (readonly [string, Uint8Array, string])[] = [
  ['a descriptor that is there', pathOf('svc-7'), 'present'],
  ['a place that is empty', absentWith(false), 'absent'],
  ["another's place", absentWith(true), 'absent'],
];

test('presence and absence are proved by the wire form, read back', () => {
  for (const [, path, state] of CASES) {
    const proof = encodeSetProof(tree.branch(path));
    const json: Json = JSON.parse(JSON.stringify(proof));
    assert.deepEqual(readSetProof(json), proof);
    assert.equal(stateOf(path, decodeSetProof(readSetProof(json))), state);
  }
  assert.equal(
    verifyBranch({ root: new Uint8Array(32), path: pathOf('a') }, { siblings: [], leaf: null })
      .state,
    'absent',
  );
});

test('every flipped bit of every element of a proof is refused', () => {
  const flip = (bytes: Uint8Array, bit: number): Uint8Array =>
    bytes.map((byte, i) => (i === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
  let flipped = 0;
  for (const [, path, state] of CASES) {
    const branch = tree.branch(path);
    const { siblings, leaf } = branch;
    assert.equal(stateOf(path, branch), state);
    for (let bit = 0; bit < 256; bit++) {
      const mutants: SetBranch[] = siblings.map((sibling, i) => ({
        leaf,
        siblings: siblings.with(i, flip(sibling, bit)),
      }));
      if (leaf !== null)
        mutants.push(
          { siblings, leaf: { ...leaf, path: flip(leaf.path, bit) } },
          { siblings, leaf: { ...leaf, valueHash: flip(leaf.valueHash, bit) } },
        );
      for (const mutant of mutants) assert.equal(stateOf(path, mutant), 'invalid');
      assert.equal(verifyBranch({ root: flip(root, bit), path }, branch).state, 'invalid');
      flipped += mutants.length + 1;
    }
  }
  assert.ok(flipped > 256 * 15, `${flipped} bits flipped`);
});

test('a proof for one path says nothing of another', () => {
  for (const id of ids) {
    const branch = tree.branch(pathOf(id));
    for (const other of [...ids, ...absentIds]) {
      if (other === id) continue;
      // A leaf proves absence of whoever would have to stand in its place, and no more.
      const { state } = verifyBranch({ root, path: pathOf(other) }, branch);
      assert.ok(state === 'invalid' || tree.get(pathOf(other)) === undefined, `${id} ${other}`);
    }
  }
});

test('a proof of the wrong depth is refused', () => {
  for (const [, path] of CASES) {
    const { siblings, leaf } = tree.branch(path);
    assert.equal(stateOf(path, { siblings: siblings.slice(1), leaf }), 'invalid');
    assert.equal(stateOf(path, { siblings: siblings.slice(0, -1), leaf }), 'invalid');
    assert.equal(stateOf(path, { siblings: [...siblings, new Uint8Array(32)], leaf }), 'invalid');
    assert.equal(stateOf(path, { siblings: [...siblings].reverse(), leaf }), 'invalid');
    assert.equal(stateOf(path, { siblings: [], leaf }), 'invalid');
  }
  const siblings = Array.from({ length: 257 }, () => new Uint8Array(32));
  const verdict = verifyBranch({ root, path: pathOf('a') }, { siblings, leaf: null });
  assert.deepEqual(verdict, {
    state: 'invalid',
    reason: 'more siblings than a path has bits',
  });
});

test("a leaf that does not stand on the way is no proof of another's absence", () => {
  const victim = pathOf('svc-7');
  const { siblings } = tree.branch(victim);
  const foreign = tree.branch(pathOf('svc-8')).leaf;
  const away = verifyBranch({ root, path: victim }, { siblings, leaf: foreign });
  assert.deepEqual(away, {
    state: 'invalid',
    reason: 'its leaf does not stand on the way to the path',
  });
  assert.equal(stateOf(victim, { siblings, leaf: null }), 'invalid');
});

test('the wire form is strict', () => {
  const hash = formatHash(new Uint8Array(32));
  const leaf = { path: hash, value_hash: hash };
  const good = { siblings: [hash], leaf };
  assert.deepEqual(readSetProof(good), good);
  assert.deepEqual(readSetProof({ siblings: Array(256).fill(hash), leaf: null }).leaf, null);
  const refused: readonly Json[] = [
    null,
    { siblings: [hash] },
    { leaf },
    { ...good, more: 1 },
    { ...good, siblings: hash },
    { ...good, siblings: ['b3:00'] },
    { ...good, siblings: Array(257).fill(hash) },
    { ...good, leaf: {} },
    { ...good, leaf: { ...leaf, more: 1 } },
    { ...good, leaf: { path: hash, value_hash: null } },
    { ...good, leaf: { path: 'x', value_hash: hash } },
  ];
  for (const value of refused) refuses('invalid_proof', () => readSetProof(value));
});
