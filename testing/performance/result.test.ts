/** The rule by which a benchmark run is good or bad, on made-up figures. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Figure, figuresOf, type Kind, type Sample } from './figure.ts';
import {
  type Baseline,
  isTooNoisy,
  type Judgement,
  judge,
  LIMITS,
  missingMetrics,
  parseBaseline,
  parseWaivers,
  type Waiver,
} from './gate.ts';
import { assertWhole, PROFILES, readBaseline, readWaivers } from './run-file.ts';
import { exponentOf, median, noiseOf, quantile, reachOf, spreadOf } from './statistics.ts';

const KINDS = Object.keys(LIMITS) as Kind[];
const TODAY = '2026-11-21';
const WAIVER: Waiver = {
  profile: 'macronode',
  figure: 'a',
  cause: 'checks every token',
  ratio: 1.3,
  until: TODAY,
};

/** A gated figure of five rounds, of the same ratio each, or of those given. */
function figure(ratios: number | readonly number[], kind: Kind = 'time', name = 'a'): Figure {
  const rounds = typeof ratios === 'number' ? new Array<number>(5).fill(ratios) : ratios;
  const samples = rounds.map((ratio): Sample => {
    return { name, kind, unit: 'us', reference: 'b', ours: ratio * 50, theirs: 50, isGated: true };
  });
  const [made] = figuresOf(samples);
  assert.ok(made !== undefined);
  return made;
}

interface Judging {
  readonly baseline?: Baseline;
  readonly waivers?: readonly Waiver[];
  readonly today?: string;
  readonly isComplete?: boolean;
}

function judged(figures: readonly Figure[], options: Judging = {}): Judgement {
  const baseline = { a: { ratio: 1, noise: 0 } };
  return judge(figures, { baseline, waivers: [], today: TODAY, ...options });
}

function verdictOf(one: Figure, options: Judging = {}): string | undefined {
  return judged([one], options).judged[0]?.verdict;
}

/** The ratio that is `share` worse than 1. */
function worse(kind: Kind, share: number): number {
  return kind === 'throughput' ? 1 / (1 + share) : 1 + share;
}

test('a figure is the median of its rounds, and its ratio the median of their ratios', () => {
  const pairs = [
    [10, 5],
    [30, 10],
    [12, 3],
  ] as const;
  const [made] = figuresOf(
    pairs.map(([ours, theirs]) => {
      return { name: 'a', kind: 'time', unit: 'us', reference: 'b', ours, theirs };
    }),
  );
  assert.equal(made?.ours, 12);
  assert.equal(made?.theirs, 5);
  assert.equal(made?.ratio, 3);
  assert.deepEqual(made?.spread, { min: 2, max: 4, mad: 1 });
  assert.equal(made?.isGated, false);
});

test('of a figure at full speed only samples count in which the reference was about as fast as ever', () => {
  const slow = [
    [40, 20],
    [36, 18],
  ] as const;
  const pairs = [[10, 10], [11, 10.5], [12.1, 11], ...slow] as const;
  const [isAtFullSpeed, isNot] = [true, false].map((isAtFullSpeed) => {
    const one = { name: 'a', kind: 'time', unit: 'us', reference: 'b', isAtFullSpeed } as const;
    return figuresOf(pairs.map(([ours, theirs]) => ({ ...one, ours, theirs })))[0];
  });
  assert.equal(isAtFullSpeed?.rounds, 3);
  assert.equal(isAtFullSpeed?.slow, slow.length);
  assert.equal(isAtFullSpeed?.ratio, 11 / 10.5);
  assert.equal(isNot?.rounds, pairs.length);
  assert.equal(isNot?.ratio, 12.1 / 11);
});

test('how much slower than ever still is full speed is a matter of the reference', () => {
  const one = { name: 'a', kind: 'time', unit: 'us', reference: 'b', isAtFullSpeed: true } as const;
  const pairs = [
    [50, 10],
    [70, 14],
    [64, 16],
  ] as const;
  const [figure] = figuresOf(
    pairs.map(([ours, theirs]) => ({ ...one, fullSpeed: 1.5, ours, theirs })),
  );
  assert.deepEqual([figure?.rounds, figure?.slow, figure?.ratio], [2, 1, 5]);
  const at = (fastest: number) => ({ baseline: { a: { ratio: 5, noise: 0.01, fastest } } });
  const known = { ...figure, isGated: true, noise: 0.01 } as Figure;
  assert.equal(verdictOf(known, at(7)), 'as before');
  assert.equal(verdictOf(known, at(6.5)), 'undecided');
});

test('of what costs the same each time only those count in which neither took longer than ever', () => {
  const disturbed = [
    [13, 10.1],
    [10, 11.5],
    [14, 18],
    [13.2, 10.4],
  ] as const;
  const pairs = [[10, 10], ...disturbed, [10.4, 10.2], [10.2, 10], [9.9, 9.8]] as const;
  const one = { name: 'a', kind: 'cpu', unit: 'us', reference: 'b', isConstant: true } as const;
  const [figure] = figuresOf(pairs.map(([ours, theirs]) => ({ ...one, ours, theirs })));
  assert.equal(figure?.rounds, 4);
  assert.equal(figure?.slow, disturbed.length);
  assert.equal(figure.fastest, 9.8);
  assert.ok(figure.ratio > 0.99 && figure.ratio < 1.03, `got ${figure.ratio}`);
  const worse = pairs.map(([ours, theirs]) => ({ ...one, ours: ours * 1.3, theirs }));
  const [seen] = figuresOf(worse);
  assert.ok(Math.abs((seen?.ratio ?? 0) / figure.ratio - 1.3) < 0.001, 'what is worse shows whole');
});

test('few that agree on what costs the same each time say nothing of noise', () => {
  const one = { name: 'a', kind: 'cpu', unit: 'us', reference: 'b', isConstant: true } as const;
  const noiseAfter = (count: number) =>
    figuresOf(new Array(count).fill({ ...one, ours: 10, theirs: 10 }))[0]?.noise;
  assert.equal(noiseAfter(4), null);
  assert.equal(noiseAfter(5), 0);
});

test('a figure that is not above 0 fails, it is not compared', () => {
  for (const bad of [0, -1, Number.NaN, Number.POSITIVE_INFINITY])
    assert.throws(() => figure([1, bad, 1]), /expected figures above 0 of a/);
});

test('a run that was slow from beginning to end is undecided, as the time of its reference says', () => {
  const constant = figure(1.4, 'cpu');
  const slow: Figure = { ...constant, fastest: 61 };
  const at = (fastest: number) => ({ baseline: { a: { ratio: 1, noise: 0, fastest } } });
  assert.equal(verdictOf(slow, at(50)), 'undecided');
  assert.match(
    judged([slow], at(50)).undecided[0] ?? '',
    /never at full speed: b took 61\.0 us, 50\.0 when the baseline was made/,
  );
  assert.equal(judged([slow], at(50)).isDecided, false);
  assert.equal(verdictOf(slow, at(52)), 'worse');
  assert.equal(verdictOf(slow), 'worse', 'of another processor nothing is known');
  assert.equal(verdictOf(constant, at(1)), 'worse', 'what counts at any speed');
});

test('how long a reference took is read for the processor of the baseline alone', () => {
  const given = { a: { ratio: 1, noise: 0, fastest: 40 } };
  const text = JSON.stringify({ measured: { cpu: 'this one' }, figures: given });
  assert.deepEqual(parseBaseline(text, 'this one'), given);
  assert.deepEqual(parseBaseline(text, 'another'), { a: { ratio: 1, noise: 0 } });
});

test('each kind is worse past its limit and not before, more throughput and less of all others being better', () => {
  for (const kind of KINDS) {
    const limit = LIMITS[kind];
    assert.equal(verdictOf(figure(worse(kind, limit + 0.005), kind)), 'worse', kind);
    assert.equal(verdictOf(figure(worse(kind, limit - 0.005), kind)), 'as before', kind);
    assert.equal(verdictOf(figure(1 / worse(kind, limit + 0.02), kind)), 'better', kind);
  }
});

test('limits are 10 % for latency, throughput and processor time a request, 15 % for processor and memory', () => {
  assert.deepEqual(LIMITS, { latency: 0.1, throughput: 0.1, time: 0.1, cpu: 0.15, memory: 0.15 });
});

test('what is worse fails the run and is named with how much, what is allowed and the rounds it took', () => {
  const { failures } = judged([figure(1.2)]);
  assert.equal(failures.length, 1);
  assert.match(failures[0] ?? '', /^a: 20\.0 % worse .* at most 10\.0 % .* \(5 rounds\)$/);
  assert.deepEqual(judged([figure(1.05)]).failures, []);
});

test('noise of the run and of the baseline is added to what is allowed', () => {
  const ratios = [1.1, 1.115, 1.13, 1.145, 1.16];
  const noise = noiseOf(ratios);
  assert.ok(noise > 0.01 && noise < 0.03);
  assert.equal(verdictOf(figure(1.13)), 'worse');
  const [{ allowed } = { allowed: Number.NaN }] = judged([figure(ratios)]).judged;
  assert.ok(Math.abs(allowed - 1.1 - 1.6 * noise) < 1e-9);
  const noisy = { a: { ratio: 1, noise: 0.04 } };
  assert.equal(verdictOf(figure(1.16), { baseline: noisy }), 'as before');
  assert.equal(verdictOf(figure(1.17), { baseline: noisy }), 'worse');
});

test('a figure whose noise fills its limit is worse by more than that, else undecided', () => {
  const wild = [0.7, 0.9, 1, 1.2, 1.4];
  const scaled = (by: number, kind: Kind = 'time') =>
    figure(
      wild.map((ratio) => ratio * by),
      kind,
    );
  assert.ok(isTooNoisy(scaled(1)));
  for (const by of [0.5, 1, 1.2]) {
    assert.equal(verdictOf(scaled(by)), 'undecided');
    const { failures, undecided } = judged([scaled(by)]);
    assert.deepEqual(failures, []);
    assert.match(undecided.join(), /^a: noise of .* after 5 rounds is too much/);
  }
  assert.equal(verdictOf(scaled(1.6)), 'worse');
  assert.deepEqual(judged([figure(1)]).undecided, []);
});

test('a run is without a verdict when processor time or memory is undecided, not for latency alone', () => {
  const wild = [0.6, 0.8, 1, 1.3, 1.6];
  const isDecided = (kind: Kind) => judged([figure(wild, kind)]).isDecided;
  assert.deepEqual(KINDS.map(isDecided), [true, true, false, false, false]);
  assert.ok(judged([figure(1)]).isDecided);
});

test('beside busy neighbours nothing is worse and nothing is good, but memory, which they do not change', () => {
  for (const ratio of [1, 3]) {
    const busy = (kind: Kind) => ({ ...figure(ratio, kind), disturbed: 2 });
    for (const kind of KINDS.filter((one) => one !== 'memory'))
      assert.equal(verdictOf(busy(kind)), 'undecided', kind);
    const { failures, undecided, isDecided } = judged([busy('time')]);
    assert.deepEqual(failures, []);
    assert.deepEqual(undecided, ['a: in 2 of 5 rounds others had too much of the machine']);
    assert.equal(isDecided, false);
  }
  assert.equal(verdictOf({ ...figure(3, 'memory'), disturbed: 2 }), 'worse');
});

test('a figure is measured again while its noise is above a quarter of its limit', () => {
  assert.ok(isTooNoisy(figure([0.96, 0.98, 1, 1.05, 1.06])));
  assert.ok(!isTooNoisy(figure([0.99, 0.995, 1, 1.01, 1.02])));
});

test('two rounds say nothing about noise', () => {
  assert.ok(isTooNoisy(figure([1, 1])));
  assert.ok(!isTooNoisy(figure([1, 1, 1])));
});

test('two rounds decide nothing: both may have met the same accident', () => {
  for (const ratio of [1, 3]) {
    assert.equal(verdictOf(figure([ratio, ratio])), 'undecided');
    assert.equal(verdictOf(figure([ratio, ratio, ratio])), ratio === 1 ? 'as before' : 'worse');
  }
  const { undecided, isDecided } = judged([figure([3, 3])]);
  assert.deepEqual(undecided, ['a: noise of unknown size after 2 rounds is too much to judge by']);
  assert.equal(isDecided, false);
});

test('a figure that is not gated is neither judged nor repeated', () => {
  const free = { ...figure([0.5, 1, 3]), isGated: false };
  assert.ok(!isTooNoisy(free));
  assert.deepEqual(judged([free], { baseline: {} }).judged, []);
});

test('a figure without a baseline is new and fails nothing, and is named', () => {
  const b = figure(9, 'time', 'b');
  const { judged: verdicts, failures, remarks, isDecided } = judged([figure(1), b]);
  assert.equal(verdicts[1]?.verdict, 'new');
  assert.deepEqual([failures, isDecided], [[], true]);
  assert.deepEqual(remarks, ['b: has no baseline, held against nothing']);
});

test('without any baseline a run has no verdict', () => {
  assert.equal(judged([figure(9)], { baseline: {} }).isDecided, false);
  assert.ok(judged([], { baseline: {} }).isDecided);
});

test('a figure whose baseline has more noise than its limit is worse by more than that, else undecided', () => {
  const baseline = { a: { ratio: 1, noise: 0.28 } };
  assert.equal(verdictOf(figure(1.4), { baseline }), 'undecided');
  assert.equal(verdictOf(figure(1.6), { baseline }), 'worse');
  const { undecided } = judged([figure(1.4)], { baseline });
  assert.match(undecided.join(), /^a: noise of 28\.0 % in its baseline is too much/);
});

test('a baseline that nothing was measured for is named, and fails a run that measured everything', () => {
  const { missing, failures } = judged([]);
  assert.deepEqual(missing, ['a']);
  assert.match(failures.join(), /a: has a baseline, not measured/);
  assert.deepEqual(judged([], { isComplete: false }).failures, []);
});

test('a waiver holds until its day, for its figure, up to its ratio', () => {
  const waiver = WAIVER;
  const waivers = [waiver];
  assert.equal(verdictOf(figure(1.35), { waivers }), 'waived');
  assert.deepEqual(judged([figure(1.35)], { waivers }).failures, []);
  assert.equal(verdictOf(figure(1.45), { waivers }), 'worse');
  assert.equal(verdictOf(figure(1.35), { waivers, today: '2026-11-22' }), 'worse');
  assert.equal(verdictOf(figure(1.35), { waivers: [{ ...waiver, figure: 'b' }] }), 'worse');
  assert.equal(verdictOf(figure(1), { waivers }), 'as before');
});

test('a waiver without a cause, a ratio or an end is refused', () => {
  const good = WAIVER;
  assert.deepEqual(parseWaivers(JSON.stringify([good])), [good]);
  const wrong = [
    { ...good, cause: ' ' },
    { ...good, ratio: 0 },
    { ...good, ratio: '1.3' },
    { ...good, until: 'never' },
    { ...good, until: '2026-99-99' },
    { ...good, profile: 'both' },
    { cause: good.cause },
    null,
  ];
  for (const one of wrong)
    assert.throws(() => parseWaivers(JSON.stringify([one])), /expected a waiver with/);
  assert.throws(() => parseWaivers('{}'), /expected a list of waivers/);
  const endless = JSON.stringify([good]).replace('1.3', '1e999');
  assert.throws(() => parseWaivers(endless), /expected a waiver with/);
});

test('a waiver that has ended, or whose figure nobody measures, is named', () => {
  const remarks = (waiver: Waiver) => judged([figure(1)], { waivers: [waiver] }).remarks;
  assert.deepEqual(remarks(WAIVER), []);
  assert.match(remarks({ ...WAIVER, until: '2026-11-20' }).join(), /^a: its waiver ended on/);
  assert.match(remarks({ ...WAIVER, figure: 'A' }).join(), /^A: has a waiver, not measured/);
});

test('a baseline that would compare with anything is refused', () => {
  const good = { a: { ratio: 1.3, noise: 0 } };
  const text = (figures: unknown) => JSON.stringify({ figures });
  assert.deepEqual(parseBaseline(text(good)), good);
  const wrong = [{}, { ratio: 0, noise: 0 }, { ratio: 1 }, { ratio: 1, noise: -1 }, null];
  for (const one of [...wrong, { ratio: '1', noise: 0 }, { ratio: 1, noise: null }])
    assert.throws(() => parseBaseline(text({ a: one })), /expected a ratio above 0 .* of a /);
  assert.throws(() => parseBaseline('{}'), /expected a baseline with figures/);
});

test('both baselines in force can be compared with, and so can the waivers', () => {
  for (const profile of PROFILES) {
    assert.ok(Object.keys(readBaseline(profile)).length > 10, profile);
    assert.ok(Array.isArray(readWaivers(profile)), profile);
  }
});

test("a run that leaves something out, as a developer's of a micronode does, makes no baseline", () => {
  const baseline = { a: { ratio: 1, noise: 0 }, b: { ratio: 1, noise: 0 } };
  assert.throws(
    () => assertWhole(baseline, [figure(1)]),
    /expected a run that measures .* without b/,
  );
  assertWhole(baseline, [figure(1), figure(1, 'time', 'b'), figure(1, 'time', 'c')]);
});

test('a golden metric is missing when the page has no type line of it', () => {
  const page = '# HELP a x\n# TYPE a counter\na 1\n# TYPE b_seconds histogram\n# HELP c gone\n';
  assert.deepEqual(missingMetrics(page, ['a', 'b_seconds']), []);
  assert.deepEqual(missingMetrics(page, ['a', 'b', 'c']), ['b', 'c']);
});

test('the median of an even number of values lies between the middle two', () => {
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.equal(median([3, 1, 2]), 2);
  assert.ok(Number.isNaN(median([])));
});

test('a quantile is a value that was seen, and of 1 the largest', () => {
  const values = [5, 1, 4, 2, 3];
  assert.equal(quantile(values, 0), 1);
  assert.equal(quantile(values, 0.95), 5);
  assert.equal(quantile(values, 1), 5);
});

test('noise falls with the root of the rounds', () => {
  const few = [0.9, 0.95, 1, 1.05, 1.1];
  const many = [...few, ...few, ...few, ...few, ...few, ...few, ...few, ...few, ...few];
  const times = noiseOf(few) / noiseOf(many);
  assert.ok(times > 2 && times < 3.1, `${times}`);
});

test('one wild round is no noise, and two states between which rounds flip are', () => {
  assert.equal(noiseOf([1, 1, 1, 1, 9]), 0);
  assert.equal(spreadOf([1, 1, 1, 1, 9]).max, 9);
  assert.ok(noiseOf([1, 2, 1, 2, 1]) > 0.2);
  assert.equal(noiseOf([1, 1]), Number.POSITIVE_INFINITY);
});

test('noise is about as far as medians of the same rounds differ', () => {
  // Rounds of a spread of 5 %, from a generator that is the same each time.
  let state = 1;
  const next = () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
  const round = () => 1 + 0.05 * Math.sqrt(-2 * Math.log(next())) * Math.cos(6.2832 * next());
  for (const count of [4, 6, 10]) {
    const runs = Array.from({ length: 400 }, () => Array.from({ length: count }, round));
    const off = Math.sqrt(runs.reduce((sum, run) => sum + (median(run) - 1) ** 2, 0) / runs.length);
    const told = runs.reduce((sum, run) => sum + noiseOf(run), 0) / runs.length;
    assert.ok(told / off > 0.7 && told / off < 1.4, `${count} rounds: ${told} of ${off}`);
  }
});

test('an exponent is 1 where cost grows with size, 2 with its square, 0 not at all', () => {
  const from = { size: 10, cost: 3 };
  assert.equal(exponentOf(from, { size: 100, cost: 30 }), 1);
  assert.equal(exponentOf(from, { size: 100, cost: 300 }), 2);
  assert.equal(exponentOf(from, { size: 100, cost: 3 }), 0);
});

test('a line through trials says where a fifth is, from one trial as from five that differ', () => {
  const zero = { x: 0, y: 0 };
  assert.equal(reachOf([zero, { x: 400, y: 0.16 }], 0.2), 500);
  const trials = [
    { x: 361.41, y: 0.11 },
    { x: 542.12, y: 0.229 },
    { x: 498.2, y: 0.23 },
    { x: 498.2, y: 0.223 },
    { x: 470.43, y: 0.247 },
  ];
  const reached = reachOf([zero, ...trials], 0.2);
  assert.ok(Math.abs(reached - 453) < 1, `${reached}`);
});

test('a line that hardly rises, or falls, is followed to twice the farthest trial', () => {
  const zero = { x: 0, y: 0 };
  assert.equal(reachOf([zero, { x: 400, y: 0.01 }], 0.2), 800);
  assert.equal(reachOf([zero, { x: 400, y: -0.01 }], 0.2), 800);
});
