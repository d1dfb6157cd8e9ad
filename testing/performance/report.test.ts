/** What a report shows, on made-up runs: every figure, every verdict, and plots that are well-formed and have their data. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Figure, figuresOf, type Sample } from './figure.ts';
import { type Judgement, judge } from './gate.ts';
import { formatReport, plotsOf, type Report, trendsOf } from './report.ts';
import type { Curve, RunFile } from './run-file.ts';
import { escapeText, lineChart } from './svg.ts';

const CURVE: Curve = {
  title: 'Cost & <size>',
  xLabel: 'entries',
  yLabel: 'us',
  isLogX: true,
  isLogY: false,
  lines: [
    {
      name: 'append',
      points: [
        [1_000, 12],
        [10_000, 13.5],
        [100_000, 15],
      ],
    },
    {
      name: 'proof "a"',
      points: [
        [1_000, 90],
        [100_000, 120],
      ],
    },
  ],
};

function figureOf(name: string, ratio: number): Figure {
  const samples = [0, 1, 2].map((): Sample => {
    const kind = 'time';
    return { name, kind, unit: 'us', reference: 'b', ours: ratio * 50, theirs: 50, isGated: true };
  });
  const [figure] = figuresOf(samples);
  assert.ok(figure !== undefined);
  return figure;
}

function runOf(ratios: Readonly<Record<string, number>>, changed: Partial<RunFile> = {}): RunFile {
  return {
    kind: 'perf',
    at: '2026-11-21T10:00:00.000Z',
    seconds: 170,
    machine: {
      cpu: 'a processor',
      cores: 2,
      node: 'v24.0.0',
      kernel: '6.1',
      commit: 'abc',
      isPinned: true,
      tools: { wrk: true, nginx: true, taskset: true },
    },
    leftOut: [],
    profiles: { macronode: Object.entries(ratios).map(([name, ratio]) => figureOf(name, ratio)) },
    curves: [CURVE],
    bounds: [],
    failures: [],
    ...changed,
  };
}

function reportOf(run: RunFile, runs: readonly RunFile[] = [run]): Report {
  const judgement: Judgement = judge(run.profiles.macronode ?? [], {
    baseline: { good: { ratio: 1, noise: 0 }, bad: { ratio: 1, noise: 0 } },
    waivers: [],
    today: '2026-11-21',
  });
  return { run, runs, judgements: new Map([['macronode', judgement]]) };
}

/** Throws unless tags are balanced, attributes are quoted and nothing is left unescaped. */
function assertWellFormed(xml: string): void {
  const open: string[] = [];
  const pattern = /<(\/?)([a-z]+)((?: [a-zA-Z:0-9-]+="[^"<]*")*)\s*(\/?)>|([^<]+)/gy;
  let end = 0;
  for (const [whole, closes, name = '', , closesItself, content] of xml.matchAll(pattern)) {
    end += whole.length;
    if (content !== undefined) assert.doesNotMatch(content, /&(?!(amp|lt|gt|quot);)|>/);
    else if (closes === '/') assert.equal(open.pop(), name);
    else if (closesItself !== '/') open.push(name);
  }
  assert.equal(end, xml.length, `not XML from here: ${xml.slice(end, end + 60)}`);
  assert.deepEqual(open, []);
}

test('the check for well-formed XML refuses what is not', () => {
  for (const wrong of ['<a>', '<a></b>', '<a b=c/>', '<a>&</a>', '<a b="<"/>', '</a>'])
    assert.throws(() => assertWellFormed(wrong), wrong);
  assertWellFormed('<a b="c">x &amp; y<d/></a>\n');
});

test('a chart is well-formed, and has its titles, each line and each point', () => {
  const drawn = lineChart(CURVE);
  assertWellFormed(drawn);
  for (const words of ['Cost &amp; &lt;size&gt;', 'entries', 'proof &quot;a&quot;'])
    assert.ok(drawn.includes(words), words);
  assert.equal(drawn.match(/<polyline /g)?.length, 2);
  assert.equal(drawn.match(/<circle /g)?.length, 5);
  assert.ok(drawn.includes('<title>append: 10k, 13.5</title>'));
});

test('a larger value stands higher, and a decade is as wide as the next', () => {
  const [points = ''] = /(?<=points=")[^"]+/.exec(lineChart(CURVE)) ?? [];
  const places = points.split(' ').map((place) => place.split(',').map(Number));
  const xs = places.map(([x = Number.NaN]) => x);
  const ys = places.map(([, y = Number.NaN]) => y);
  assert.deepEqual(
    ys,
    ys.toSorted((a, b) => b - a),
  );
  const [first = 0, second = 0, third = 0] = xs;
  assert.ok(second > first && Math.abs(third - second - (second - first)) < 0.05);
});

test('a chart of nothing, and a value that no axis has, are refused', () => {
  assert.throws(() => lineChart({ ...CURVE, lines: [] }), /expected points/);
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, 0]) {
    const lines = [{ name: 'a', points: [[bad, 1] as const] }];
    assert.throws(() => lineChart({ ...CURVE, lines }), /expected values that can be drawn/);
  }
});

test('one point alone is drawn', () => {
  const lines = [{ name: 'a', points: [[10, 5] as const] }];
  assertWellFormed(lineChart({ ...CURVE, lines }));
  assert.doesNotMatch(lineChart({ ...CURVE, lines }), /NaN|Infinity/);
});

test('characters that XML cannot hold are replaced', () => {
  assert.equal(escapeText('a\u0000b\u001fc'), 'a?b?c');
});

test('a report has every figure with its ratio, and names what is worse', () => {
  const page = formatReport(reportOf(runOf({ good: 1.02, bad: 1.3, other: 7 })));
  assert.match(
    page,
    /\| good \| 51\.0 us \| 50\.0 \| 1\.02x \| 0\.0 % \| 3 \| 1\.00x \| as before \|/,
  );
  assert.match(page, /\| bad \|.* worse \|/);
  assert.match(page, /\| other \|.* new \|/);
  assert.match(page, /^- \*\*worse:\*\* bad: 30\.0 % worse/m);
  assert.doesNotMatch(page, /Nothing is worse/);
  assert.match(formatReport(reportOf(runOf({ good: 1, bad: 1 }))), /Nothing is worse/);
});

test('a report says what was left out, what a bound exceeds and which metric is missing', () => {
  const page = formatReport(
    reportOf(
      runOf(
        { good: 1, bad: 1 },
        {
          leftOut: ['nginx is not installed'],
          bounds: [
            { name: 'append', value: 0.4, max: 0.15 },
            { name: 'proof', value: 0.1, max: 0.15 },
          ],
          failures: ['the golden metric x is missing'],
        },
      ),
    ),
  );
  assert.match(page, /\*\*left out:\*\* nginx is not installed/);
  assert.match(page, /\| append \| 0\.400 \| 0\.15 \| \*\*exceeded\*\* \|/);
  assert.match(page, /\| proof \| 0\.100 \| 0\.15 \| holds \|/);
  assert.match(page, /\*\*worse:\*\* the golden metric x is missing/);
});

test('a report says what was held against nothing, not that nothing is worse', () => {
  const page = formatReport(reportOf(runOf({ good: 1, bad: 1, other: 7 })));
  assert.match(page, /^- \*\*not judged:\*\* other: has no baseline/m);
  assert.doesNotMatch(page, /Nothing is worse/);
});

test('each plot that a report shows is a file beside it', () => {
  const report = reportOf(runOf({ good: 1 }));
  const shown = [...formatReport(report).matchAll(/!\[[^\]]*\]\(([^)]+)\)/g)].map(([, at]) => at);
  assert.deepEqual(
    shown,
    plotsOf(report).map(({ file }) => file),
  );
  assert.deepEqual(shown, ['cost-size-.svg']);
});

test('a trend is the ratio of each run over the first, and leaves out runs without the figure', () => {
  const runs = [runOf({ good: 2 }), runOf({ bad: 1 }), runOf({ good: 3, bad: 1 })];
  const [trend] = trendsOf(runs);
  const byName = Object.fromEntries((trend?.lines ?? []).map(({ name, points }) => [name, points]));
  assert.deepEqual(byName, {
    good: [
      [1, 1],
      [3, 1.5],
    ],
    bad: [
      [2, 1],
      [3, 1],
    ],
  });
  assert.deepEqual(trendsOf(runs.slice(0, 1)), []);
});
