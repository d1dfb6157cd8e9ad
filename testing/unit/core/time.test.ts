import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatTime, isTime } from '../../../src/core/time.ts';

test('a time has one spelling', () => {
  assert.ok(isTime('2026-11-21T09:30:00.000Z'));
  assert.ok(isTime('2024-02-29T23:59:59.999Z'));
  const refused: unknown[] = [
    '2026-11-21T09:30:00Z',
    '2026-11-21T09:30:00.0000Z',
    '2026-11-21T09:30:00.000+00:00',
    '2026-11-21t09:30:00.000z',
    '2026-11-21 09:30:00.000Z',
    '2026-11-21T09:30:00.000Z\n',
    ' 2026-11-21T09:30:00.000Z',
    '2026-02-29T00:00:00.000Z',
    '2026-13-01T00:00:00.000Z',
    '2026-11-21T24:00:00.000Z',
    '2026-11-21T23:59:60.000Z',
    '+012026-11-21T09:30:00.000Z',
    '',
    0,
    null,
    undefined,
    new Date(0),
  ];
  for (const text of refused) assert.ok(!isTime(text), String(text));
});

test('every time that is written is read, and sorts as text does', () => {
  const ms = fc.integer({ min: 0, max: Date.parse('9999-12-31T23:59:59.999Z') });
  fc.assert(
    fc.property(ms, ms, (a, b) => {
      assert.ok(isTime(formatTime(a)));
      assert.equal(Date.parse(formatTime(a)), a);
      assert.equal(formatTime(a) < formatTime(b), a < b);
    }),
  );
});
