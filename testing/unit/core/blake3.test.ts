import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blake3 } from '@noble/hashes/blake3.js';
import fc from 'fast-check';
import { hashBlake3 } from '../../../src/core/blake3.ts';
import { blake3Of } from '../../../src/core/hash.ts';

const CHUNK_BYTES = 1024;

function pattern(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + length) % 256);
}

test('every length of a chunk, and one more, hashes as the library says', () => {
  for (let length = 0; length <= CHUNK_BYTES + 70; length++)
    assert.deepEqual(hashBlake3(pattern(length)), blake3(pattern(length)), `${length} bytes`);
});

test('trees of every shape up to 70 chunks hash as the library says', () => {
  for (let chunks = 1; chunks <= 70; chunks++)
    for (const more of [-1, 0, 1, 64, 65])
      assert.deepEqual(
        hashBlake3(pattern(chunks * CHUNK_BYTES + more)),
        blake3(pattern(chunks * CHUNK_BYTES + more)),
        `${chunks} chunks and ${more} bytes`,
      );
});

test('whatever the bytes are, and wherever in their memory they stand', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 5 * CHUNK_BYTES, size: 'max' }),
      fc.nat({ max: 70 }),
      (bytes, offset) => {
        const part = bytes.subarray(Math.min(offset, bytes.length));
        const before = Uint8Array.from(bytes);
        assert.deepEqual(hashBlake3(part), blake3(Uint8Array.from(part)));
        assert.deepEqual(bytes, before, 'the input is as it was');
      },
    ),
    { numRuns: 500 },
  );
});

test('one changed bit changes the hash', () => {
  const input = new Uint8Array(3 * CHUNK_BYTES);
  const seen = new Set([hashBlake3(input).join()]);
  for (let at = 0; at < input.length; at++) seen.add(hashBlake3(input.with(at, 0x80)).join());
  assert.equal(seen.size, input.length + 1);
});

test('a hash does not change when the next one is made', () => {
  const first = hashBlake3(pattern(3000));
  const kept = Uint8Array.from(first);
  hashBlake3(pattern(5000));
  assert.deepEqual(first, kept);
});

test('a machine of either byte order has the same hashes', () => {
  const [little, big] = [true, false].map((isLittleEndian) => blake3Of({ isLittleEndian }));
  assert.notEqual(little, big);
  assert.deepEqual(little?.(pattern(2_000)), big?.(pattern(2_000)));
});
