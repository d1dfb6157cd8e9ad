import assert from 'node:assert/strict';
import { test } from 'node:test';
import { appendEntry, verifyEntry } from '../../../src/core/chain.ts';
import { assertErasable, type ErasureTarget } from '../../../src/core/erasure.ts';
import { RegistryError } from '../../../src/core/error.ts';
import { PAYLOAD_TYPES } from '../../../src/core/payload.ts';
import { countQuorum, eligibleSigners } from '../../../src/core/quorum.ts';
import { createNativeVerifier } from '../../../src/server/native-verifier.ts';
import { refuses } from '../../support/core-assert.ts';
import {
  ALICE,
  append,
  appendGenesis,
  BOB,
  decode,
  descriptorsMembers,
  eraseMembers,
  type PayloadMembers,
  put,
  remove,
} from '../../support/core-registry.ts';

const { chain: genesis } = appendGenesis();
const { chain: first } = append(genesis, descriptorsMembers(genesis.registry, [put(null, 'a')]));
const { chain } = append(first, descriptorsMembers(genesis.registry, [remove(first, 'a')]));
const TARGET: ErasureTarget = {
  entryHash: first.entryHash,
  type: 'descriptors',
  isErased: false,
  current: [],
};
const OTHER = `b3:${'5e'.repeat(32)}` as const;

function appends(members: PayloadMembers, signers = [ALICE, BOB]) {
  return append(chain, eraseMembers(first, members), signers);
}

function detailsOf(target: ErasureTarget | undefined): Readonly<Record<string, unknown>> {
  try {
    assertErasable(chain, decode(eraseMembers(first)).payload, target);
  } catch (error) {
    assert.ok(error instanceof RegistryError);
    return error.details;
  }
  return assert.fail('expected a refusal, got none');
}

test('an erase entry leaves the set as it was, and verifies', async () => {
  const appended = appends({});
  assert.equal(appended.leaf.type, 'erase');
  assert.deepEqual([appended.chain.set, appended.changes], [chain.set, []]);
  const verifier = createNativeVerifier();
  const verified = await verifyEntry(chain, appended.entry, { verifier, isCommitted: () => false });
  assert.equal(verified.chain.entryHash, appended.chain.entryHash);
});

test('the threshold of the governance in force erases, as it changes descriptors', () => {
  const { payload } = decode(eraseMembers(first));
  assert.deepEqual(
    [...eligibleSigners(payload, chain.governance).keys()],
    chain.governance.signers.map(({ signer_id }) => signer_id),
  );
  const { rules } = countQuorum(payload, chain.governance, []);
  assert.deepEqual(
    rules.map(({ rule, threshold }) => [rule, threshold]),
    [['current', 2]],
  );
  refuses('quorum_not_reached', () => appends({}, [ALICE]));
});

test('what is erased stands before the erase entry, at the head by its hash too', () => {
  assert.doesNotThrow(() => appends({ version: 2, erases: chain.entryHash }));
  refuses('fence_broken', () => appends({ version: 2 }), /up to 2/);
  refuses('fence_broken', () => appends({ version: 3 }), /up to 2/);
  refuses('fence_broken', () => appends({ version: 2 ** 53 - 1 }), /up to 2/);
  const { payload } = decode(eraseMembers(first));
  refuses('fence_broken', () => assertErasable(null, payload, TARGET), /up to -1/);
  const input = { proposal: decode(eraseMembers(first)), approvals: [], committedAt: '' };
  refuses('not_initialised', () => appendEntry(null, { ...input, isCommitted: () => false }));
});

test('whoever knows the target refuses another entry, one that says who may sign, and one that is gone', () => {
  const { payload } = decode(eraseMembers(first));
  assert.doesNotThrow(() => assertErasable(chain, payload, TARGET));
  for (const type of PAYLOAD_TYPES) {
    const asked = () => assertErasable(chain, payload, { ...TARGET, type });
    if (type === 'descriptors' || type === 'supersede') assert.doesNotThrow(asked);
    else refuses('fence_broken', asked, /of type descriptors or supersede/);
  }
  assert.deepEqual(detailsOf({ ...TARGET, entryHash: OTHER }), { version: 1, entry_hash: OTHER });
  assert.deepEqual(detailsOf(undefined), { version: 1, entry_hash: undefined });
  assert.deepEqual(detailsOf({ ...TARGET, type: 'genesis' }), { version: 1, type: 'genesis' });
  assert.deepEqual(detailsOf({ ...TARGET, isErased: true }), { version: 1 });
});

test('a value that still stands in the set is not erased, and the refusal names each', () => {
  const current = ['a', 'b'].map((id) => ({ kind: 'service', id, more: 'is not repeated' }));
  assert.deepEqual(detailsOf({ ...TARGET, current }), {
    version: 1,
    current: [
      { kind: 'service', id: 'a' },
      { kind: 'service', id: 'b' },
    ],
  });
});

test('other payloads have nothing to erase', () => {
  const { payload } = decode(descriptorsMembers(genesis.registry, [put(null, 'b')]));
  assert.doesNotThrow(() => assertErasable(chain, payload, undefined));
});
