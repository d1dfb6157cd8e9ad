import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Latency, LatencyRecorder } from '../../../src/cli/bench/histogram.ts';
import { showHistogram, showLatencies } from '../../../src/cli/bench/show.ts';

function record(valuesMs: readonly number[]): Latency | null {
  const recorder = new LatencyRecorder();
  for (const ms of valuesMs) recorder.record(ms);
  return recorder.latency;
}

/** The least value that no more than the rest is above: counted, not computed. */
function percentile(sorted: readonly number[], perMille: number): number {
  const isEnough = (i: number) => (i + 1) * 1000 >= perMille * sorted.length;
  return sorted.find((_, i) => isEnough(i)) ?? Number.NaN;
}

/** Microseconds to a minute, at every order of magnitude. */
const latencyMs = fc
  .tuple(fc.integer({ min: 0, max: 7 }), fc.integer({ min: 1, max: 9_999 }))
  .map(([power, digits]) => (digits * 10 ** (power - 4)) / 1_000);

test('percentiles are those of the sorted values to three figures, the rest is exact', () => {
  fc.assert(
    fc.property(fc.array(latencyMs, { minLength: 1, maxLength: 600 }), (values) => {
      const latency = record(values);
      assert.ok(latency !== null);
      const sorted = values.map((ms) => Math.max(1, Math.round(ms * 1000))).sort((a, b) => a - b);
      const sum = sorted.reduce((total, us) => total + us, 0);
      assert.deepEqual(
        [latency.count, latency.min, latency.max, latency.mean],
        [sorted.length, sorted[0], sorted.at(-1), Math.round(sum / sorted.length)],
      );
      for (const [name, perMille] of [
        ['p50', 500],
        ['p90', 900],
        ['p95', 950],
        ['p99', 990],
        ['p99_9', 999],
      ] as const) {
        const exact = percentile(sorted, perMille);
        const told = latency[name];
        assert.ok(Number.isInteger(told), `${name} ${told}`);
        assert.ok(Math.abs(told - exact) <= exact / 1000, `${name}: ${told}, not ${exact}`);
      }
    }),
  );
});

test('every value is in the bucket whose bounds it lies between, and buckets at both ends are not empty', () => {
  fc.assert(
    fc.property(fc.array(latencyMs, { minLength: 1, maxLength: 100 }), (values) => {
      const buckets = record(values)?.buckets ?? [];
      const us = values.map((ms) => Math.max(1, Math.round(ms * 1000)));
      let from = 0;
      for (const [i, { up_to, count }] of buckets.entries()) {
        const to = up_to ?? Number.POSITIVE_INFINITY;
        assert.ok(to > from);
        const inside = us.filter((value) => (i === 0 || value > from) && value <= to);
        assert.equal(count, inside.length);
        from = to;
      }
      assert.equal(
        buckets.reduce((sum, { count }) => sum + count, 0),
        us.length,
      );
      assert.ok((buckets[0]?.count ?? 0) > 0 && (buckets.at(-1)?.count ?? 0) > 0);
    }),
  );
});

test('what took longer than a hundred seconds is in a bucket without a bound', () => {
  assert.deepEqual(record([0.1, 200_000])?.buckets.at(-1), { up_to: null, count: 1 });
  assert.deepEqual(record([0.1])?.buckets, [{ up_to: 100, count: 1 }]);
  assert.deepEqual(record([0.1001])?.buckets, [{ up_to: 100, count: 1 }]);
  assert.deepEqual(record([0.101])?.buckets, [{ up_to: 150, count: 1 }]);
});

test('nothing recorded is no latency, and no negative time is told', () => {
  assert.equal(record([]), null);
  assert.deepEqual([record([-5])?.min, record([0])?.max], [1, 1]);
});

test('a table shows milliseconds, and the longest bar is that of the fullest bucket', () => {
  const latency = record([...new Array(30).fill(1.25), 2.5, 2.5, 2.5]);
  const [head = '', row = ''] = showLatencies([['get', latency]]).split('\n');
  assert.deepEqual(head.split(/ +/), [
    'ms',
    'count',
    'min',
    'p50',
    'p90',
    'p95',
    'p99',
    'p99.9',
    'max',
    'mean',
  ]);
  assert.deepEqual(row.split(/ +/), [
    'get',
    '33',
    '1.250',
    '1.250',
    '1.250',
    '2.500',
    '2.500',
    '2.500',
    '2.500',
    '1.364',
  ]);
  assert.deepEqual(
    showHistogram('get', latency)
      .split('\n')
      .map((line) => line.trim().split(/ {2,}/)),
    [
      ['get, ms'],
      ['to 1.500', '#'.repeat(40), '30'],
      ['to 2.000', '0'],
      ['to 3.000', '#'.repeat(4), '3'],
    ],
  );
  assert.equal(showHistogram('get', null), '');
});
