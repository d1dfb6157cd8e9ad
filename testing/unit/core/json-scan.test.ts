import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeUtf8 } from '../../../src/core/bytes.ts';
import { parseCanonical } from '../../../src/core/canonical.ts';
import { assertJsonBounds, JSON_LIMITS } from '../../../src/core/json-scan.ts';
import { refuses } from '../../support/core-assert.ts';

const arrays = (depth: number): Uint8Array => encodeUtf8('['.repeat(depth) + ']'.repeat(depth));
const objects = (depth: number): Uint8Array =>
  encodeUtf8(`${'{"a":'.repeat(depth - 1)}{}${'}'.repeat(depth - 1)}`);
const list = (values: number): Uint8Array => encodeUtf8(`[${Array(values).fill('0').join(',')}]`);

test('32 containers inside each other are accepted and 33 are not', () => {
  assert.equal(JSON_LIMITS.maxDepth, 32);
  for (const nested of [arrays, objects]) {
    assert.doesNotThrow(() => parseCanonical(nested(32)));
    refuses('too_deep', () => parseCanonical(nested(33)), /32 nested containers/);
  }
  assert.doesNotThrow(() => parseCanonical(encodeUtf8('0')));
});

test('100,000 values are accepted and 100,001 are not', () => {
  assert.equal(JSON_LIMITS.maxTokens, 100_000);
  assert.doesNotThrow(() => parseCanonical(list(99_999))); // and the array
  refuses('too_deep', () => parseCanonical(list(100_000)), /100000 values/);
});

test('member names are not values', () => {
  const names = Array.from({ length: 99_999 }, (_, i) => i.toString(36).padStart(4, '0'));
  const members = (count: number): Uint8Array =>
    encodeUtf8(`{${names.slice(0, count).map((name) => `"${name}":0`)}}`);
  assert.doesNotThrow(() => assertJsonBounds(members(99_999)));
});

test('a deep hostile body is refused before it is parsed', () => {
  refuses('too_deep', () => assertJsonBounds(encodeUtf8('['.repeat(1_000_000))), /at byte 32$/);
  refuses('too_deep', () => assertJsonBounds(encodeUtf8('{"":'.repeat(100_000))), /at byte 128$/);
});

test('brackets and commas inside strings do not count', () => {
  const limits = { maxDepth: 1, maxTokens: 3 };
  for (const text of ['["[[[{{{,,,"]', '["\\"[[,,,"]', '["\\\\",",[,"]'])
    assert.doesNotThrow(() => assertJsonBounds(encodeUtf8(text), limits), text);
  refuses('too_deep', () => assertJsonBounds(encodeUtf8('["\\\\",[]]'), limits));
});

test('each container at a depth is held to bounds of its own', () => {
  const bounds = { maxDepth: 9, maxTokens: 99 };
  const at = (text: string, maxBytes: number, maxTokens: number) => () =>
    assertJsonBounds(encodeUtf8(text), { ...bounds, each: { depth: 2, maxBytes, maxTokens } });
  // Twice two values in seven bytes, and what holds them.
  const text = '[{"a":1},[[],0]]';
  assert.doesNotThrow(at(text, 7, 3));
  refuses('too_deep', at(text, 6, 3), /at most 6 bytes from byte 1 on, got more at byte 7$/);
  refuses('too_deep', at(text, 7, 2), /at most 2 values from byte 9 on, got more at byte 14$/);
  assert.doesNotThrow(at('[1,2,3,"long text"]', 2, 1));
  assert.doesNotThrow(at('[[],{},[]]', 2, 1));
});

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

function valuesIn(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 1;
  return Object.values(value).reduce<number>((sum, member) => sum + valuesIn(member), 1);
}

test('the scan counts what a walk over the parsed value counts', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
      const bytes = encodeUtf8(JSON.stringify(value));
      const maxDepth = depthOf(value);
      const maxTokens = valuesIn(value);
      assert.doesNotThrow(() => assertJsonBounds(bytes, { maxDepth, maxTokens }));
      refuses('too_deep', () => assertJsonBounds(bytes, { maxDepth, maxTokens: maxTokens - 1 }));
      if (maxDepth > 0)
        refuses('too_deep', () => assertJsonBounds(bytes, { maxDepth: maxDepth - 1, maxTokens }));
    }),
    { numRuns: 1000 },
  );
});
