import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Approval, encodeApprovals } from '../../../src/core/approval.ts';
import { type Appended, verifyEntry } from '../../../src/core/chain.ts';
import type { ErrorCode } from '../../../src/core/error.ts';
import { formatHash, hashOf } from '../../../src/core/hash.ts';
import { decodeLeaf, type ErasedBytes, encodeLeaf, type Leaf } from '../../../src/core/leaf.ts';
import { EMPTY_HASH } from '../../../src/core/set-hash.ts';

import { formatTime } from '../../../src/core/time.ts';
import {
  decodeErased,
  erasedChecks,
  followErased,
  followLeaf,
  latestExpiry,
  verifyErased,
} from '../../../src/core/without-payload.ts';
import { createNativeVerifier } from '../../../src/server/native-verifier.ts';
import { refuses, refusesLater } from '../../support/core-assert.ts';
import {
  ALICE,
  append,
  appendGenesis,
  approve,
  BOB,
  CAROL,
  DAVE,
  decode,
  descriptorsMembers,
  eraseMembers,
  governanceMembers,
  governanceOf,
  put,
  START_MS,
  supersedeMembers,
} from '../../support/core-registry.ts';

const verifier = createNativeVerifier();
const isCommitted = (): boolean => false;
const genesis = appendGenesis();
const change = descriptorsMembers(genesis.chain.registry, [put(null, 'a'), put(null, 'b')]);
const before = append(genesis.chain, change).chain;
const gone = append(before, descriptorsMembers(before.registry, [put(before, 'a', { n: 1 })]));
const ERASED = erased(gone);

function erased({ entry }: Appended): ErasedBytes {
  return { leaf: entry.leaf, payload: null, approvals: entry.approvals };
}

function withLeaf(members: Partial<Leaf>, bytes = ERASED): ErasedBytes {
  return { ...bytes, leaf: encodeLeaf({ ...decodeLeaf(bytes.leaf), ...members }) };
}

/** The leaf names these approvals. */
function withApprovals(approvals: readonly Approval[]): ErasedBytes {
  const bytes = encodeApprovals(approvals);
  return { ...withLeaf({ approvals_b3: hashOf(bytes) }), approvals: bytes };
}

function refusesErased(code: ErrorCode, bytes: ErasedBytes, message?: RegExp): void {
  refuses(code, () => followErased(before, decodeErased(bytes), isCommitted), message);
}

test('an erased entry leads to the same head, with a set that is known by its root alone', async () => {
  const { chain, leaf, nodes } = await verifyErased(before, ERASED, { verifier, isCommitted });
  assert.deepEqual(leaf, gone.leaf);
  assert.deepEqual(nodes, gone.nodes);
  assert.deepEqual({ ...chain, set: 0, tree: 0 }, { ...gone.chain, set: 0, tree: 0 });
  assert.deepEqual([chain.set.root, chain.set.size], [gone.chain.set.root, gone.chain.set.size]);
  assert.deepEqual(chain.tree.root, gone.chain.tree.root);
  refuses('invalid_proof', () => [...chain.set.leaves()]);
});

test('a supersede entry can be followed without its payload, others cannot', async () => {
  const superseding = append(before, supersedeMembers(before, []));
  const followed = await verifyErased(before, erased(superseding), { verifier, isCommitted });
  assert.equal(followed.chain.entryHash, superseding.chain.entryHash);
  for (const type of ['genesis', 'governance'] as const)
    refusesErased('invalid_entry', withLeaf({ type }), /sets no governance/);
  refusesErased('invalid_entry', withLeaf({ type: 'erase' }), /descriptors or supersede/);
});

test('what comes after is verified as ever, once the set is shown', async () => {
  const { chain } = followErased(before, decodeErased(ERASED), isCommitted);
  const next = append(gone.chain, descriptorsMembers(before.registry, [put(gone.chain, 'c')]));
  await refusesLater('invalid_proof', verifyEntry(chain, next.entry, { verifier, isCommitted }));
  const known = { ...chain, set: gone.chain.set };
  const verified = await verifyEntry(known, next.entry, { verifier, isCommitted });
  assert.equal(verified.chain.entryHash, next.chain.entryHash);
  const erasing = append(gone.chain, eraseMembers(gone.chain));
  const hidden = await verifyEntry(chain, erasing.entry, { verifier, isCommitted });
  assert.equal(hidden.chain.entryHash, erasing.chain.entryHash);
});

test('a leaf that no entry here can have is refused, member by member', () => {
  const other = hashOf(new Uint8Array());
  refusesErased('fork', withLeaf({ prev_hash: other }));
  refusesErased('invalid_entry', withLeaf({ version: 3 }), /version 2/);
  refusesErased('invalid_entry', withLeaf({ origin: 'other.example.com' }), /origin/);
  refusesErased('invalid_entry', withLeaf({ governance_version: 2 }), /governance_version 1/);
  refusesErased('invalid_entry', withLeaf({ approvals_b3: other }), /approvals_b3/);
  const early = formatTime(Date.parse(before.committedAt) - 1);
  refusesErased('invalid_entry', withLeaf({ committed_at: early }), /or later/);
  refusesErased('invalid_entry', withLeaf({ set_size: 0 }), /set_size/);
  refusesErased('invalid_entry', withLeaf({ set_root: formatHash(EMPTY_HASH) }), /set_size/);
  const empty = withLeaf({ set_root: formatHash(EMPTY_HASH), set_size: 0 });
  assert.equal(followErased(before, decodeErased(empty), isCommitted).chain.set.size, 0);
  refuses('replayed', () =>
    followErased(before, decodeErased(ERASED), (hash) => hash === gone.leaf.payload_b3),
  );
  refuses('malformed', () => decodeErased({ ...ERASED, leaf: before.tree.root }));
});

test('its approvals are as many, by whom and when they must be', async () => {
  const proposal = decode(descriptorsMembers(before.registry, [put(before, 'a', { n: 1 })]));
  const [alice, bob, dave] = [ALICE, BOB, DAVE].map((signer) => approve(signer, proposal));
  assert.ok(alice && bob && dave);
  refusesErased('quorum_not_reached', withApprovals([alice]));
  refusesErased('unknown_signer', withApprovals([alice, bob, dave]), /dave/);
  const atBound = formatTime(Date.parse(gone.leaf.committed_at) + 5 * 60_000);
  const late = formatTime(Date.parse(atBound) + 1);
  const signedAt = (time: string) => [alice, approve(BOB, proposal, { signedAt: time })];
  assert.ok(followErased(before, decodeErased(withApprovals(signedAt(atBound))), isCommitted));
  refusesErased('invalid_approval', withApprovals(signedAt(late)), /signed_at/);
  // When it was created is gone with it.
  assert.ok(
    followErased(
      before,
      decodeErased(withApprovals(signedAt('2001-01-01T00:00:00.000Z'))),
      isCommitted,
    ),
  );
  const forged = withApprovals([alice, { ...bob, sig: alice.sig }]);
  const verify = () => verifyErased(before, forged, { verifier, isCommitted });
  await refusesLater('invalid_signature', verify(), /org:acme#bob/);
  assert.deepEqual(
    erasedChecks(before, decodeErased(ERASED)).map(({ signerId }) => signerId),
    [ALICE.signer_id, BOB.signer_id],
  );
});

test('the governance in force decides, after a rotation too', async () => {
  const next = governanceOf([ALICE, BOB, DAVE], { version: 2 });
  const rotated = append(before, governanceMembers(before, next), [ALICE, BOB, DAVE]).chain;
  const members = descriptorsMembers(before.registry, [put(rotated, 'a', { n: 2 })]);
  const after = append(rotated, members, [BOB, DAVE]);
  const followed = await verifyErased(rotated, erased(after), { verifier, isCommitted });
  assert.equal(followed.chain.entryHash, after.chain.entryHash);
  const old = encodeApprovals([CAROL, BOB].map((signer) => approve(signer, decode(members))));
  const bytes = { ...withLeaf({ approvals_b3: hashOf(old) }, erased(after)), approvals: old };
  refuses('unknown_signer', () => followErased(rotated, decodeErased(bytes), isCommitted));
});

test('a leaf alone leads on where it sets no governance, whatever it did', () => {
  const erasing = append(gone.chain, eraseMembers(gone.chain));
  let chain = before;
  for (const { entry } of [gone, erasing]) chain = followLeaf(chain, entry.leaf, isCommitted).chain;
  assert.equal(chain.entryHash, erasing.chain.entryHash);
  assert.deepEqual(chain.tree.root, erasing.chain.tree.root);
});

test('a payload that is gone is remembered for as long as it could have come again', () => {
  const at = (committed_at: string) => latestExpiry({ ...gone.leaf, committed_at });
  const committedAt = formatTime(START_MS);
  assert.equal(at(committedAt), formatTime(START_MS + 30 * 86_400_000 + 600_000));
  assert.equal(at('9999-12-31T00:00:00.000Z'), '9999-12-31T23:59:59.999Z');
});
