import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { CHUNK_BYTES, hashChunk } from '../../../src/core/blake3.ts';
import { blake3Bytes, createBlake3, hashOf } from '../../../src/core/hash.ts';
import { hashFile } from '../../../src/server/fast-hash/hash-file.ts';
import { createHasher } from '../../../src/server/fast-hash/hasher.ts';
import { GROUP_BYTES, GROUP_CHUNKS, Kernel } from '../../../src/server/fast-hash/kernel.ts';

const MEBIBYTE = 1024 * 1024;

/** A pattern of a prime period: no two chunks of a test are the same. */
function pattern(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = i % 251;
  return bytes;
}

function hashed(...pieces: readonly Uint8Array[]): Uint8Array {
  const hasher = createHasher();
  for (const piece of pieces) hasher.update(piece);
  return hasher.digest();
}

let directory = '';
before(() => {
  directory = mkdtempSync(join(tmpdir(), 'quorate-hash-'));
});
after(() => rmSync(directory, { recursive: true }));

test('this machine hashes large input with the kernel', () => {
  assert.equal(new Kernel().input.length, GROUP_BYTES);
});

test('lengths from 0 to 5000 hash as in core', () => {
  const lengths = Array.from({ length: 5_001 }, (_, i) => i).filter(
    (i) => i % 13 === 0 || [0, 1, 63].includes(i % 64),
  );
  for (const length of lengths)
    assert.deepEqual(hashed(pattern(length)), blake3Bytes(pattern(length)), `${length} bytes`);
});

test('around every chunk of the first groups, and around a mebibyte, they hash as in core', () => {
  const chunks = Array.from({ length: 5 * GROUP_CHUNKS }, (_, i) => (i + 1) * CHUNK_BYTES);
  for (const around of [...chunks, MEBIBYTE, 3 * MEBIBYTE, 4 * MEBIBYTE])
    for (const length of [around - 1, around, around + 1])
      assert.deepEqual(hashed(pattern(length)), blake3Bytes(pattern(length)), `${length} bytes`);
});

test('where the pieces end makes no difference', () => {
  const whole = pattern(200_000);
  const expected = blake3Bytes(whole);
  const ends = fc.array(fc.nat({ max: whole.length }), { maxLength: 40 });
  fc.assert(
    fc.property(ends, (some) => {
      const at = [0, ...some.sort((a, b) => a - b), whole.length];
      const pieces = at.slice(1).map((end, i) => whole.subarray(at[i], end));
      assert.deepEqual(hashed(...pieces), expected);
    }),
    { numRuns: 100 },
  );
});

test('byte by byte is a way to give it too', () => {
  const whole = pattern(2 * GROUP_BYTES + 1);
  const bytes = Array.from(whole, (_, i) => whole.subarray(i, i + 1));
  assert.deepEqual(hashed(...bytes), blake3Bytes(whole));
});

test('two hashers at once do not disturb each other, and a digest ends none', () => {
  const [one, other] = [createHasher(), createHasher()];
  const [a, b] = [pattern(3 * GROUP_BYTES + 5), pattern(2 * GROUP_BYTES)];
  for (let at = 0; at < a.length; at += 5_000) {
    one.update(a.subarray(at, at + 5_000));
    other.update(b.subarray(at, at + 5_000));
    assert.deepEqual(one.digest(), blake3Bytes(a.subarray(0, at + 5_000)));
    assert.deepEqual(other.digest(), blake3Bytes(b.subarray(0, at + 5_000)));
  }
});

test('what is hashed may be changed afterwards, and is not changed by it', () => {
  const piece = pattern(GROUP_BYTES + 100);
  const hasher = createHasher();
  hasher.update(piece);
  assert.deepEqual(piece, pattern(GROUP_BYTES + 100));
  piece.fill(0);
  assert.deepEqual(hasher.digest(), blake3Bytes(pattern(GROUP_BYTES + 100)));
});

test('one changed bit anywhere in a group changes the hash', () => {
  const whole = pattern(GROUP_BYTES + 1);
  const seen = new Set([hashed(whole).join()]);
  for (let at = 0; at < whole.length; at += 61) {
    const changed = Uint8Array.from(whole);
    changed[at] = (changed[at] ?? 0) ^ 0x10;
    seen.add(hashed(changed).join());
  }
  assert.equal(seen.size, Math.ceil(whole.length / 61) + 1);
});

test('the counter of a chunk goes up to 2^32, in every lane', () => {
  const kernel = new Kernel();
  kernel.input.set(pattern(GROUP_BYTES));
  for (const counter of [0, 2 ** 16 - 2, 2 ** 31 - 2, 2 ** 32 - GROUP_CHUNKS]) {
    const values = kernel.chunks(GROUP_CHUNKS, counter);
    for (const [i, value] of values.entries()) {
      const chunk = kernel.input.slice(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES);
      const expected = hashChunk(chunk, { counter: counter + i, flags: 0 });
      assert.deepEqual(value, expected, `chunk ${counter + i}`);
    }
  }
});

test('more than 65,536 chunks hash as in core', () => {
  const large = new Uint8Array(66 * MEBIBYTE + 3).fill(7);
  assert.deepEqual(hashed(large), blake3Bytes(large));
});

test('the library in its place gives the same', () => {
  const slow = createBlake3();
  slow.update(pattern(GROUP_BYTES));
  slow.update(pattern(100));
  assert.deepEqual(slow.digest(), hashed(pattern(GROUP_BYTES), pattern(100)));
});

test('a file hashes as its bytes do, by its path and open', async () => {
  for (const length of [0, 1, 512 * 1024, MEBIBYTE + 1]) {
    const path = join(directory, `${length}`);
    writeFileSync(path, pattern(length));
    const told: number[] = [];
    const expected = { hash: hashOf(pattern(length)), bytes: length };
    assert.deepEqual(await hashFile(path, { onProgress: (bytes) => told.push(bytes) }), expected);
    assert.equal(told.at(-1) ?? 0, length);
    await using file = await open(path);
    assert.deepEqual(await hashFile(file), expected);
    assert.deepEqual(await hashFile(file), expected, 'from its beginning again');
  }
});

test('a file is left when nobody wants its hash any more', async () => {
  const path = join(directory, 'left');
  writeFileSync(path, pattern(4 * MEBIBYTE));
  const end = new AbortController();
  const hashing = hashFile(path, { signal: end.signal, onProgress: () => end.abort() });
  await assert.rejects(hashing, { name: 'AbortError' });
});
