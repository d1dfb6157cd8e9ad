import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json } from '../../../src/core/canonical.ts';
import {
  Check,
  ID,
  KIND,
  NOTE,
  ORIGIN,
  SIGNER_ID,
  type TextRule,
} from '../../../src/core/check.ts';
import { refuses } from '../../support/core-assert.ts';

const check = new Check('invalid_payload');

function holds(rule: TextRule, accepted: readonly string[], refused: readonly string[]): void {
  for (const text of accepted) assert.equal(check.text(text, '/x', rule), text);
  for (const text of refused) refuses('invalid_payload', () => check.text(text, '/x', rule));
  refuses('invalid_payload', () => check.text(7, '/x', rule));
}

test('a failure has the code of its reader, a pointer, what was expected and what came', () => {
  assert.throws(() => new Check('invalid_proof').fail('', 'a thing', { a: 1 }), {
    code: 'invalid_proof',
    message: 'expected a thing at /, got {"a":1}',
    details: { pointer: '/', expected: 'a thing' },
  });
  assert.throws(() => check.fail('/a/0', 'a thing', undefined), {
    message: 'expected a thing at /a/0, got undefined',
  });
});

test('an object is neither null, a list nor a scalar', () => {
  assert.deepEqual(check.object({ a: 1 }, ''), { a: 1 });
  for (const value of [null, [], 'x', 0, true, undefined])
    refuses('invalid_payload', () => check.object(value, ''));
});

test('members are exactly those that are named', () => {
  assert.deepEqual(check.members({ b: 1, a: null }, '', ['a', 'b']), { b: 1, a: null });
  refuses('invalid_payload', () => check.members({ a: 1 }, '/o', ['a', 'b']), /a member at \/o\/b/);
  refuses('invalid_payload', () => check.members({ a: 1, b: 2 }, '', ['a']), /no member but a/);
  refuses('invalid_payload', () => check.members([], '', []));
  const inherited: Json = {};
  refuses('invalid_payload', () => check.members(inherited, '', ['toString']), /\/toString/);
});

test('a list has a size within its bounds', () => {
  const size = { min: 1, max: 2 };
  for (const value of [[0], [0, 0]]) assert.equal(check.array(value, '', size), value);
  for (const value of [[], [0, 0, 0], {}, 'ab', null])
    refuses('invalid_payload', () => check.array(value, '', size));
});

test('a literal is one of the allowed texts', () => {
  assert.equal(check.literal('b', '', 'a', 'b'), 'b');
  for (const value of ['c', '', null, undefined, 1, ['a']])
    refuses('invalid_payload', () => check.literal(value, '', 'a', 'b'), /a or b/);
});

test('an integer is safe and within its range', () => {
  assert.equal(check.integer(3, '', { min: 3 }), 3);
  assert.equal(check.integer(9, '', { min: 3, max: 9 }), 9);
  assert.equal(check.integer(2 ** 53 - 1, '', { min: 0 }), 2 ** 53 - 1);
  for (const value of [2, 10, 3.5, 2 ** 53, '3', null, Number.NaN])
    refuses('invalid_payload', () => check.integer(value, '', { min: 3, max: 9 }));
  refuses('invalid_payload', () => check.integer(2 ** 53, '', { min: 0 }), /9007199254740991/);
});

test('hashes, times and keys are read in their one spelling', () => {
  const hash = `b3:${'0'.repeat(64)}`;
  assert.equal(check.hash(hash, ''), hash);
  refuses('invalid_payload', () => check.hash('b3:0', ''));
  assert.equal(check.time('2026-11-21T09:30:00.000Z', ''), '2026-11-21T09:30:00.000Z');
  refuses('invalid_payload', () => check.time('2026-11-21T09:30:00Z', ''));
  assert.equal(check.base64('QUI=', '', 2), 'QUI=');
  for (const value of ['QUI', 'QUJ=', 'QUJD', 'QQ==', 1, undefined])
    refuses('invalid_payload', () => check.base64(value, '', 2), /base64 of 2 bytes/);
});

test('a kind is 1 to 63 lower-case letters, digits and hyphens after a letter', () => {
  holds(
    KIND,
    ['a', 'npm-package', 'a-', `a${'9'.repeat(62)}`],
    ['', 'A', '9', '-a', 'a_b', 'a.b', 'a/b', 'ä', 'a\n', `a${'9'.repeat(63)}`],
  );
});

test('an id is 1 to 256 characters without empty or dotted path segments', () => {
  const accepted = ['a', '@scope/name@1.0.0+build', '~a', '...', '.a', 'a..b', '-', ':', 'A_z'];
  const refused = ['', '/', '/a', 'a/', 'a//b', '.', '..', 'a/..', './a', 'a/./b', 'a b', 'a\\b'];
  holds(
    ID,
    [...accepted, 'x'.repeat(256)],
    [...refused, 'x'.repeat(257), 'é', 'a%2f', 'a?', 'a#', 'a\n', '*'],
  );
});

test('an origin is a url without scheme, at most 255 characters', () => {
  const long = `a.example/${'x'.repeat(245)}`;
  assert.equal(long.length, 255);
  holds(
    ORIGIN,
    ['registry.example.com/prod', 'localhost', 'a/B/~c_d-e.f', '127.0.0.1', long],
    [
      '',
      'A.example',
      'a.example/',
      '/a',
      'a//b',
      'https://a',
      'a:80',
      'a b',
      'a+b',
      'a\n',
      `${long}x`,
    ],
  );
});

test('a signer id is org:, a realm, # and a key, at most 128 characters', () => {
  const long = `org:a#${'k'.repeat(122)}`;
  assert.equal(long.length, 128);
  holds(
    SIGNER_ID,
    ['org:acme#alice-2026', 'org:a.b_c#0', long],
    [
      '',
      'acme#alice',
      'org:acme',
      'org:#a',
      'org:a#',
      'org:A#a',
      'org:a#b#c',
      'org:a#b\n',
      `${long}k`,
    ],
  );
});

test('a note has at most 1,024 code points and nothing invisible', () => {
  const range = (from: number, to: number): string[] =>
    Array.from({ length: to - from + 1 }, (_, i) => String.fromCodePoint(from + i));
  const invisible = [
    ...range(0x00, 0x1f),
    ...range(0x7f, 0x9f),
    '\u061c',
    ...range(0x200b, 0x200f),
    ...range(0x202a, 0x202e),
    '\u2060',
    ...range(0x2066, 0x2069),
    '\ufeff',
    ...range(0xe0000, 0xe007f),
  ];
  holds(
    NOTE,
    ['', 'é ok', 'x'.repeat(1024), '😀'.repeat(1024), 'a\u00a0b', '\u{e0080}', ' '],
    ['x'.repeat(1025), '😀'.repeat(1025), ...invisible.map((c) => `a${c}b`)],
  );
});
