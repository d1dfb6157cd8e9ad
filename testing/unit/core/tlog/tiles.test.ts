import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  decodeBundle,
  decodeTile,
  encodeBundle,
  formatTileName,
  parseTileName,
  TILE_HEIGHT,
  TILE_WIDTH,
  type TileName,
  tileWidth,
} from '../../../../src/core/tlog/tiles.ts';
import { refuses } from '../../../support/core-assert.ts';

test('a tile is eight levels of the tree', () => {
  assert.equal(2 ** TILE_HEIGHT, TILE_WIDTH);
});

test('a size of 70,000 has the tiles that the specification counts', () => {
  const widths = (level: number | 'entries', count: number): number[] =>
    Array.from({ length: count }, (_, index) => tileWidth({ level, index }, 70_000));
  const full = new Array<number>(273).fill(256);
  assert.deepEqual(widths(0, 275), [...full, 112, 0]);
  assert.deepEqual(widths('entries', 275), [...full, 112, 0]);
  assert.deepEqual(widths(1, 3), [256, 17, 0]);
  assert.deepEqual(widths(2, 2), [1, 0]);
  assert.deepEqual(widths(3, 1), [0]);
});

test('a hash of a tile exists when its whole subtree does', () => {
  for (const size of [0, 1, 255, 256, 257, 600, 65_535, 65_536, 65_537, 131_072])
    for (const level of [0, 1, 2, 3])
      for (let index = 0; index < 4; index++) {
        let width = 0;
        while (width < 256 && (index * 256 + width + 1) * 256 ** level <= size) width++;
        assert.equal(tileWidth({ level, index }, size), width, `${size} ${level}/${index}`);
      }
  assert.equal(tileWidth({ level: 63, index: 0 }, 2 ** 53 - 1), 0);
  assert.equal(tileWidth({ level: 6, index: 0 }, 2 ** 53 - 1), 31);
  assert.equal(tileWidth({ level: 0, index: 2 ** 45 - 1 }, 2 ** 53 - 1), 255);
  assert.equal(tileWidth({ level: 0, index: 2 ** 53 - 1 }, 2 ** 53 - 1), 0);
});

const nameArbitrary: fc.Arbitrary<TileName> = fc.record(
  {
    level: fc.oneof(fc.nat(63), fc.constant('entries' as const)),
    index: fc.oneof(fc.maxSafeNat(), fc.nat(2_000), fc.constantFrom(0, 999, 1000, 2 ** 53 - 1)),
    width: fc.integer({ min: 1, max: 256 }),
  },
  { noNullPrototype: true },
);

test('every name is read back as what it names', () => {
  fc.assert(
    fc.property(nameArbitrary, (name) => {
      assert.deepEqual(parseTileName(formatTileName(name)), name);
    }),
  );
});

test('what is read as a name is written as the same text', () => {
  const part = fc.constantFrom('0', '00', '63', '64', 'entries', 'x', 'x000', 'x001', '000', '1');
  const ending = fc.constantFrom('', '.p/0', '.p/1', '.p/01', '.p/255', '.p/256', '.p/999', '.p');
  fc.assert(
    fc.property(fc.array(part, { maxLength: 4 }), ending, (parts, end) => {
      const text = parts.join('/') + end;
      const name = parseTileName(text);
      if (name !== undefined) assert.equal(formatTileName(name), text);
    }),
    { numRuns: 2000 },
  );
});

test('names have one spelling', () => {
  const spelt: readonly (readonly [string, TileName])[] = [
    ['0/000', { level: 0, index: 0, width: 256 }],
    ['0/000.p/1', { level: 0, index: 0, width: 1 }],
    ['63/999.p/255', { level: 63, index: 999, width: 255 }],
    ['5/x001/000', { level: 5, index: 1000, width: 256 }],
    ['entries/x001/x234/067.p/8', { level: 'entries', index: 1_234_067, width: 8 }],
    ['0/x009/x007/x199/x254/x740/991', { level: 0, index: 9_007_199_254_740_991, width: 256 }],
  ];
  for (const [text, name] of spelt) {
    assert.deepEqual(parseTileName(text), name, text);
    assert.equal(formatTileName(name), text);
  }
});

test('every other text is no name', () => {
  const refused = [
    ...['', '0', '0/', '/000', '0/0', '0/00', '0/0000', '0/1000', '0/x000/000', '0/x00/001'],
    ...['00/000', '64/000', '-1/000', '1.0/000', 'data/000', 'Entries/000', '0/000/', '0//000'],
    ...['0/000.p/0', '0/000.p/256', '0/000.p/257', '0/000.p/01', '0/000.p/', '0/000.p', '0/000p/1'],
    ...['0/000.p/1/', ' 0/000', '0/000\n', '0/000.p/1\n', '0/x001/x000', '0/x001000', '0/-01'],
    ...['0/x009/x007/x199/x254/x740/992', '0/x001/x000/x000/x000/x000/x000/000', '0/٠٠٠'],
  ];
  for (const text of refused) assert.equal(parseTileName(text), undefined, JSON.stringify(text));
});

test('leaves come out of a bundle as they went in', () => {
  const leaf = fc.uint8Array({ maxLength: 300 });
  fc.assert(
    fc.property(fc.array(leaf, { maxLength: 20 }), (leaves) => {
      assert.deepEqual([...decodeBundle(encodeBundle(leaves), leaves.length)], leaves);
    }),
  );
  const largest = new Uint8Array(65_535).fill(7);
  assert.deepEqual(decodeBundle(encodeBundle([largest, largest]), 2), [largest, largest]);
  refuses('too_large', () => encodeBundle([new Uint8Array(65_536)]), /65536/);
});

test('a bundle is read where it lies in a larger buffer', () => {
  const bundle = encodeBundle([Uint8Array.of(1, 2), Uint8Array.of(3)]);
  const buffer = Uint8Array.of(9, 9, 9, ...bundle, 9).subarray(3, 3 + bundle.length);
  assert.deepEqual(decodeBundle(buffer, 2), [Uint8Array.of(1, 2), Uint8Array.of(3)]);
});

test('a bundle with a byte or a leaf too few or too many is refused', () => {
  const bundle = encodeBundle([Uint8Array.of(1, 2), Uint8Array.of(), Uint8Array.of(3)]);
  assert.equal(decodeBundle(bundle, 3).length, 3);
  const refuse = (bytes: Uint8Array, count: number): void =>
    refuses('malformed', () => decodeBundle(bytes, count), /entry bundle/);
  for (let end = 0; end < bundle.length; end++) refuse(bundle.subarray(0, end), 3);
  refuse(Uint8Array.of(...bundle, 0), 3);
  refuse(Uint8Array.of(...bundle, 0, 0), 3);
  for (const count of [0, 2, 4]) refuse(bundle, count);
  assert.deepEqual(decodeBundle(new Uint8Array(), 0), []);
  refuse(new Uint8Array(), 1);
  refuse(Uint8Array.of(0xff, 0xff, 1), 1);
});

test('a tile is cut into its hashes, and has no byte more or less', () => {
  const tile = Uint8Array.from({ length: 96 }, (_, i) => i);
  assert.deepEqual(decodeTile(tile, 3), [
    tile.subarray(0, 32),
    tile.subarray(32, 64),
    tile.subarray(64),
  ]);
  for (const count of [0, 2, 4]) refuses('malformed', () => decodeTile(tile, count));
  refuses('malformed', () => decodeTile(tile.subarray(1), 3), /3 hashes in 96 bytes, got 95/);
});
