import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { test } from 'node:test';
import { createPortableVerifier } from '../../../src/core/verifier.ts';
import { createNativeVerifier } from '../../../src/server/native-verifier.ts';

const message = new TextEncoder().encode('quorate/approval/v1\n');

function signer(): { publicKey: Uint8Array; privateKey: KeyObject } {
  const pair = generateKeyPairSync('ed25519');
  const { x = '' } = pair.publicKey.export({ format: 'jwk' });
  return { publicKey: new Uint8Array(Buffer.from(x, 'base64url')), privateKey: pair.privateKey };
}

function signed(): { publicKey: Uint8Array; message: Uint8Array; signature: Uint8Array } {
  const { publicKey, privateKey } = signer();
  return { publicKey, message, signature: new Uint8Array(sign(null, message, privateKey)) };
}

test('an honest signature of an admitted key is accepted', async () => {
  const verifier = createNativeVerifier();
  const honest = signed();
  assert.equal(verifier.admit(honest.publicKey), true);
  assert.equal(await verifier.verify(honest), true);
});

test('a flipped bit, another length or another key is a refusal, not a throw', async () => {
  const verifier = createNativeVerifier();
  const honest = signed();
  const flipped = Uint8Array.from(honest.signature, (byte, i) => (i === 40 ? byte ^ 1 : byte));
  for (const signature of [
    flipped,
    honest.signature.subarray(1),
    new Uint8Array(65),
    new Uint8Array(),
  ])
    assert.equal(await verifier.verify({ ...honest, signature }), false);
  assert.equal(await verifier.verify({ ...honest, publicKey: signer().publicKey }), false);
});

test('keys that node imports but the rule refuses are not admitted', async () => {
  const verifier = createNativeVerifier();
  const identity = Uint8Array.of(1, ...new Uint8Array(31));
  const orderFour = new Uint8Array(32);
  for (const publicKey of [identity, orderFour, new Uint8Array(31), new Uint8Array(33)]) {
    assert.equal(verifier.admit(publicKey), false);
    assert.equal(await verifier.verify({ ...signed(), publicKey }), false);
  }
});

test('R as the identity is refused whatever the version of node says', async () => {
  const { publicKey } = signer();
  const signature = new Uint8Array(64);
  signature[0] = 1;
  const verdicts = [createNativeVerifier(), createPortableVerifier()].map((verifier) =>
    verifier.verify({ publicKey, message, signature }),
  );
  assert.deepEqual(await Promise.all(verdicts), [false, false]);
});

test('a flood of refused keys does not lose the verdict on a good one', async () => {
  const verifier = createNativeVerifier();
  const honest = signed();
  for (let i = 0; i < 5000; i++) verifier.admit(new Uint8Array(33).fill(i & 0xff).fill(i >> 8, 16));
  assert.equal(await verifier.verify(honest), true);
});
