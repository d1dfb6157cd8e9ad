import assert from 'node:assert/strict';
import { test } from 'node:test';
import { approvalChecks } from '../../../src/core/approved.ts';
import type { SignedMessage } from '../../../src/core/verifier.ts';
import {
  createBlockingVerifier,
  createNativeVerifier,
} from '../../../src/server/native-verifier.ts';
import { packSigned, unpackSigned } from '../../../src/server/signature-messages.ts';
import { SignaturePool } from '../../../src/server/signature-pool.ts';
import { refuses } from '../../support/core-assert.ts';
import { ed25519Cases } from '../../support/core-ed25519-cases.ts';
import { ALICE, approve, BOB, CAROL, decode, genesisMembers } from '../../support/core-registry.ts';

const proposal = decode(genesisMembers());
const good: readonly SignedMessage[] = approvalChecks(null, {
  proposal,
  approvals: [ALICE, BOB, CAROL].map((signer) => approve(signer, proposal)),
}).map(({ signed }) => signed);

function bad(at: number): readonly SignedMessage[] {
  return good.map((signed, i) =>
    i === at
      ? { ...signed, signature: signed.signature.with(40, (signed.signature[40] ?? 0) ^ 1) }
      : signed,
  );
}

test('a batch is verified, and the first signature that fails is named by its place', async () => {
  await using pool = new SignaturePool(2);
  const batches = [good, bad(0), bad(1), bad(2), [...good, ...bad(1)], []];
  const found = await Promise.all(batches.map((batch) => pool.verify(batch)));
  assert.deepEqual(found, [-1, 0, 1, 2, 4, -1]);
});

test('batches go to every thread, and each gets its own answer back', async () => {
  await using pool = new SignaturePool(3);
  const places = Array.from({ length: 30 }, (_, i) => (i % 4) - 1);
  const found = await Promise.all(places.map((at) => pool.verify(at < 0 ? good : bad(at))));
  assert.deepEqual(found, places);
});

test('signatures are packed and unpacked as they were; what does not fit is refused', () => {
  const batch = [
    ...good,
    { ...(good[0] as SignedMessage), message: new Uint8Array(0xffff).fill(7) },
  ];
  assert.deepEqual(unpackSigned(packSigned(batch)).map(copyOf), batch.map(copyOf));
  for (const change of [
    { publicKey: new Uint8Array(31) },
    { signature: new Uint8Array(65) },
    { message: new Uint8Array(0x10000) },
  ])
    refuses('internal', () => packSigned([{ ...(good[0] as SignedMessage), ...change }]));
});

function copyOf({ publicKey, message, signature }: SignedMessage) {
  return [publicKey, message, signature].map((bytes) => Uint8Array.from(bytes));
}

test('a thread that is gone gives no verdict', async () => {
  const pool = new SignaturePool(1);
  const asked = pool.verify(good);
  await pool[Symbol.asyncDispose]();
  await assert.rejects(asked, /expected a thread that verifies signatures/);
  await assert.rejects(
    pool.verify(good),
    /expected a thread that verifies signatures, got its end/,
  );
});

test('the verifier that blocks gives the verdicts of the one that does not, on every case there is', async () => {
  const [blocking, native] = [createBlockingVerifier(), createNativeVerifier()];
  const verdicts = new Set<boolean>();
  for (const signed of [...good, ...bad(1), ...ed25519Cases()]) {
    const verdict = blocking.verify(signed);
    assert.equal(await native.verify(signed), verdict);
    verdicts.add(verdict);
  }
  assert.equal(verdicts.size, 2);
});
