/** Many short pieces hashed side by side: each as core hashes it, whatever its neighbours are. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { blake3Bytes } from '../../../src/core/hash.ts';
import { eachAlone, HASH_BYTES, hashEach } from '../../../src/server/fast-hash/hash-each.ts';
import { createHasher } from '../../../src/server/fast-hash/hasher.ts';
import { sharedKernel } from '../../../src/server/fast-hash/kernel.ts';

/** No two pieces of it are the same. */
function pattern(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) % 251);
}

function expected(bytes: Uint8Array, lengths: readonly number[]): readonly Uint8Array[] {
  let at = 0;
  return lengths.map((length) => {
    at += length;
    return blake3Bytes(bytes.subarray(at - length, at));
  });
}

function assertEach(lengths: readonly number[]): void {
  const bytes = pattern(lengths.reduce((total, length) => total + length, 0));
  const before = Uint8Array.from(bytes);
  const digests = hashEach(bytes, lengths);
  assert.equal(digests.length, lengths.length * HASH_BYTES);
  for (const [i, digest] of expected(bytes, lengths).entries())
    assert.deepEqual(
      digests.slice(i * HASH_BYTES, (i + 1) * HASH_BYTES),
      digest,
      `piece ${i} of ${lengths[i]} bytes`,
    );
  assert.deepEqual(eachAlone(bytes, lengths), Uint8Array.from(digests));
  assert.deepEqual(bytes, before);
}

test('this machine hashes them with the kernel', () => {
  assert.ok(sharedKernel() !== null);
});

test('pieces of every length up to three blocks, and around every block of a chunk, hash as in core', () => {
  const short = Array.from({ length: 200 }, (_, i) => i);
  const around = Array.from({ length: 16 }, (_, i) => (i + 1) * 64).flatMap((at) => [
    at - 1,
    at,
    at + 1,
  ]);
  assertEach([...short, ...around]);
  assertEach([...short, ...around].reverse());
});

test('pieces of several chunks, and such as fill all lanes alone, hash as in core', () => {
  const lengths = Array.from({ length: 17 }, (_, i) => (i + 1) * 1_024);
  assertEach(lengths.flatMap((at) => [at - 1, at, at + 1, 5]));
  assertEach([40_000]);
});

test('one to nine pieces, and none, hash as in core', () => {
  for (let count = 0; count <= 9; count++) assertEach(new Array<number>(count).fill(70));
});

test('any mixture hashes as in core', () => {
  const length = fc.oneof(fc.nat({ max: 130 }), fc.nat({ max: 1_100 }), fc.nat({ max: 18_000 }));
  fc.assert(
    fc.property(fc.array(length, { maxLength: 24 }), (lengths) => assertEach(lengths)),
    { numRuns: 60 },
  );
});

test('what was hashed before leaves no trace, also where the kernel hashed a stream between', () => {
  const [lengths, other] = [
    [63, 1, 1_024, 0, 3_000],
    [1_000, 64, 65, 900],
  ];
  assertEach(lengths);
  assertEach(other);
  const hasher = createHasher();
  hasher.update(pattern(70_000));
  assert.deepEqual(hasher.digest(), blake3Bytes(pattern(70_000)));
  assertEach(lengths);
});
