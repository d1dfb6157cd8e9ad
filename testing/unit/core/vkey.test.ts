import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { encodeBase64 } from '../../../src/core/bytes.ts';
import { encodeVerifierKey, parseVerifierKey } from '../../../src/core/vkey.ts';
import { ALICE } from '../../support/core-registry.ts';

const { publicKey } = ALICE;

function vkeyText(name: string, typed: Uint8Array): string {
  const id = createHash('sha256').update(`${name}\n`).update(typed).digest('hex').slice(0, 8);
  return `${name}+${id}+${encodeBase64(typed)}`;
}

test('the key of the c2sp signed-note specification is read', () => {
  // C2SP signed-note, and golang.org/x/mod/sumdb/note's PeterNeumann key.
  const text = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
  const key = parseVerifierKey(text);
  assert.equal(key?.name, 'PeterNeumann');
  assert.equal(key?.keyId, 'c74f20a3');
  assert.equal(key?.publicKey.length, 32);
  assert.equal(encodeVerifierKey({ name: 'PeterNeumann', publicKey: key.publicKey }), text);
});

test('a key whose base64 has a plus is read whole', () => {
  const withPlus = Uint8Array.from(publicKey, () => 0xfb);
  const text = encodeVerifierKey({ name: 'a.example', publicKey: withPlus });
  assert.ok(text.split('+').length > 3);
  assert.deepEqual(parseVerifierKey(text)?.publicKey, withPlus);
});

test('a key of each type is read back as it was written', () => {
  const keys = [
    { type: 'ed25519', length: 32, byte: 0x01 },
    { type: 'cosigner', length: 32, byte: 0x04 },
    { type: 'ml-dsa-44', length: 1312, byte: 0x06 },
  ] as const;
  for (const { type, length, byte } of keys) {
    const bytes = new Uint8Array(length).fill(0xfb);
    const text = encodeVerifierKey({ name: 'a.example', type, publicKey: bytes });
    assert.equal(text, vkeyText('a.example', Uint8Array.of(byte, ...bytes)));
    const keyId = text.split('+')[1];
    assert.deepEqual(parseVerifierKey(text), {
      name: 'a.example',
      keyId,
      type,
      publicKey: bytes,
    });
    const short = Uint8Array.of(byte, ...bytes.subarray(1));
    assert.equal(parseVerifierKey(vkeyText('a.example', short)), undefined);
    assert.equal(parseVerifierKey(vkeyText('a.example', Uint8Array.of(...short, 0, 0))), undefined);
  }
});

test('an id that does not fit name and key is refused', () => {
  const good = encodeVerifierKey({ name: 'a.example', publicKey });
  assert.ok(parseVerifierKey(good));
  assert.equal(parseVerifierKey(good.replace('a.example', 'b.example')), undefined);
  assert.equal(parseVerifierKey(good.replace(/\+[0-9a-f]{8}\+/, '+00000000+')), undefined);
});

test('any other form is refused', () => {
  const typed = Uint8Array.of(1, ...publicKey);
  assert.ok(parseVerifierKey(vkeyText('a.example', typed)));
  const refused = [
    '',
    'a.example',
    vkeyText('', typed),
    vkeyText('a example', typed),
    vkeyText('a\u2003example', typed),
    vkeyText('a+example', typed),
    vkeyText('a.example', Uint8Array.of(2, ...publicKey)), // ECDSA
    vkeyText('a.example', Uint8Array.of(5, ...publicKey)), // RFC 6962 tree head
    vkeyText('a.example', Uint8Array.of(6, ...publicKey)), // ML-DSA-44 is longer
    vkeyText('a.example', Uint8Array.of(255, ...publicKey)),
    vkeyText('a.example', new Uint8Array()),
    vkeyText('a\u0085example', typed),
    vkeyText('a.example', typed.subarray(0, 32)),
    vkeyText('a.example', Uint8Array.of(...typed, 0)),
    vkeyText('a.example', typed).toUpperCase(),
    `${vkeyText('a.example', typed)}\n`,
    vkeyText('a.example', typed).slice(0, -1),
    `${vkeyText('a.example', typed).slice(0, -44)}!${'A'.repeat(43)}`,
  ];
  for (const text of refused) assert.equal(parseVerifierKey(text), undefined, text);
});
