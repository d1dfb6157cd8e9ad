import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeldAnswers } from '../../../src/server/listen/held-answers.ts';

const KIB = 1024;

/** Room for 100 KiB. */
function openHeld() {
  const brokenOff: string[] = [];
  const told: string[] = [];
  const held = new HeldAnswers({
    maxBytes: 100 * KIB,
    onBrokenOff: ({ address, body }) => told.push(`${address} ${body.length / KIB}`),
  });
  const hold = (name: string, address: string, body: Uint8Array) =>
    held.hold({ body, address, breakOff: () => brokenOff.push(name) });
  return { held, hold, brokenOff, told };
}

const bytes = (kib: number) => new Uint8Array(kib * KIB);

test('of the address that holds most the oldest answer makes room, and no other', () => {
  const { held, hold, brokenOff, told } = openHeld();
  hold('other, first', 'other', bytes(30));
  hold('most, first', 'most', bytes(25));
  hold('most, second', 'most', bytes(25));
  hold('other, second', 'other', bytes(17));
  assert.deepEqual(brokenOff, []);
  hold('third', 'somebody', bytes(28));
  assert.deepEqual(brokenOff, ['most, first']);
  assert.deepEqual(told, ['most 25']);
  assert.equal(held.bytes, 100 * KIB);
});

test('who floods from one address breaks off only its own', () => {
  const { held, hold, brokenOff } = openHeld();
  hold('honest', 'honest', bytes(40));
  for (let i = 0; i < 100; i++) hold(`flood ${i}`, 'flood', bytes(50));
  assert.deepEqual(
    brokenOff,
    Array.from({ length: 99 }, (_, i) => `flood ${i}`),
  );
  assert.equal(held.bytes, 90 * KIB);
});

test('a body counts once, however many read it, until the last of them has it', () => {
  const { held, hold, brokenOff } = openHeld();
  const shared = bytes(60);
  const releases = Array.from({ length: 50 }, (_, i) => hold(`reader ${i}`, `${i % 5}`, shared));
  assert.equal(held.bytes, 60 * KIB);
  for (const release of releases.slice(1)) release();
  assert.equal(held.bytes, 60 * KIB);
  releases[0]?.();
  assert.equal(held.bytes, 0);
  assert.deepEqual(brokenOff, []);
});

test('many readers of one body at an address are no burden beside one who holds more', () => {
  const { hold, brokenOff } = openHeld();
  const shared = bytes(40);
  for (let i = 0; i < 20; i++) hold(`office ${i}`, 'office', shared);
  hold('hoarder, first', 'hoarder', bytes(30));
  hold('hoarder, second', 'hoarder', bytes(30));
  hold('third', 'somebody', bytes(20));
  assert.deepEqual(brokenOff, ['hoarder, first']);
});

test('an answer that was taken is no longer held, and taken twice it counts once', () => {
  const { held, hold, brokenOff } = openHeld();
  const release = hold('first', 'a', bytes(60));
  release();
  release();
  const again = bytes(60);
  hold('second', 'a', again);
  hold('third', 'a', bytes(40));
  assert.equal(held.bytes, 100 * KIB);
  assert.deepEqual(brokenOff, []);
});

test('one that was broken off and then ends gives back nothing more', () => {
  const { held, hold, brokenOff } = openHeld();
  const release = hold('first', 'a', bytes(60));
  hold('second', 'a', bytes(60));
  assert.deepEqual(brokenOff, ['first']);
  release();
  assert.equal(held.bytes, 60 * KIB);
});

test('what the kernel takes at once is not held', () => {
  const { held, hold } = openHeld();
  for (let i = 0; i < 100; i++) hold(`${i}`, 'a', bytes(16))();
  hold('small', 'a', bytes(16));
  assert.equal(held.bytes, 0);
});
