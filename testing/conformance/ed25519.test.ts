/**
 * QV1 is one rule in two forms, portable and native. Both must give the same verdict on every case
 * that is known to divide libraries; that they do divide is shown beside it, with noble's own verify.
 */
import assert from 'node:assert/strict';
import { sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { verifyAsync } from '@noble/ed25519';
import {
  createPortableVerifier,
  type SignedMessage,
  type Verifier,
} from '../../src/core/verifier.ts';
import { createNativeVerifier } from '../../src/server/native-verifier.ts';
import { type Ed25519Case, ed25519Cases } from '../support/core-ed25519-cases.ts';
import { sampled } from '../support/core-long.ts';
import { keyFromSeed } from '../support/core-registry.ts';

const cases = ed25519Cases();
const native = createNativeVerifier();
const portable = createPortableVerifier();

async function countAccepted(
  verify: (signed: SignedMessage) => Promise<boolean>,
  of: readonly Ed25519Case[],
): Promise<Readonly<Record<string, number>>> {
  const accepted: Record<string, number> = {};
  for (const each of of) {
    const verdict = await verify(each);
    accepted[each.family] = (accepted[each.family] ?? 0) + Number(verdict);
  }
  return accepted;
}

async function assertVerdicts(verifier: Verifier, of: readonly Ed25519Case[]): Promise<void> {
  for (const each of of)
    assert.equal(await verifier.verify(each), each.isValid, JSON.stringify(each.family));
}

test('the cases are the ones this suite is about', () => {
  const sizes: Record<string, number> = {};
  for (const { family } of cases) sizes[family] = (sizes[family] ?? 0) + 1;
  assert.deepEqual(sizes, {
    honest: 40,
    'flipped bit in signature': 512,
    'flipped bit in message': 72,
    'flipped bit in publicKey': 256,
    "another's signature": 40,
    'S beyond the group order': 120,
    'R is the identity': 40,
    'R of small order': 280,
    'R with torsion': 280,
    'non-canonical R': 120,
    'mixed-order A, cancelled': 140,
    'mixed-order A, residue': 140,
    'small-order A': 196,
    'a key that is no point': 78,
    'a wrong length': 12,
  });
});

test('the native form accepts the honest signatures and nothing else', async () => {
  await assertVerdicts(native, cases);
});

test('the portable form accepts the honest signatures and nothing else', async (t) => {
  const isFlip = ({ family }: Ed25519Case): boolean => family.startsWith('flipped');
  const flips = sampled(t, cases.filter(isFlip), 5);
  await assertVerdicts(portable, [...cases.filter((each) => !isFlip(each)), ...flips]);
});

test('both forms admit the same keys', () => {
  const keys = new Map(cases.map(({ publicKey }) => [publicKey.join(), publicKey]));
  const admitted = [...keys.values()].filter((key) => {
    const verdict = native.admit(key);
    assert.equal(portable.admit(key), verdict);
    return verdict;
  });
  assert.ok(admitted.length >= 40 && admitted.length < keys.size - 300, `${admitted.length}`);
});

test("without the rule, libraries disagree: noble's two modes accept what the rule refuses", async (t) => {
  const divided = cases.filter(({ family }) =>
    ['honest', 'R with torsion', 'R is the identity', 'S beyond the group order'].includes(family),
  );
  const chosen = sampled(t, divided, 7);
  const count = (family: string): number => chosen.filter((c) => c.family === family).length;
  const expected = {
    honest: count('honest'),
    'R with torsion': count('R with torsion'),
    'R is the identity': count('R is the identity'),
    'S beyond the group order': 0,
  };
  for (const zip215 of [true, false]) {
    const verdicts = await countAccepted(
      ({ signature, message, publicKey }) => verifyAsync(signature, message, publicKey, { zip215 }),
      chosen,
    );
    assert.deepEqual(verdicts, expected, `zip215: ${zip215}`);
  }
  const ours = await countAccepted((each) => portable.verify(each), chosen);
  assert.equal(ours['R with torsion'], 0);
  assert.ok(expected['R with torsion'] >= 30);
});

test('nothing that comes in makes a verifier throw', async () => {
  const sizes = [0, 31, 32, 33, 63, 64, 65, 1000];
  for (const verifier of [native, portable])
    for (const keySize of sizes)
      for (const size of sizes) {
        const publicKey = new Uint8Array(keySize).fill(7);
        const signature = new Uint8Array(size).fill(255);
        assert.equal(await verifier.verify({ publicKey, message: signature, signature }), false);
        assert.equal(verifier.admit(publicKey), native.admit(publicKey));
      }
});

interface KnownSignature {
  readonly seed: string;
  readonly public_key: string;
  readonly message: string;
  readonly signature: string;
}

function knownSignatures(): readonly KnownSignature[] {
  const path = new URL('vectors/ed25519-sign-input.json', import.meta.url);
  return JSON.parse(readFileSync(path, 'utf8'));
}

async function assertKnown(verifier: Verifier): Promise<void> {
  const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));
  for (const { seed, public_key, message, signature } of knownSignatures()) {
    const signed = { publicKey: bytes(public_key), message: bytes(message) };
    assert.ok(await verifier.verify({ ...signed, signature: bytes(signature) }));
    const again = sign(null, signed.message, keyFromSeed(bytes(seed)));
    assert.equal(again.toString('hex'), signature);
  }
}

test('the published signatures of ed25519 are accepted by both forms', async () => {
  assert.equal(knownSignatures().length, 72);
  await assertKnown(native);
  await assertKnown(portable);
});
