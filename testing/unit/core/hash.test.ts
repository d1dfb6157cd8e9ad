import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeUtf8 } from '../../../src/core/bytes.ts';
import {
  blake3Bytes,
  createBlake3,
  formatHash,
  hashOf,
  isHash,
  parseHash,
} from '../../../src/core/hash.ts';
import { refuses } from '../../support/core-assert.ts';

const ABC = 'b3:6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85';

test('a hash is written as b3: and 64 lower-case hex digits, and read back', () => {
  assert.equal(hashOf(encodeUtf8('abc')), ABC);
  assert.equal(formatHash(blake3Bytes(encodeUtf8('abc'))), ABC);
  assert.equal(formatHash(parseHash(ABC)), ABC);
});

test('every other spelling of a hash is refused', () => {
  const refused = [
    ABC.toUpperCase(),
    ABC.replace('64', '6G'),
    ABC.slice(3),
    ABC.slice(0, -1),
    `${ABC}0`,
    `${ABC}\n`,
    ` ${ABC}`,
    ABC.replace('b3:', 'B3:'),
    ABC.replace('d85', 'D85'),
    '',
  ];
  for (const text of refused) {
    assert.ok(!isHash(text), text);
    refuses('malformed', () => parseHash(text), /got \d+ characters/);
  }
  assert.ok(!isHash(1));
});

test('input in pieces hashes as the whole does, and more may come after a digest', () => {
  const hasher = createBlake3();
  hasher.update(encodeUtf8('a'));
  assert.deepEqual(hasher.digest(), blake3Bytes(encodeUtf8('a')));
  hasher.update(encodeUtf8('bc'));
  assert.equal(formatHash(hasher.digest()), ABC);
});
