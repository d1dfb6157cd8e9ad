import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeUtf8 } from '../../src/core/bytes.ts';
import { canonicalBytes, canonicalText } from '../../src/core/canonical.ts';
import { type Spliced, spliceArray, spliceObject } from '../../src/http/splice.ts';

const name = fc.string({ unit: fc.constantFrom(...'abz_"\\A09'.split('')), maxLength: 4 });
const value = fc.jsonValue({ maxDepth: 2, noUnicodeString: false });
const scalar = fc.oneof(fc.string(), fc.integer(), fc.constant(null));

test('an object spliced from canonical parts is canonical itself', () => {
  fc.assert(
    fc.property(
      fc.dictionary(name, fc.oneof(value, scalar), { noNullPrototype: true }),
      (object) => {
        const parts = Object.entries(object).map(([member, part], i): [string, Spliced] => [
          member,
          // Either its bytes, or the value itself where a value may stand.
          i % 2 === 0 || !isScalar(part) ? canonicalBytes(part) : part,
        ]);
        assert.equal(decodeUtf8(spliceObject(Object.fromEntries(parts))), canonicalText(object));
      },
    ),
  );
});

function isScalar(part: unknown): part is string | number | null {
  return part === null || typeof part === 'string' || typeof part === 'number';
}

test('an array spliced from canonical parts is canonical, nested ones too', () => {
  fc.assert(
    fc.property(fc.array(value), (values) => {
      const parts = values.map((part) => canonicalBytes(part));
      assert.equal(decodeUtf8(spliceArray(parts)), canonicalText(values));
      assert.equal(decodeUtf8(spliceArray([parts, 1, 'a'])), canonicalText([values, 1, 'a']));
    }),
  );
});

test('spliced bytes are not touched, canonical or not', () => {
  const stored = new TextEncoder().encode('{ "b":1.0 }');
  assert.equal(decodeUtf8(spliceObject({ z: 1, a: stored })), '{"a":{ "b":1.0 },"z":1}');
});
