import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PATHS, QUERIES, readParameters, readQuery } from '../../../src/api/parameters.ts';
import { ID, KIND } from '../../../src/core/check.ts';
import { refuses } from '../../support/core-assert.ts';

const url = (search: string): string => `http://127.0.0.1:7070/registry/head${search}`;

test('a query is read into numbers, with its defaults', () => {
  assert.deepEqual(readQuery(QUERIES.head, url('')), {});
  assert.deepEqual(readQuery(QUERIES.head, url('?')), {});
  assert.deepEqual(readQuery(QUERIES.head, url('?after=0&wait=60')), { after: 0, wait: 60 });
  assert.deepEqual(readQuery(QUERIES.entries, url('?from=7')), { from: 7, limit: 100 });
  assert.deepEqual(readQuery(QUERIES.stream, url('')), { mode: 'all' });
  assert.deepEqual(readQuery(QUERIES.descriptor, url('?proof=1')), { proof: '1' });
});

test('integers have one spelling', () => {
  const spellings = [
    '01',
    '-1',
    '+1',
    '1.0',
    '1e1',
    ' 1',
    '1 ',
    '',
    '0x1',
    '٣',
    '9007199254740992',
  ];
  for (const after of [...spellings, '99999999999999999'])
    refuses(
      'invalid_request',
      () => readQuery(QUERIES.head, url(`?after=${encodeURIComponent(after)}`)),
      /an integer from 0 to 9007199254740991 in query parameter after, got/,
    );
  assert.equal(readQuery(QUERIES.head, url('?after=9007199254740991')).after, 2 ** 53 - 1);
});

test('a number out of its range is refused with the range', () => {
  const wait = () => readQuery(QUERIES.head, url('?after=1&wait=61'));
  refuses('invalid_request', wait, /from 0 to 60 in query parameter wait, got "61"/);
  for (const limit of ['0', '1001'])
    refuses(
      'invalid_request',
      () => readQuery(QUERIES.entries, url(`?from=0&limit=${limit}`)),
      /from 1 to 1000 in query parameter limit/,
    );
});

test('an unknown, repeated, missing or pointless parameter is refused by name', () => {
  const cases = [
    [QUERIES.none, '?x=1', /no such parameter in query parameter x, got "1"/],
    [QUERIES.descriptor, '?proof=true', /0 or 1 in query parameter proof, got "true"/],
    [QUERIES.descriptor, '?proof', /0 or 1 in query parameter proof, got ""/],
    [QUERIES.stream, '?mode=newest', /all or latest in query parameter mode, got "newest"/],
    [QUERIES.head, '?after=1&after=1', /parameter "after" once, got it twice/],
    [QUERIES.head, '?wait=1', /after beside it in query parameter wait/],
    [QUERIES.diff, '', /in query parameter from, got nothing/],
    [QUERIES.none, '?__proto__=1', /no such parameter in query parameter __proto__/],
    [QUERIES.none, '?a%00b=%ff', /no such parameter in query parameter a/],
  ] as const;
  for (const [schema, search, message] of cases)
    refuses('invalid_request', () => readQuery(schema, url(search)), message);
});

test('a version in a path is a number or head, and one past any head is no error', () => {
  const read = (version: string) =>
    readParameters(PATHS.versionOrHead, { version }, 'path').version;
  assert.deepEqual(['0', '17', 'head'].map(read), [0, 17, 'head']);
  assert.ok(Number(read('9999999999999999')) > Number.MAX_SAFE_INTEGER);
  for (const version of ['01', '', 'HEAD', '-1', '1'.repeat(17)])
    refuses('invalid_request', () => read(version), /a version or head in path parameter version/);
});

test('kind and id of a path are what core says they are', () => {
  const text = fc.string({ unit: fc.constantFrom(...'aZ0.-/~:@+%_ é'.split('')), maxLength: 6 });
  fc.assert(
    fc.property(text, text, (kind, id) => {
      const isValid = KIND.test(kind) && ID.test(id);
      const read = () => readParameters(PATHS.history, { kind, id }, 'path');
      if (isValid) assert.deepEqual(read(), { kind, id });
      else refuses('invalid_request', read, /expected (a kind|an id)/);
    }),
    { numRuns: 2_000 },
  );
});
