import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { blake3Bytes, createBlake3, type Hasher } from '../../src/core/hash.ts';
import { createHasher } from '../../src/server/fast-hash/hasher.ts';

interface Blake3Case {
  readonly input_len: number;
  /** Hex; the first 32 bytes are the hash, what follows is extended output. */
  readonly hash: string;
}

function casesOf(name: string): readonly Blake3Case[] {
  return JSON.parse(readFileSync(new URL(`vectors/${name}`, import.meta.url), 'utf8')).cases;
}

function holds(cases: readonly Blake3Case[]): void {
  for (const { input_len, hash } of cases) {
    const input = Uint8Array.from({ length: input_len }, (_, i) => i % 251);
    for (const made of [
      blake3Bytes(input),
      digest(createBlake3(), input),
      digest(createHasher(), input),
    ])
      assert.equal(Buffer.from(made).toString('hex'), hash.slice(0, 64), `${input_len} bytes`);
  }
}

function digest(hasher: Hasher, input: Uint8Array): Uint8Array {
  hasher.update(input);
  return hasher.digest();
}

test('the published vectors of blake3 hold', () => {
  const cases = casesOf('blake3.json');
  assert.equal(cases.length, 22);
  holds(cases);
});

test('b3sum gives the same hashes around every block and chunk boundary', () => {
  const cases = casesOf('blake3-b3sum.json');
  assert.equal(cases.length, 66);
  assert.ok(cases.some(({ input_len }) => input_len > 100_000));
  holds(cases);
});
