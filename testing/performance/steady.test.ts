/** What is said of memory over time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lineOf } from './statistics.ts';
import { openSteady, samplesOf } from './steady.ts';

/** MiB at each second of a run. */
function seconds(count: number, at: (second: number) => number): number[] {
  return Array.from({ length: count }, (_, i) => at(i));
}

function figure(mib: readonly number[], what: string): { ours: number; theirs: number } {
  const found = samplesOf(mib).find(({ name }) => name === `memory under steady load: ${what}`);
  assert.ok(found !== undefined, what);
  return found;
}

test('the line through values on a line ends where they do', () => {
  const { begin, end } = lineOf([3, 5, 7, 9]);
  assert.ok(Math.abs(begin - 3) < 1e-9 && Math.abs(end - 9) < 1e-9, `${begin} to ${end}`);
});

test('the line of least squares of 1, 0, 2 goes from a half to one and a half', () => {
  const { begin, end } = lineOf([1, 0, 2]);
  assert.ok(Math.abs(begin - 0.5) < 1e-9 && Math.abs(end - 1.5) < 1e-9, `${begin} to ${end}`);
});

test('memory that a collection takes back again has no slope', () => {
  const { ours, theirs } = figure(
    seconds(600, (second) => 150 + (second % 7)),
    'slope',
  );
  assert.ok(Math.abs(ours / theirs - 1) < 0.002, `${ours} over ${theirs}`);
});

test('memory that grows by a tenth of a MiB a second shows it in slope and end', () => {
  const mib = seconds(600, (second) => 100 + second / 10);
  const { ours, theirs } = figure(mib, 'slope');
  assert.ok(Math.abs(ours - 159.9) < 1e-6 && Math.abs(theirs - 120) < 1e-6, `${ours}, ${theirs}`);
  const end = figure(mib, 'end');
  assert.ok(Math.abs(end.ours - 156.95) < 1e-6, `${end.ours}`);
  assert.ok(Math.abs(end.theirs - 108.95) < 1e-6, `${end.theirs}`);
});

test('what memory grows to before a third of the time is no slope, and the most is told wherever it was', () => {
  const mib = seconds(60, (second) => (second < 20 ? 80 + second * 6 : 200));
  mib[3] = 300;
  const { ours, theirs } = figure(mib, 'slope');
  assert.ok(Math.abs(ours - theirs) < 1e-9, `${ours} over ${theirs}`);
  assert.equal(figure(mib, 'most').ours, 300);
});

test('a load that is too short to say anything is refused before a server starts', async () => {
  await assert.rejects(openSteady({ seconds: 9 }), /expected at least 10 seconds, got 9/);
});
