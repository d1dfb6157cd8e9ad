import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { canonicalText } from '../../src/core/canonical.ts';
import { refuses } from '../support/core-assert.ts';

interface JcsVectors {
  readonly documents: readonly { readonly input: string; readonly output: string }[];
  /** Big-endian hex of a double, and its canonical text. */
  readonly numbers: readonly (readonly [string, string])[];
  readonly refused: readonly string[];
  readonly generated: { readonly count: number; readonly sha256: string };
}

const vectors: JcsVectors = JSON.parse(
  readFileSync(new URL('vectors/jcs.json', import.meta.url), 'utf8'),
);
const doubleOf = (hex: string): number => Buffer.from(hex, 'hex').readDoubleBE();

test('the documents of rfc 8785 have their canonical form', () => {
  assert.equal(vectors.documents.length, 2);
  for (const { input, output } of vectors.documents)
    assert.equal(canonicalText(JSON.parse(input)), output);
});

test('the numbers of rfc 8785 appendix b are written as it says', () => {
  assert.equal(vectors.numbers.length, 24);
  for (const [hex, text] of vectors.numbers) assert.equal(canonicalText(doubleOf(hex)), text);
  for (const hex of vectors.refused) refuses('malformed', () => canonicalText(doubleOf(hex)));
});

/** Four doubles from each digest of a chain of SHA-256 that begins with 32 zero bytes. */
function* doubles(count: number): Generator<number> {
  let state = Buffer.alloc(32);
  for (let made = 0; made < count; ) {
    state = createHash('sha256').update(state).digest();
    for (let at = 0; at < 32; at += 8) {
      const value = state.readDoubleLE(at);
      if (value === 0 || !Number.isFinite(value) || made === count) continue;
      made++;
      yield value;
    }
  }
}

test('100,000 generated numbers are written as an independent formatter writes them', () => {
  const { count, sha256 } = vectors.generated;
  assert.equal(count, 100_000);
  const hash = createHash('sha256');
  for (const value of doubles(count)) hash.update(`${canonicalText(value)}\n`);
  assert.equal(hash.digest('hex'), sha256);
});
