import assert from 'node:assert/strict';
import { test } from 'node:test';
import { matchesEtag, notModified } from '../../src/http/conditional.ts';

test('If-None-Match is a list of tags, compared weakly, or a star', () => {
  const matching = [
    '"a"',
    'W/"a"',
    '"b", "a"',
    '"b",W/"a"',
    '*',
    ' * ',
    '"x,y", "a"',
    '"b" , "a" ',
  ];
  for (const header of matching) assert.ok(matchesEtag(header, '"a"'), header);
  const other = [undefined, '', 'a', '"b"', '"A"', '"a', 'a"', '"a,b"', '"*"', '"', '"b""c"'];
  for (const header of other) assert.equal(matchesEtag(header, '"a"'), false, header);
});

test('a tag may hold a comma', () => {
  assert.ok(matchesEtag('"a,b", "c"', '"a,b"'));
  assert.equal(matchesEtag('"a,b"', '"b"'), false);
});

test('a 304 says nothing of a body', () => {
  const headers = {
    ETag: '"a"',
    Vary: 'Accept-Encoding',
    'Cache-Control': 'no-store',
    'Content-Length': '1',
    'Content-Type': 'application/json',
    'Content-Encoding': 'br',
  };
  const kept = { ETag: '"a"', Vary: 'Accept-Encoding', 'Cache-Control': 'no-store' };
  assert.deepEqual(notModified({ headers }), { status: 304, headers: kept, body: null });
});
