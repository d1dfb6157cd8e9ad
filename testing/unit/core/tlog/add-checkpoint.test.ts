import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeBase64 } from '../../../../src/core/bytes.ts';
import {
  type AddCheckpoint,
  encodeAddCheckpoint,
  MAX_REQUEST_BYTES,
  parseAddCheckpoint,
} from '../../../../src/core/tlog/add-checkpoint.ts';
import { refuses } from '../../../support/core-assert.ts';

const HASH = encodeBase64(new Uint8Array(32).fill(1));
const NOTE = 'o\n8\nroot\n\n\u2014 o signature\n';

const requestArbitrary: fc.Arbitrary<AddCheckpoint> = fc.record(
  {
    old: fc.maxSafeNat(),
    proof: fc.array(fc.uint8Array({ minLength: 32, maxLength: 32 }), { maxLength: 63 }),
    note: fc.constantFrom(NOTE, '', `\n\n${NOTE}`),
  },
  { noNullPrototype: true },
);

test('a request is read back as it was written', () => {
  fc.assert(
    fc.property(requestArbitrary, (request) => {
      const body = encodeAddCheckpoint(request);
      assert.deepEqual(parseAddCheckpoint(body), request);
      assert.equal(encodeAddCheckpoint(parseAddCheckpoint(body)), body);
    }),
  );
});

test('a request without a proof has its empty line at once', () => {
  assert.equal(encodeAddCheckpoint({ old: 0, proof: [], note: NOTE }), `old 0\n\n${NOTE}`);
});

test("63 hashes are the most, and leave room for both of a log's signatures", () => {
  const longest = `old ${2 ** 53 - 1}\n${`${HASH}\n`.repeat(63)}\n`;
  assert.equal(parseAddCheckpoint(longest + NOTE).proof.length, 63);
  assert.ok(longest.length + 3244 + 2 * 300 + 92 < MAX_REQUEST_BYTES);
  refuses('malformed', () => parseAddCheckpoint(`old 5\n${`${HASH}\n`.repeat(64)}\n${NOTE}`));
});

test('every other body is refused', () => {
  assert.ok(parseAddCheckpoint(`old 3\n${HASH}\n\n${NOTE}`));
  for (const head of [
    '',
    'old',
    'old ',
    'old 03',
    'old -1',
    'old +3',
    'old 3 ',
    ' old 3',
    'old  3',
    'Old 3',
    'old 3\r',
    'old 9007199254740992',
    'old 99999999999999999',
    'new 3',
    `old 3\n${HASH.slice(4)}`,
    `old 3\n${HASH.slice(0, -1)}`,
    `old 3\n${HASH} `,
    `old 3\n ${HASH}`,
    `old 3\n${HASH}\n${encodeBase64(new Uint8Array(33))}`,
    HASH,
  ])
    refuses('malformed', () => parseAddCheckpoint(`${head}\n\n${NOTE}`), /expected "old <size>"/);
  for (const body of ['old 3', 'old 3\n', `old 3\n${HASH}\n`, '\n\n'])
    refuses('malformed', () => parseAddCheckpoint(body));
});
