import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeUtf8 } from '../../../../src/core/bytes.ts';
import {
  cosignedMessage,
  cosignedSubtree,
  decodeCosignature,
  encodeCosignature,
} from '../../../../src/core/tlog/cosignature.ts';
import { refuses } from '../../../support/core-assert.ts';

const checkpoint = { origin: 'registry.example/main', size: 8, root: new Uint8Array(32).fill(9) };

test('an ed25519 cosigner signs the time and the whole text, extension lines included', () => {
  const message = cosignedMessage('o\n8\nroot\nextension\n', 1_763_683_200);
  assert.equal(decodeUtf8(message), 'cosignature/v1\ntime 1763683200\no\n8\nroot\nextension\n');
});

test('an ml-dsa key signs its own name, the time, the origin, the range and the root', () => {
  const message = cosignedSubtree(checkpoint, { cosigner: 'w', timestamp: 258 });
  const expected = Buffer.concat([
    Buffer.from('subtree/v1\n\0', 'latin1'),
    Uint8Array.of(1, 0x77),
    Uint8Array.of(0, 0, 0, 0, 0, 0, 1, 2),
    Uint8Array.of(21),
    Buffer.from('registry.example/main'),
    new Uint8Array(8),
    Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 8),
    checkpoint.root,
  ]);
  assert.equal(Buffer.from(message).toString('hex'), expected.toString('hex'));
});

test('sizes beyond 2^32 are eight bytes whole', () => {
  const size = 2 ** 53 - 1;
  const message = cosignedSubtree({ ...checkpoint, size }, { cosigner: 'w', timestamp: 0 });
  assert.equal(Buffer.from(message.subarray(-40, -32)).toString('hex'), '001fffffffffffff');
});

test('a name of 255 bytes fits, a longer one is refused', () => {
  const signed = (cosigner: string, origin: string): Uint8Array =>
    cosignedSubtree({ ...checkpoint, origin }, { cosigner, timestamp: 0 });
  const longest = `${'é'.repeat(127)}e`;
  assert.equal(signed(longest, longest).length, 12 + 256 + 8 + 256 + 8 + 8 + 32);
  refuses('invalid_request', () => signed(`${longest}e`, 'o'), /255 bytes, got 256/);
  refuses('invalid_request', () => signed('w', 'é'.repeat(128)), /255 bytes, got 256/);
});

test('a cosignature is read back as it was written', () => {
  for (const length of [64, 2420])
    for (const timestamp of [0, 1, 1_763_683_200, 2 ** 53 - 1]) {
      const signature = new Uint8Array(length).fill(5);
      const bytes = encodeCosignature({ timestamp, signature });
      assert.equal(bytes.length, 8 + length);
      assert.deepEqual(decodeCosignature(bytes, length), { timestamp, signature });
      const apart = Uint8Array.of(1, 2, 3, ...bytes).subarray(3);
      assert.deepEqual(decodeCosignature(apart, length), { timestamp, signature });
    }
});

test('another length, or a time that no number holds, is no cosignature', () => {
  const bytes = encodeCosignature({ timestamp: 7, signature: new Uint8Array(64) });
  for (const length of [0, 7, 8, 71, 72])
    assert.equal(
      decodeCosignature(bytes.subarray(0, length), 64) !== undefined,
      length === 72,
      `${length} bytes`,
    );
  assert.equal(decodeCosignature(Uint8Array.of(...bytes, 0), 64), undefined);
  assert.equal(decodeCosignature(bytes, 2420), undefined);
  assert.equal(decodeCosignature(Uint8Array.of(0, 0x20, ...bytes.subarray(2)), 64), undefined);
  assert.equal(decodeCosignature(new Uint8Array(72).fill(255), 64), undefined);
});
