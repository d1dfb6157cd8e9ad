/** Hashes by their place. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PackedHashes } from '../../../src/registry/packed-hashes.ts';

test('each hash is found at its place alone', () => {
  const places = [8, 9, 63].flatMap((level) =>
    [0, 1, 255, 256, 257, 2 ** 40, 2 ** 40 + 1].map((index) => ({ level, index })),
  );
  const hashes = new PackedHashes();
  places.forEach((place, i) => {
    assert.equal(hashes.get(place), undefined);
    hashes.set(place, new Uint8Array(32).fill(i));
  });
  places.forEach((place, i) => {
    assert.deepEqual(hashes.get(place), new Uint8Array(32).fill(i));
  });
  for (const level of [8, 10]) assert.equal(hashes.get({ level, index: 3 }), undefined);
});
