import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  cleanedUp,
  ERROR_CODES,
  errorCode,
  escapeText,
  excerpt,
  firstError,
  isErrorCode,
  RegistryError,
} from '../../../src/core/error.ts';

test('codes are unique, in snake case, and recognised', () => {
  assert.equal(new Set(ERROR_CODES).size, ERROR_CODES.length);
  for (const code of ERROR_CODES) {
    assert.match(code, /^[a-z]+(_[a-z]+)*$/);
    assert.ok(isErrorCode(code));
  }
  for (const other of ['teapot', '', undefined, null, 7]) assert.ok(!isErrorCode(other));
});

test('an error keeps its cause and details, and has none when none were given', () => {
  const cause = new Error('below');
  const error = new RegistryError('expired', 'expected x, got y', { cause, details: { n: 1 } });
  assert.equal(error.cause, cause);
  assert.deepEqual(error.details, { n: 1 });
  assert.equal(error.name, 'RegistryError');
  const bare = new RegistryError('expired', 'expected x, got y');
  assert.deepEqual(bare.details, {});
  assert.ok(!('cause' in bare));
});

test('what failed first is found under any number of clean-ups that failed after it', async () => {
  const first = new RegistryError('storage_failed', 'expected x, got y');
  const fail = async (): Promise<void> => {
    throw new Error('a clean-up');
  };
  const failing = async (): Promise<void> => {
    await using _ = { [Symbol.asyncDispose]: fail };
    await using __ = { [Symbol.asyncDispose]: fail };
    throw first;
  };
  const hidden: unknown = await failing().catch((error: unknown) => error);
  assert.ok(hidden instanceof SuppressedError);
  for (const error of [hidden, first, await cleanedUp(hidden, fail)]) {
    assert.equal(firstError(error), first);
    assert.equal(errorCode(error), 'storage_failed');
  }
  assert.equal(await cleanedUp(first, async () => undefined), first);
  assert.equal(errorCode(new SuppressedError(first, new Error('other'))), 'internal');
});

test('both are told where there is no class for it', async (t) => {
  const first = new RegistryError('storage_failed', 'expected x, got y');
  const second = new Error('a clean-up');
  const property = Object.getOwnPropertyDescriptor(globalThis, 'SuppressedError') ?? assert.fail();
  t.after(() => Object.defineProperty(globalThis, 'SuppressedError', property));
  Reflect.deleteProperty(globalThis, 'SuppressedError');
  assert.equal(typeof SuppressedError, 'undefined');
  const both = await cleanedUp(first, () => Promise.reject(second));
  assert.ok(both instanceof Error && both.name === 'SuppressedError');
  assert.deepEqual([firstError(both), errorCode(both)], [first, 'storage_failed']);
  assert.ok('error' in both && both.error === second);
});

test('an excerpt is short printable ascii, whatever came', () => {
  const values = [
    undefined,
    null,
    'x'.repeat(500),
    '\u202e\u0007é\ud83d',
    { a: ['é'] },
    Symbol.iterator,
  ];
  for (const value of values) assert.match(excerpt(value), /^[\x20-\x7e]{1,200}$/);
  assert.equal(excerpt('a\u202eb'), '"a\\u{202e}b"');
  assert.equal(excerpt(undefined), 'undefined');
  assert.ok(excerpt('x'.repeat(500)).endsWith('...'));
});

test('escaped text is printable ascii and names each hidden character', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      assert.match(escapeText(text), /^[\x20-\x7e]*$/);
    }),
  );
  assert.equal(escapeText('a😀\u200b'), 'a\\u{1f600}\\u{200b}');
});
