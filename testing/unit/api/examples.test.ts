import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EXAMPLES } from '../../../src/api/examples.ts';
import { operations } from '../../../src/api/routes.ts';
import { Problem } from '../../../src/api/schemas.ts';
import { readApproval } from '../../../src/core/approval.ts';
import { decodeBase64 } from '../../../src/core/bytes.ts';
import { canonicalBytes, type Json, parseCanonical } from '../../../src/core/canonical.ts';
import { assertApprovals } from '../../../src/core/chain.ts';
import { descriptorPath } from '../../../src/core/descriptor.ts';
import { readGovernance } from '../../../src/core/governance.ts';
import { formatHash, hashOf, parseHash } from '../../../src/core/hash.ts';
import { decodeLeaf, entryHash } from '../../../src/core/leaf.ts';
import { decodePayload } from '../../../src/core/payload.ts';
import { decodeSetProof, readSetProof, verifyBranch } from '../../../src/core/set-proof.ts';
import { SetTree } from '../../../src/core/set-tree.ts';
import { isConsistent, isIncluded, recordHash } from '../../../src/core/tlog/merkle.ts';
import { readSignedCheckpoint, signersOf } from '../../../src/core/tlog/note-signatures.ts';
import { parseProofFile } from '../../../src/core/tlog/proof-file.ts';
import { createPortableVerifier } from '../../../src/core/verifier.ts';
import { parseVerifierKey } from '../../../src/core/vkey.ts';

const { head, entry, descriptor } = EXAMPLES;

function json(value: unknown): Json {
  return parseCanonical(canonicalBytes(value));
}

test('every example of the document is valid by its own schema', () => {
  let count = 0;
  for (const [id, route] of operations()) {
    if (route.body !== undefined) route.body.schema.parse(route.body.example);
    for (const { schema, example } of Object.values(route.answers)) {
      if (example === undefined) continue;
      assert.ok(schema.safeParse(example).success, id);
      count++;
    }
  }
  Problem.parse(EXAMPLES.problem);
  assert.ok(count > 15);
});

test('the example payload hashes to the proposal id, and its leaf to the entry hash', () => {
  const { payloadB3 } = decodePayload(canonicalBytes(entry.payload));
  const leafBytes = canonicalBytes(entry.leaf);
  assert.equal(payloadB3, head.payload_b3);
  assert.equal(EXAMPLES.proposal.proposal_id, payloadB3);
  assert.equal(decodeLeaf(leafBytes).payload_b3, payloadB3);
  assert.equal(entry.leaf.payload_bytes, canonicalBytes(entry.payload).length);
  assert.equal(entry.leaf.approvals_b3, hashOf(canonicalBytes(entry.approvals)));
  assert.equal(entryHash(leafBytes), head.entry_hash);
});

test('the example approvals are signatures of the example governance', async () => {
  const governance = readGovernance(json(EXAMPLES.governance.governance), '', head.origin);
  const chain = {
    origin: head.origin,
    registry: head.registry,
    version: 0,
    entryHash: formatHash(parseHash(entry.leaf.prev_hash)),
    committedAt: entry.leaf.committed_at,
    governance,
    signerKeys: new Map(),
    set: SetTree.EMPTY,
  } as const;
  const proposal = decodePayload(canonicalBytes(entry.payload));
  const approvals = entry.approvals.map((approval) => readApproval(json(approval)));
  const verifier = createPortableVerifier();
  await assertApprovals(chain, { proposal, approvals, verifier });
  const forged = approvals.map((a) => ({ ...a, signed_at: '2026-11-21T09:31:00.001Z' }));
  await assert.rejects(assertApprovals(chain, { proposal, approvals: forged, verifier }));
  assert.equal(decodeBase64(approvals[0]?.sig ?? '')?.length, 64);
});

test('the example proof leads from the example descriptor to the example set root', () => {
  const bytes = canonicalBytes(descriptor.descriptor);
  assert.equal(hashOf(bytes), descriptor.value_hash);
  const verdict = verifyBranch(
    { root: parseHash(descriptor.set_root), path: descriptorPath(descriptor.descriptor) },
    decodeSetProof(readSetProof(json(descriptor.proof))),
  );
  assert.equal(verdict.state, 'present');
});

test('the example checkpoint is signed by the example log key, and the example proofs lead to it', async () => {
  const { size, root, ...checkpoint } = readSignedCheckpoint(EXAMPLES.checkpoint);
  const keys = EXAMPLES.governance.governance.log_keys.map(
    (text) => parseVerifierKey(text) ?? assert.fail(text),
  );
  const signers = await signersOf({ size, root, ...checkpoint }, keys, createPortableVerifier());
  assert.deepEqual([...signers.keys()], keys);
  const record = recordHash(canonicalBytes(entry.leaf));
  const { leaf_index: index } = EXAMPLES.inclusion;
  const { note, proof } = parseProofFile(EXAMPLES.proofFile);
  assert.equal(note, EXAMPLES.checkpoint);
  assert.deepEqual(proof, EXAMPLES.inclusion.proof.map(decodeBase64));
  assert.ok(isIncluded({ record, index, size, proof, root }));
  const { from } = EXAMPLES.consistency;
  const [fromRoot = new Uint8Array()] = proof;
  const tail = EXAMPLES.consistency.proof.map((text) => decodeBase64(text) ?? assert.fail(text));
  assert.ok(isConsistent({ from, size, proof: tail, fromRoot, root }));
});
