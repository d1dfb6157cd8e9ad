import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canonicalBytes } from '../../../src/core/canonical.ts';
import {
  assertSuccession,
  type Governance,
  governanceHash,
  withSigners,
} from '../../../src/core/governance.ts';
import { hashOf } from '../../../src/core/hash.ts';
import { refuses } from '../../support/core-assert.ts';
import { ALICE, BOB, CAROL, DAVE, governanceOf } from '../../support/core-registry.ts';

const first = governanceOf([ALICE, BOB]);
const keys = withSigners(new Map(), first);

function follows(next: Governance, known = keys): void {
  assert.doesNotThrow(() => assertSuccession(first, next, known));
}

test('a governance is named by the hash of its canonical bytes', () => {
  assert.equal(governanceHash(first), hashOf(canonicalBytes(first)));
  assert.notEqual(governanceHash({ ...first, threshold: 1 }), governanceHash(first));
});

test('versions count from 1 without a gap', () => {
  assert.doesNotThrow(() => assertSuccession(null, first, new Map()));
  refuses('invalid_governance', () => assertSuccession(null, { ...first, version: 2 }, new Map()));
  follows({ ...first, version: 2 });
  for (const version of [1, 3])
    refuses('invalid_governance', () => assertSuccession(first, { ...first, version }, keys));
});

test('a signer id keeps its key for the life of the registry', () => {
  const stolen = { ...CAROL, signer_id: ALICE.signer_id };
  const next = governanceOf([stolen, BOB], { version: 2 });
  refuses('invalid_governance', () => assertSuccession(first, next, keys), /keep its key/);
  // Also when the id is not in force any more: whoever left keeps the name.
  const later = withSigners(keys, governanceOf([BOB, DAVE], { version: 2 }));
  refuses('invalid_governance', () => assertSuccession(first, next, later), /keep its key/);
  follows(governanceOf([ALICE, BOB, CAROL], { version: 2 }), later);
});

test('a key may come back under its id, and may move to a new id', () => {
  follows(governanceOf([ALICE, DAVE], { version: 2 }));
  const renamed = { ...ALICE, signer_id: 'org:acme#alice-2027' };
  follows(governanceOf([renamed, BOB], { version: 2 }));
});

test('the memory of ids grows and forgets none', () => {
  const next = withSigners(keys, governanceOf([CAROL, DAVE]));
  assert.deepEqual(
    [...next.keys()].sort(),
    [ALICE, BOB, CAROL, DAVE].map((s) => s.signer_id),
  );
  assert.equal(keys.size, 2);
});
