import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { acceptedCodings } from '../../src/http/compress.ts';

test('the coding is the one the client weighs most, then ours, then identity', () => {
  const cases = [
    [undefined, ['identity']],
    ['', ['identity']],
    ['identity', ['identity']],
    ['br', ['br', 'identity']],
    ['gzip, br, zstd', ['br', 'zstd', 'gzip', 'identity']],
    ['gzip;q=1, br;q=0.5', ['gzip', 'br', 'identity']],
    ['gzip;q=0.001', ['gzip', 'identity']],
    ['br;q=0', ['identity']],
    ['*', ['br', 'zstd', 'gzip', 'identity']],
    ['*, br;q=0', ['zstd', 'gzip', 'identity']],
    ['*;q=0', ['identity']],
    ['br;q=0.5, *;q=0.1', ['br', 'zstd', 'gzip', 'identity']],
    ['identity, gzip;q=0.5', ['identity']],
    ['identity;q=0.5, gzip;q=0.5', ['gzip', 'identity']],
    ['identity;q=0', ['identity']],
    ['BR', ['br', 'identity']],
    ['x-gzip', ['gzip', 'identity']],
    ['  gzip  ;  q=0.8  ', ['gzip', 'identity']],
    ['compress, deflate', ['identity']],
    ['br;q=2', ['identity']],
    ['br;q=0.1234', ['identity']],
    ['br;level=9', ['identity']],
    [',,gzip,', ['gzip', 'identity']],
  ] as const;
  for (const [header, expected] of cases)
    assert.deepEqual(acceptedCodings(header), expected, header);
});

test('a coding that was not named, or has weight 0, is never chosen', () => {
  const element = fc
    .tuple(
      fc.constantFrom('br', 'gzip', 'zstd', 'identity', 'deflate', '*'),
      fc.constantFrom('', ';q=0', ';q=0.5', ';q=1'),
    )
    .map((parts) => parts.join(''));
  fc.assert(
    fc.property(fc.uniqueArray(element, { selector: (e) => e.split(';')[0] }), (elements) => {
      const chosen = acceptedCodings(elements.join(', '));
      assert.equal(chosen.at(-1), 'identity');
      for (const coding of chosen.slice(0, -1)) {
        const own = elements.find((e) => e.startsWith(coding));
        assert.ok(own ?? elements.find((e) => e.startsWith('*')), coding);
        assert.doesNotMatch(own ?? elements.find((e) => e.startsWith('*')) ?? '', /q=0$/);
      }
    }),
  );
});

test('every header has an answer', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 200 }), (header) => {
      assert.equal(acceptedCodings(header).at(-1), 'identity');
    }),
  );
  assert.deepEqual(acceptedCodings(`${'br ;'.repeat(4_000)}${' '.repeat(4_000)}`), ['identity']);
});
