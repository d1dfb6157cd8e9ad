/** The rule by which a benchmark run is good or bad, on made-up figures. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compare, type Measurement, median, resultOf } from './result.ts';

function measured(name: string, value: number, unit: Measurement['unit'] = 'us'): Measurement {
  return { name, value, unit, calibration: { name: 'bare', value: 100 } };
}

test('a ratio is how many times the bare cost, for times and for rates', () => {
  assert.equal(resultOf(measured('a', 150)).ratio, 1.5);
  assert.equal(resultOf(measured('a', 50, 'requests/s')).ratio, 2);
});

test('a ratio past the tolerance is worse, one within it is as before, one below it is better', () => {
  const results = [130, 151, 60, 10].map((value, i) => resultOf(measured(`${i}`, value)));
  const { compared, missing } = compare(results, { ratios: { 0: 1, 1: 1, 2: 1 }, tolerance: 1.5 });
  assert.deepEqual(
    compared.map(({ verdict }) => verdict),
    ['as before', 'worse', 'better', 'new'],
  );
  assert.deepEqual(missing, []);
});

test('a baseline that nothing was measured for is named', () => {
  assert.deepEqual(compare([], { ratios: { gone: 1 }, tolerance: 1.5 }).missing, ['gone']);
});

test('the median of an even number of values lies between the middle two', () => {
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.equal(median([3, 1, 2]), 2);
});
