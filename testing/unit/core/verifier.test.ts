import assert from 'node:assert/strict';
import { sign } from 'node:crypto';
import { test } from 'node:test';
import { encodeUtf8 } from '../../../src/core/bytes.ts';
import { admitKey, createPortableVerifier } from '../../../src/core/verifier.ts';
import { ALICE, BOB } from '../../support/core-registry.ts';

const verifier = createPortableVerifier();
const message = encodeUtf8('quorate/approval/v1\n');
const signature = Uint8Array.from(sign(null, message, ALICE.privateKey));
const { publicKey } = ALICE;

test('a signature is accepted for its key and message and for no other', async () => {
  assert.equal(await verifier.verify({ publicKey, message, signature }), true);
  assert.equal(await verifier.verify({ publicKey: BOB.publicKey, message, signature }), false);
  assert.equal(await verifier.verify({ publicKey, message: encodeUtf8('x'), signature }), false);
});

test('a key is 32 bytes of a point of prime order', () => {
  assert.ok(verifier.admit(publicKey));
  const identity = Uint8Array.of(1, ...new Uint8Array(31));
  const notOnCurve = Uint8Array.of(2, ...new Uint8Array(31));
  const refused = [
    identity,
    notOnCurve,
    new Uint8Array(32), // order 4
    new Uint8Array(32).fill(0xff), // y past p
    publicKey.subarray(1),
    Uint8Array.of(...publicKey, 0),
    new Uint8Array(),
  ];
  for (const key of refused) {
    assert.equal(verifier.admit(key), false);
    assert.equal(admitKey(key), undefined);
  }
});

test('the cache of keys is bounded, and a flood does not change a verdict', async () => {
  const flooded = createPortableVerifier();
  assert.ok(flooded.admit(publicKey));
  for (let i = 0; i < 5000; i++) flooded.admit(Uint8Array.of(i & 0xff, i >> 8));
  assert.ok(flooded.admit(publicKey));
  assert.equal(await flooded.verify({ publicKey, message, signature }), true);
});
