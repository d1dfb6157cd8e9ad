import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blake3 } from '@noble/hashes/blake3.js';
import fc from 'fast-check';
import { CHUNK_BYTES, hashChunk } from '../../../src/core/blake3-chunk.ts';
import { blake3Bytes } from '../../../src/core/hash.ts';

test('every length of a chunk hashes as the library says, and longer input too', () => {
  for (let length = 0; length <= CHUNK_BYTES + 70; length++) {
    const input = Uint8Array.from({ length }, (_, i) => (i * 31 + length) % 256);
    assert.deepEqual(blake3Bytes(input), blake3(input), `${length} bytes`);
    if (length <= CHUNK_BYTES) assert.deepEqual(hashChunk(input), blake3(input));
  }
});

test('whatever the bytes are, and wherever in their memory they stand', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: CHUNK_BYTES, size: 'max' }),
      fc.nat({ max: 70 }),
      (bytes, offset) => {
        const part = bytes.subarray(Math.min(offset, bytes.length));
        const before = Uint8Array.from(bytes);
        assert.deepEqual(hashChunk(part), blake3(Uint8Array.from(part)));
        assert.deepEqual(bytes, before, 'the input is as it was');
      },
    ),
    { numRuns: 500 },
  );
});

test('one changed bit of a chunk changes its hash', () => {
  const input = new Uint8Array(CHUNK_BYTES);
  const seen = new Set([hashChunk(input).join()]);
  for (let at = 0; at < CHUNK_BYTES; at++) seen.add(hashChunk(input.with(at, 0x80)).join());
  assert.equal(seen.size, CHUNK_BYTES + 1);
});
