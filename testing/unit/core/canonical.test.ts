import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeUtf8 } from '../../../src/core/bytes.ts';
import { canonicalBytes, canonicalText, parseCanonical } from '../../../src/core/canonical.ts';
import type { ErrorCode } from '../../../src/core/error.ts';
import { codeOf, refuses } from '../../support/core-assert.ts';

function refusesText(code: ErrorCode, text: string, message?: RegExp): void {
  refuses(code, () => parseCanonical(encodeUtf8(text)), message);
}

test('canonical documents are accepted as they are', () => {
  const accepted = [
    'null',
    'true',
    '0',
    '-1',
    '0.5',
    '1e-7',
    '5e-324',
    '""',
    '"é\u2028😀"',
    '"\\b\\t\\n\\f\\r\\u0000\\u001f\\"\\\\"',
    '[]',
    '{}',
    '[1,[2,{"a":null}]]',
    '{"":0,"a":1,"b":2}',
    '{"hasOwnProperty":2,"toJSON":"x","toString":1}',
    '9007199254740991',
    '-9007199254740991',
    '4503599627370495.5',
  ];
  for (const text of accepted)
    assert.deepEqual(parseCanonical(encodeUtf8(text)), JSON.parse(text), text);
});

test('two spellings of one value never both pass', () => {
  const spellings: readonly (readonly [string, string])[] = [
    ['{"a":1,"a":2}', 'a duplicate key'],
    ['{"a":2,"a":2}', 'a duplicate key of one value'],
    ['{"a":1,"\\u0061":2}', 'a duplicate key, escaped'],
    ['{"b":1,"a":2}', 'unsorted keys'],
    ['{"\u{1f600}":1,"\ufb33":2,"\u{1f600}":3}', 'a duplicate key outside the BMP'],
    ['-0', 'minus zero'],
    ['-0.0', 'minus zero'],
    ['0e0', 'an exponent'],
    ['1.0', 'a zero fraction'],
    ['1e0', 'an exponent'],
    ['1E30', 'a capital exponent'],
    ['1e-400', 'an underflow'],
    ['9007199254740993', 'lost precision'],
    ['0.10000000000000000555', 'lost precision'],
    ['0.1e1', 'an exponent'],
    ['1e5', 'an exponent where digits belong'],
    ['"\\u0041"', 'an escape that is not needed'],
    ['"\\/"', 'an escaped slash'],
    ['"\\u2028"', 'an escaped line separator'],
    ['"\\u000A"', 'capital hex in an escape'],
    ['"\\u000a"', 'a long escape for a short one'],
    ['"\\u001F"', 'capital hex in an escape'],
    ['"\\ud83d\\ude00"', 'an escaped surrogate pair'],
    [' 1', 'white space before'],
    ['1 ', 'white space after'],
    ['1\n', 'a line feed at the end'],
    ['[1, 2]', 'white space within'],
    ['{"a": 1}', 'white space within'],
    ['[ ]', 'white space in nothing'],
  ];
  for (const [text, why] of spellings) {
    assert.equal(
      codeOf(() => parseCanonical(encodeUtf8(text))),
      'not_canonical',
      `${why}: ${text}`,
    );
    refusesText('not_canonical', text, /at character \d+/);
  }
});

test('the offset names the first character that differs', () => {
  assert.throws(() => parseCanonical(encodeUtf8('{"a":1, "b":2}')), { details: { offset: 7 } });
  assert.throws(() => parseCanonical(encodeUtf8('[1,2] ')), { details: { offset: 5 } });
});

test('what JSON or canonical JSON cannot say is malformed', () => {
  const malformed = [
    '',
    ' ',
    '{',
    '[1,]',
    '{"a":1,}',
    "{'a':1}",
    '01',
    '+1',
    '.5',
    'NaN',
    'Infinity',
    'undefined',
    '1 2',
    '"\t"',
    '"\\x41"',
    '// no\n1',
    '\ufeff1',
    '1\u0000',
    '1e400', // parses to infinity
    '-1e400',
    '"\\ud800"', // a lone surrogate
    '"\\udc00\\ud800"',
    '{"\\udead":1}',
  ];
  for (const text of malformed) refusesText('malformed', text);
  refuses('malformed', () => parseCanonical(Uint8Array.of(0x22, 0xff, 0x22)));
  refuses('malformed', () => parseCanonical(Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22)));
});

test('integers end at 2^53-1 and fractions do not', () => {
  for (const text of ['9007199254740992', '-9007199254740992', '100000000000000000000', '1e+21'])
    refusesText('invalid_payload', text, /within 2\^53-1 at \//);
  refusesText('invalid_payload', '{"a":[0,1e+300]}', /at \/a\/1/);
  assert.equal(parseCanonical(encodeUtf8('4503599627370495.5')), 4503599627370495.5);
});

test('members that could reach a prototype are refused at any depth', () => {
  for (const name of ['__proto__', 'constructor', 'prototype']) {
    refusesText('invalid_payload', `{"${name}":1}`, /at \//);
    refusesText('invalid_payload', `{"a":[{"b":{"${name}":{}}}]}`, /at \/a\/0\/b/);
    assert.deepEqual(parseCanonical(encodeUtf8(`["${name}"]`)), [name]);
  }
  assert.equal(Reflect.get(Object.prototype, 'a'), undefined);
});

test('values that are not JSON data have no canonical text', () => {
  const cycle: unknown[] = [];
  cycle.push(cycle);
  for (const value of [undefined, Number.NaN, Number.POSITIVE_INFINITY, '\ud800', 1n, cycle])
    refuses('malformed', () => canonicalText(value));
});

test('a value of JSON data survives the way to canonical bytes and back', () => {
  const integer = fc.integer({ min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER });
  const safe = (value: unknown): boolean =>
    !/__proto__|constructor|prototype/.test(JSON.stringify(value));
  fc.assert(
    fc.property(
      fc.jsonValue({ maxDepth: 4 }).filter(safe),
      fc.dictionary(fc.string({ unit: 'binary' }), integer).filter(safe),
      (value, object) => {
        const data = JSON.parse(JSON.stringify([value, object], (_, v) => (v === 0 ? 0 : v)));
        if (JSON.stringify(data).match(/e\+|\d{17}/)) return; // integers past 2^53
        const bytes = canonicalBytes(data);
        assert.deepEqual(parseCanonical(bytes), data);
        assert.deepEqual(canonicalBytes(parseCanonical(bytes)), bytes);
      },
    ),
    { numRuns: 500 },
  );
});

test('one flipped bit of a canonical document is a refusal or another value', () => {
  const document = { b: [1, 2.5, 'é', null, true], a: { nested: 'text', n: -7 } };
  const bytes = canonicalBytes(document);
  const text = canonicalText(document);
  let refused = 0;
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = Uint8Array.from(bytes);
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    try {
      assert.notEqual(canonicalText(parseCanonical(flipped)), text);
    } catch {
      refused++;
    }
  }
  assert.ok(refused > bytes.length, `${refused} refused`);
});
