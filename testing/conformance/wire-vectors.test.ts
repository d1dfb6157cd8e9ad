/**
 * The project's vectors, made by an independent generator: every entry is verified, built anew from its
 * payload and approvals, and signed anew from the seeds, to the same bytes each time.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { approvalStatement, decodeApprovals } from '../../src/core/approval.ts';
import { decodeUtf8, encodeBase64, encodeUtf8 } from '../../src/core/bytes.ts';
import type { Json } from '../../src/core/canonical.ts';
import { type Appended, appendEntry, type Chain, verifyEntry } from '../../src/core/chain.ts';
import {
  descriptorPath,
  descriptorValueHash,
  encodeDescriptor,
} from '../../src/core/descriptor.ts';
import { decodeLeaf } from '../../src/core/leaf.ts';
import { decodePayload, registryOf } from '../../src/core/payload.ts';
import {
  decodeSetProof,
  encodeSetProof,
  readSetProof,
  verifyBranch,
} from '../../src/core/set-proof.ts';
import { SetTree } from '../../src/core/set-tree.ts';
import { createPortableVerifier } from '../../src/core/verifier.ts';
import { encodeVerifierKey, parseVerifierKey } from '../../src/core/vkey.ts';
import { createNativeVerifier } from '../../src/server/native-verifier.ts';
import { approve, keyFromSeed, publicKeyOf, type TestSigner } from '../support/core-registry.ts';

interface WireVectors {
  readonly origin: string;
  readonly registry: string;
  readonly signers: readonly { signer_id: string; seed_hex: string; public_key: string }[];
  readonly log_seed_hex: string;
  readonly log_vkey: string;
  readonly entries: readonly {
    readonly version: number;
    readonly payload: string;
    readonly payload_b3: string;
    readonly approvals: string;
    readonly first_approval_message: string;
    readonly leaf: string;
    readonly entry_hash: string;
  }[];
  readonly set_roots: readonly { readonly n: number; readonly set_root: string }[];
  readonly set_proofs_in_the_set_of_10: readonly {
    readonly kind: string;
    readonly id: string;
    readonly siblings: Json;
    readonly leaf: Json;
  }[];
}

const vectors: WireVectors = JSON.parse(
  readFileSync(new URL('vectors/wire-vectors.json', import.meta.url), 'utf8'),
);
const isCommitted = (): boolean => false;

const signers: readonly TestSigner[] = vectors.signers.map(({ signer_id, seed_hex }) => {
  const privateKey = keyFromSeed(Buffer.from(seed_hex, 'hex'));
  const publicKey = publicKeyOf(privateKey);
  return { signer_id, privateKey, publicKey, public_key: encodeBase64(publicKey) };
});

test('the keys are made from their seeds', () => {
  assert.deepEqual(
    signers.map(({ public_key }) => public_key),
    vectors.signers.map(({ public_key }) => public_key),
  );
  const publicKey = publicKeyOf(keyFromSeed(Buffer.from(vectors.log_seed_hex, 'hex')));
  assert.equal(encodeVerifierKey({ name: vectors.origin, publicKey }), vectors.log_vkey);
  assert.deepEqual(parseVerifierKey(vectors.log_vkey)?.publicKey, publicKey);
});

for (const [form, verifier] of [
  ['portable', createPortableVerifier()],
  ['native', createNativeVerifier()],
] as const)
  test(`every entry verifies with the ${form} verifier`, async () => {
    let chain: Chain | null = null;
    for (const { leaf, payload, approvals, entry_hash, version } of vectors.entries) {
      const bytes = {
        leaf: encodeUtf8(leaf),
        payload: encodeUtf8(payload),
        approvals: encodeUtf8(approvals),
      };
      const verified: Appended = await verifyEntry(chain, bytes, { verifier, isCommitted });
      assert.equal(verified.chain.entryHash, entry_hash);
      assert.equal(verified.chain.version, version);
      chain = verified.chain;
    }
    assert.equal(chain?.registry, vectors.registry);
    assert.equal(vectors.entries.length, 10);
  });

test('every entry is made anew, byte for byte, from its payload and approvals', () => {
  let chain: Chain | null = null;
  for (const { leaf, payload, payload_b3, approvals, entry_hash } of vectors.entries) {
    const proposal = decodePayload(encodeUtf8(payload));
    assert.equal(proposal.payloadB3, payload_b3);
    const appended: Appended = appendEntry(chain, {
      proposal,
      approvals: [...decodeApprovals(encodeUtf8(approvals))].reverse(),
      committedAt: decodeLeaf(encodeUtf8(leaf)).committed_at,
      isCommitted,
    });
    assert.equal(decodeUtf8(appended.entry.leaf), leaf);
    assert.equal(decodeUtf8(appended.entry.approvals), approvals);
    assert.equal(appended.chain.entryHash, entry_hash);
    chain = appended.chain;
  }
});

test('node signs the same statements to the same signatures', () => {
  let signatures = 0;
  for (const { payload, approvals, first_approval_message } of vectors.entries) {
    const proposal = decodePayload(encodeUtf8(payload));
    const decoded = decodeApprovals(encodeUtf8(approvals));
    for (const approval of decoded) {
      const signer = signers.find(({ signer_id }) => signer_id === approval.signer_id);
      assert.ok(signer);
      assert.deepEqual(approve(signer, proposal, { signedAt: approval.signed_at }), approval);
      signatures++;
    }
    const statement = approvalStatement({
      origin: proposal.payload.origin,
      registry: registryOf(proposal),
      payloadB3: proposal.payloadB3,
      signedAt: decoded[0]?.signed_at ?? '',
    });
    assert.equal(decodeUtf8(statement), first_approval_message);
  }
  assert.ok(signatures >= 20, `${signatures} signatures`);
});

function treeOf(n: number): SetTree {
  return SetTree.EMPTY.with(
    Array.from({ length: n }, (_, i) => {
      const descriptor = { kind: 'service', id: `svc-${i}`, spec: { port: 1000 + i } };
      const valueHash = descriptorValueHash(encodeDescriptor(descriptor));
      return { path: descriptorPath(descriptor), valueHash };
    }),
  );
}

test('the set roots are reached', () => {
  assert.deepEqual(
    vectors.set_roots.map(({ n }) => treeOf(n).root),
    vectors.set_roots.map(({ set_root }) => set_root),
  );
});

test('the proofs of presence and absence are made and hold', () => {
  const tree = treeOf(10);
  const states = vectors.set_proofs_in_the_set_of_10.map(({ kind, id, siblings, leaf }) => {
    const path = descriptorPath({ kind, id });
    const proof = readSetProof({ siblings, leaf });
    assert.deepEqual(encodeSetProof(tree.branch(path)), proof);
    return verifyBranch({ root: tree.rootHash, path }, decodeSetProof(proof)).state;
  });
  assert.deepEqual(states, ['present', 'present', 'absent', 'absent']);
});
