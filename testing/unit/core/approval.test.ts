import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Approval,
  approvalStatement,
  assertSignedInTime,
  decodeApprovals,
  encodeApprovals,
  isApprovalValid,
  readApproval,
} from '../../../src/core/approval.ts';
import { encodeUtf8 } from '../../../src/core/bytes.ts';
import { canonicalBytes } from '../../../src/core/canonical.ts';
import { registryOf } from '../../../src/core/payload.ts';
import { createPortableVerifier } from '../../../src/core/verifier.ts';
import { refuses } from '../../support/core-assert.ts';
import {
  ALICE,
  appendGenesis,
  approve,
  BOB,
  CAROL,
  decode,
  descriptorsMembers,
  genesisMembers,
  put,
} from '../../support/core-registry.ts';

const proposal = decode(genesisMembers());
const approval = approve(ALICE, proposal);
const verifier = createPortableVerifier();
const statement = {
  origin: proposal.payload.origin,
  registry: registryOf(proposal),
  payloadB3: proposal.payloadB3,
};

test('a statement is five lines, each ended by one line feed', () => {
  const hash = `b3:${'0'.repeat(64)}` as const;
  const bytes = approvalStatement({
    origin: 'a.example/x',
    registry: hash,
    payloadB3: hash,
    signedAt: '2026-11-21T09:30:00.000Z',
  });
  const lines = ['quorate/approval/v1', 'a.example/x', hash, hash, '2026-11-21T09:30:00.000Z'];
  assert.deepEqual(bytes, encodeUtf8(lines.map((line) => `${line}\n`).join('')));
});

test('an approval has exactly its four members, each in its one spelling', () => {
  assert.deepEqual(readApproval({ ...approval }), approval);
  const refused: readonly Readonly<Record<string, unknown>>[] = [
    { algo: 'ed448' },
    { algo: null },
    { sig: 'AAAA' },
    { sig: approval.sig.replaceAll('=', '') },
    { sig: `${approval.sig}\n` },
    { sig: `${approval.sig.slice(0, -3)}B==` }, // a pad bit
    { signed_at: '2026-11-21T09:00:01Z' },
    { signer_id: 'alice' },
    { note: '' },
  ];
  for (const members of refused) {
    const value = canonicalBytes([{ ...approval, ...members }]);
    refuses('invalid_approval', () => decodeApprovals(value));
  }
  for (const name of Object.keys(approval)) {
    const members = Object.fromEntries(Object.entries(approval).filter(([key]) => key !== name));
    refuses('invalid_approval', () => decodeApprovals(canonicalBytes([members])));
  }
  refuses('invalid_approval', () => readApproval('x', '/approval'), /at \/approval/);
});

test('approvals are stored sorted by signer, one for each', () => {
  const [alice, bob, carol] = [ALICE, BOB, CAROL].map((signer) => approve(signer, proposal));
  assert.ok(alice && bob && carol);
  const bytes = encodeApprovals([carol, alice, bob]);
  assert.deepEqual(bytes, canonicalBytes([alice, bob, carol]));
  assert.deepEqual(decodeApprovals(bytes), [alice, bob, carol]);
  refuses('invalid_approval', () => decodeApprovals(canonicalBytes([bob, alice])), /sorted/);
  refuses(
    'invalid_approval',
    () => decodeApprovals(canonicalBytes([alice, alice])),
    /one for each/,
  );
  refuses('invalid_approval', () => encodeApprovals([bob, alice, bob]), /one for each/);
});

test('an entry has at least one approval and at most two for each possible signer', () => {
  refuses('invalid_approval', () => decodeApprovals(canonicalBytes([])), /1 to 510/);
  const many = (count: number): Approval[] =>
    Array.from({ length: count }, (_, i) => ({
      ...approval,
      signer_id: `org:t#${String(i).padStart(4, '0')}`,
    }));
  assert.equal(decodeApprovals(canonicalBytes(many(510))).length, 510);
  const longest = many(510).map((a) => ({ ...a, signer_id: a.signer_id.padEnd(128, 'x') }));
  assert.ok(encodeApprovals(longest).length < 150 * 1024);
  refuses('invalid_approval', () => decodeApprovals(canonicalBytes(many(511))), /1 to 510/);
});

test('an approval is signed between creation and now, each with five minutes of skew', () => {
  const createdAt = '2026-11-21T09:00:00.000Z';
  const now = '2026-11-21T10:00:00.000Z';
  const signedAt = (signed_at: string) => (): void =>
    assertSignedInTime({ ...approval, signed_at }, { createdAt, now });
  for (const time of ['08:55:00.000', '09:30:00.000', '10:05:00.000'])
    assert.doesNotThrow(signedAt(`2026-11-21T${time}Z`));
  for (const time of ['08:54:59.999', '10:05:00.001'])
    refuses('invalid_approval', signedAt(`2026-11-21T${time}Z`), /5 minutes of skew/);
});

test('an approval holds for its own statement and for no other', async () => {
  const valid = (change: object, members: Partial<Approval> = {}): Promise<boolean> =>
    isApprovalValid(verifier, {
      approval: { ...approval, ...members },
      publicKey: ALICE.public_key,
      statement: { ...statement, ...change },
    });
  const { chain } = appendGenesis({ note: 'another registry' });
  const other = decode(descriptorsMembers(chain.registry, [put(null, 'a')]));
  assert.equal(await valid({}), true);
  assert.equal(await valid({ origin: 'registry.example.com/test' }), false);
  assert.equal(await valid({ registry: chain.registry }), false);
  assert.equal(await valid({ payloadB3: other.payloadB3 }), false);
  assert.equal(await valid({}, { signed_at: '2026-11-21T09:00:01.001Z' }), false);
  assert.equal(await valid({}, { sig: approve(BOB, proposal).sig }), false);
});

test('keys and signatures that are not base64 are a verdict, not an error', async () => {
  const verdict = (publicKey: string, sig: string): Promise<boolean> =>
    isApprovalValid(verifier, { approval: { ...approval, sig }, publicKey, statement });
  assert.equal(await verdict('?', approval.sig), false);
  assert.equal(await verdict(ALICE.public_key, '?'), false);
  assert.equal(await verdict(ALICE.public_key, 'AAAA'), false);
  assert.equal(await verdict('AAAA', approval.sig), false);
});
