import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  decodeBase64,
  decodeUtf8,
  encodeBase64,
  encodeUtf8,
  isEqualBytes,
  parseBase64,
} from '../../../src/core/bytes.ts';
import { refuses } from '../../support/core-assert.ts';

test('base64 agrees with node and survives a round trip', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const text = encodeBase64(bytes);
      assert.equal(text, Buffer.from(bytes).toString('base64'));
      assert.deepEqual(decodeBase64(text), bytes);
    }),
  );
});

test('base64 of more bytes than one call of a function takes is whole', () => {
  const bytes = Uint8Array.from({ length: 200_001 }, (_, i) => i % 251);
  assert.deepEqual(decodeBase64(encodeBase64(bytes)), bytes);
});

test('one value has one base64 spelling: every other text is refused', () => {
  const refused = [
    'QQ', // no padding
    'QQ=', // too little
    'QQ===', // too much
    'QQ==QQ==', // padding inside
    'QR==', // a pad bit is set
    'QUJ=', // another one
    ' QQ==',
    'QQ==\n',
    'QQ= =',
    'Q-_=', // the url alphabet
    '====',
    '=QQ=',
    'Q',
    'Ą===',
  ];
  for (const text of refused) assert.equal(decodeBase64(text), undefined, JSON.stringify(text));
  assert.deepEqual(decodeBase64(''), new Uint8Array());
  assert.deepEqual(decodeBase64('QQ=='), Uint8Array.of(0x41));
});

test('any text that decodes is exactly what encoding gives back', () => {
  const alphabet = fc.constantFrom(...'AQgw/+=019zZ -_\n');
  fc.assert(
    fc.property(fc.string({ unit: alphabet, maxLength: 8 }), (text) => {
      const bytes = decodeBase64(text);
      if (bytes !== undefined) assert.equal(encodeBase64(bytes), text);
    }),
    { numRuns: 5000 },
  );
});

test('utf-8 is decoded strictly, and a byte order mark is kept', () => {
  assert.equal(decodeUtf8(encodeUtf8('é\u2028😀')), 'é\u2028😀');
  assert.equal(decodeUtf8(Uint8Array.of(0xef, 0xbb, 0xbf, 0x41)), '\ufeffA');
  const malformed = [
    [0xff], // never a byte of UTF-8
    [0x80], // a continuation alone
    [0xc3], // cut short
    [0xc0, 0xaf], // overlong
    [0xe0, 0x80, 0xaf],
    [0xed, 0xa0, 0x80], // a surrogate
    [0xf4, 0x90, 0x80, 0x80], // past U+10FFFF
    [0xf8, 0x88, 0x80, 0x80, 0x80],
  ];
  for (const bytes of malformed) refuses('malformed', () => decodeUtf8(Uint8Array.from(bytes)));
});

test('bytes are equal when lengths and all values are', () => {
  assert.ok(isEqualBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 2)));
  assert.ok(isEqualBytes(new Uint8Array(), new Uint8Array()));
  assert.ok(!isEqualBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 3)));
  assert.ok(!isEqualBytes(Uint8Array.of(1), Uint8Array.of(1, 2)));
  assert.ok(!isEqualBytes(Uint8Array.of(1, 2), Uint8Array.of(1)));
});

test('base64 that must be right is refused where it is not', () => {
  assert.deepEqual(parseBase64('AQI='), Uint8Array.of(1, 2));
  assert.throws(() => parseBase64('AQI'), { code: 'malformed' });
});
