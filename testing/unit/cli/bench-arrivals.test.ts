import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Arrivals } from '../../../src/cli/bench/arrivals.ts';
import { type Frame, FrameReader } from '../../../src/cli/bench/frames.ts';

const COMMITTED = 10_000;

/** Each subscriber has seen `first` before it counts. */
function arrivalsFrom(subscribers: number, first: number): Arrivals {
  const arrivals = new Arrivals(subscribers);
  for (let i = 0; i < subscribers; i++) see(arrivals, i, first);
  arrivals.begin();
  return arrivals;
}

function see(arrivals: Arrivals, subscriber: number, version: number, at = COMMITTED): void {
  arrivals.add(subscriber, { version, at, committedAt: () => COMMITTED });
}

test('a version is timed from its commit to each subscriber, to the last, and from the first to the last', () => {
  const arrivals = arrivalsFrom(3, 7);
  see(arrivals, 1, 8, COMMITTED + 4);
  see(arrivals, 0, 8, COMMITTED + 5);
  assert.equal(arrivals.complete, 0);
  assert.equal(arrivals.isSettled, false);
  see(arrivals, 2, 8, COMMITTED + 9);
  const { arrival, last, spread } = arrivals;
  assert.deepEqual(
    [arrival.latency?.count, arrival.latency?.min, arrival.latency?.max],
    [3, 4_000, 9_000],
  );
  assert.deepEqual([last.latency?.count, last.latency?.max], [1, 9_000]);
  assert.deepEqual([spread.latency?.count, spread.latency?.max], [1, 5_000]);
  assert.deepEqual(
    [arrivals.events, arrivals.complete, arrivals.missed, arrivals.doubled, arrivals.isSettled],
    [1, 1, 0, 0, true],
  );
});

test('what came before all subscribers were there is not timed, but must still come once and in order', () => {
  const arrivals = new Arrivals(2);
  see(arrivals, 0, 5);
  see(arrivals, 0, 6);
  see(arrivals, 1, 5);
  arrivals.begin();
  see(arrivals, 1, 6);
  assert.deepEqual([arrivals.events, arrivals.arrival.latency, arrivals.doubled], [0, null, 0]);
  see(arrivals, 1, 8);
  assert.deepEqual([arrivals.events, arrivals.missed], [2, 1 + 2]);
});

test('every version that a subscriber misses or gets again is counted', () => {
  const script = fc.array(fc.constantFrom('once', 'twice', 'never'), { maxLength: 40 });
  fc.assert(
    fc.property(script, script, (...scripts) => {
      const arrivals = arrivalsFrom(2, 0);
      const expected = { missed: 0, doubled: 0 };
      const newest = Math.max(
        ...scripts.map((script) => script.findLastIndex((fate) => fate !== 'never') + 1),
        0,
      );
      scripts.forEach((script, subscriber) => {
        for (let version = 1; version <= newest; version++) {
          const fate = script[version - 1] ?? 'never';
          if (fate === 'never') expected.missed++;
          else see(arrivals, subscriber, version);
          if (fate !== 'twice') continue;
          see(arrivals, subscriber, version);
          expected.doubled++;
        }
      });
      const { missed, doubled, events } = arrivals;
      assert.deepEqual({ missed, doubled, events }, { ...expected, events: newest });
    }),
  );
});

test('a commit that reached nobody is missed by all', () => {
  const arrivals = arrivalsFrom(3, 4);
  see(arrivals, 0, 5);
  arrivals.expect(2);
  assert.deepEqual([arrivals.events, arrivals.missed, arrivals.isSettled], [2, 1 + 2 + 2, false]);
  // Others committed too: it is no less.
  arrivals.expect(1);
  assert.equal(arrivals.events, 2);
});

test('only who still listens is waited for', () => {
  const arrivals = arrivalsFrom(3, 4);
  arrivals.expect(2);
  see(arrivals, 0, 6);
  see(arrivals, 2, 5);
  arrivals.end(1);
  assert.equal(arrivals.isSettled, false);
  see(arrivals, 2, 6);
  assert.equal(arrivals.isSettled, true);
  see(arrivals, 0, 7);
  assert.equal(arrivals.isSettled, false, 'another version is on its way');
  assert.deepEqual([arrivals.missed, arrivals.complete], [1 + 3 + 1, 0]);
});

test('an arrival before its commit is told: then the clocks differ', () => {
  const arrivals = arrivalsFrom(1, 0);
  see(arrivals, 0, 1, COMMITTED - 3);
  see(arrivals, 0, 2, COMMITTED + 3);
  assert.equal(arrivals.early, 1);
});

const STREAM =
  'retry: 1500\nid: 4\nevent: registry.update\ndata: {"committed_at":"x","version":4}\n\n' +
  ': a comment\n\nevent: registry.progress\ndata: {"version":4}\n\n' +
  'id: x5\nevent: registry.update\ndata: {}\n\n';

const FRAMES: readonly Frame[] = [
  { event: 'registry.update', id: 4, data: '{"committed_at":"x","version":4}' },
  { event: 'registry.progress', id: undefined, data: '{"version":4}' },
  { event: 'registry.update', id: undefined, data: '{}' },
];

test('frames are the same wherever the stream is cut', () => {
  for (let cut = 0; cut <= STREAM.length; cut++) {
    const reader = new FrameReader();
    const frames = [...reader.add(STREAM.slice(0, cut)), ...reader.add(STREAM.slice(cut))];
    assert.deepEqual(frames, FRAMES, `cut at ${cut}`);
  }
  const reader = new FrameReader();
  assert.deepEqual(
    [...STREAM].flatMap((piece) => reader.add(piece)),
    FRAMES,
  );
});

test('a frame that does not end is refused before it fills the memory', () => {
  const reader = new FrameReader();
  const piece = 'x'.repeat(1024 * 1024);
  assert.throws(() => {
    for (let i = 0; i < 16; i++) reader.add(piece);
  }, /without end/);
});
