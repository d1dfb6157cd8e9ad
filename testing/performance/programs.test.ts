/** The parts around a measurement: what wrk says is read right, references answer the registry's bytes, profiles become graphs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { headerList } from './answer.ts';
import { type Bench, runBench } from './bench.ts';
import type { Sample } from './figure.ts';
import { type CpuProfile, flameGraph } from './flame.ts';
import { cpuUs, residentMib } from './machine.ts';
import { Neighbours, parseBusyTicks } from './neighbours.ts';
import { configOf } from './nginx-process.ts';
import { formatPlan, parsePlan } from './planted.ts';
import { parseTurn } from './wrk.ts';

const LATENCY = '{"50":700,"75":800,"90":900,"95":950,"99":1200,"99.9":4000}';

function turnText(requests: number, bad: number): string {
  return `Running 1s test\n  1 threads\n\nQUORATE {"requests":${requests},"us":2000000,"bad":${bad},"max":5000,"latency":${LATENCY}}\n`;
}

test('a turn of wrk is its line of figures', () => {
  const turn = parseTurn(turnText(90_000, 0));
  assert.equal(turn.requests, 90_000);
  assert.equal(turn.perSecond, 45_000);
  assert.equal(turn.latencyUs['95'], 950);
});

test('a turn with one bad answer, without any, or without figures fails', () => {
  assert.throws(() => parseTurn(turnText(90_000, 1)), /expected only good answers, got 1 bad/);
  assert.throws(() => parseTurn(turnText(0, 0)), /expected only good answers/);
  assert.throws(() => parseTurn('unable to connect'), /expected a line of figures/);
});

test('what is planted survives being an argument, and nothing else is taken', () => {
  const planted = { readUs: 3.25, commitUs: 400, memoryMib: 25 };
  assert.deepEqual(parsePlan(formatPlan(planted)), planted);
  for (const wrong of ['', '1,2', '1,2,x', '1,2,-3', '1,2,3,4', '1,2,Infinity'])
    assert.throws(() => parsePlan(wrong), /expected three numbers/, wrong);
});

test('references are given the headers of the registry, quoted for nginx', () => {
  const answer = {
    path: '/registry/head',
    status: 200,
    etag: '"b3:1"',
    contentType: 'application/json',
    headers: [['x-said', 'a "b" \\c; d']] as const,
    body: '{"é":1}',
  };
  assert.deepEqual(headerList(answer), [
    'content-type',
    'application/json',
    'content-length',
    '8',
    'etag',
    '"b3:1"',
    'x-said',
    'a "b" \\c; d',
  ]);
  const config = configOf('/somewhere', 80, [answer]);
  assert.ok(config.includes('location = /registry/head { default_type application/json;'));
  assert.ok(config.includes('add_header x-said "a \\"b\\" \\\\c; d";'));
});

test('the processor time of a process grows as it works, and its memory is known', () => {
  const before = cpuUs(process.pid);
  const end = performance.now() + 30;
  while (performance.now() < end);
  assert.ok(cpuUs(process.pid) - before > 5_000);
  const mib = residentMib(process.pid);
  assert.ok(mib > 10 && mib < 10_000, `${mib}`);
});

/** Ours in each round, as it opens and closes. */
function scripted(ratios: readonly number[]): {
  readonly open: () => Promise<Bench>;
  readonly opened: () => readonly number[];
} {
  let next = 0;
  const rounds: number[] = [];
  return {
    opened: () => rounds,
    open: async () => {
      rounds.push(0);
      const which = rounds.length - 1;
      return {
        pids: [],
        round: async () => {
          rounds[which] = (rounds[which] ?? 0) + 1;
          const ours = ratios[next++] ?? Number.NaN;
          const sample: Sample = {
            name: 'a',
            kind: 'time',
            unit: 'us',
            reference: 'b',
            ours,
            theirs: 1,
            isGated: true,
          };
          return [sample];
        },
        [Symbol.asyncDispose]: async () => undefined,
      };
    },
  };
}

const QUIET = { watchNeighbours: () => ({ share: () => 0.02 }) };
const EFFORT = { name: 'a', rounds: 4, maxRounds: 7, roundsPerStart: 2, ...QUIET };
const ignored = { onRound: () => undefined, onBroken: () => undefined };

test('a steady bench runs its rounds, started anew as often as asked', async () => {
  const { open, opened } = scripted([1, 1.01, 1, 1.01]);
  const [figure] = await runBench({ ...EFFORT, open }, ignored);
  assert.equal(figure?.rounds, 4);
  assert.deepEqual(opened(), [2, 2]);
});

test('a noisy bench runs more rounds until it is steady, or up to its bound', async () => {
  const calms = scripted([1, 1.06, 1, 1.06, 1.03, 1.03, 1.03]);
  const [calm] = await runBench({ ...EFFORT, open: calms.open }, ignored);
  assert.equal(calm?.rounds, 5);
  const wild = scripted([1, 2, 1, 2, 1, 2, 1]);
  const [noisy] = await runBench({ ...EFFORT, open: wild.open }, ignored);
  assert.equal(noisy?.rounds, 7);
  assert.deepEqual(wild.opened(), [2, 2, 2, 1]);
});

/** What others have of the machine, round by round. */
function neighbours(...shares: readonly number[]) {
  let next = 0;
  return { watchNeighbours: () => ({ share: () => shares[next++] ?? 0 }) };
}

test('a round beside busy neighbours is thrown away and repeated', async () => {
  const { open } = scripted([1, 5, 1, 5, 1, 1]);
  const plan = { ...EFFORT, open, ...neighbours(0, 0.5, 0.05, 0.06) };
  const [figure] = await runBench(plan, ignored);
  assert.equal(figure?.ratio, 1);
  assert.deepEqual(figure?.spread, { min: 1, max: 1, mad: 0 });
  assert.deepEqual([figure?.rounds, figure?.thrownAway, figure?.disturbed], [4, 2, 0]);
});

test('where neighbours never rest the least disturbed rounds are taken, and are marked', async () => {
  const shares = Array.from({ length: 14 }, (_, i) => (i === 3 ? 0 : 0.9 - i / 100));
  const { open, opened } = scripted(shares.map((share) => 1 + share));
  const [figure] = await runBench({ ...EFFORT, open, ...neighbours(...shares) }, ignored);
  assert.equal(
    opened().reduce((sum, rounds) => sum + rounds, 0),
    14,
  );
  assert.deepEqual([figure?.rounds, figure?.thrownAway, figure?.disturbed], [4, 10, 3]);
  assert.equal(figure?.spread.max, 1.79);
});

test("what the run itself does is not what neighbours do, and idle time is nobody's", () => {
  const before = 'cpu  100 10 50 1000 20 3 2 5 0 0\ncpu0 1 1 1 1\n';
  assert.equal(parseBusyTicks(before), 165);
  const seen = new Neighbours([]);
  const end = performance.now() + 100;
  while (performance.now() < end);
  const share = seen.share();
  assert.ok(share >= 0 && share <= 1, `${share}`);
});

test('a round that fails is repeated with everything started anew, and a third one ends the run', async () => {
  const steady = scripted([1, 1, 1, 1]);
  const failing = (failures: number) => {
    let left = failures;
    return async (): Promise<Bench> => {
      if (left-- > 0) throw new Error('the disk hangs');
      return steady.open();
    };
  };
  const broken: string[] = [];
  const watch = {
    ...ignored,
    onBroken: ({ error }: { error: unknown }) => broken.push(`${error}`),
  };
  const [figure] = await runBench({ ...EFFORT, open: failing(2) }, watch);
  assert.equal(figure?.rounds, 4);
  assert.deepEqual(broken, ['Error: the disk hangs', 'Error: the disk hangs']);
  await assert.rejects(runBench({ ...EFFORT, open: failing(3) }, watch), /the disk hangs/);
});

test('a round with a figure that has no ratio is a round that failed', async () => {
  const broken: string[] = [];
  const watch = {
    ...ignored,
    onBroken: ({ error }: { error: unknown }) => broken.push(`${error}`),
  };
  const [figure] = await runBench({ ...EFFORT, open: scripted([1, 0, 1, 1, 1]).open }, watch);
  assert.deepEqual([figure?.rounds, figure?.spread.min], [4, 1]);
  assert.deepEqual(broken, ['Error: expected figures above 0 of a, got 0 over 1']);
});

const PROFILE: CpuProfile = {
  nodes: [
    nodeOf(1, '(root)', '', [2, 5]),
    nodeOf(2, 'serve', 'file:///src/http/app.ts', [3, 4]),
    nodeOf(3, 'hash<T>', 'file:///src/core/hash.ts', []),
    nodeOf(4, '', 'file:///src/core/hash.ts', []),
    nodeOf(5, '(idle)', '', []),
  ],
  samples: [2, 3, 3, 4, 5],
  timeDeltas: [100, 300, 300, 300, 9_000],
};

function nodeOf(id: number, functionName: string, url: string, children: readonly number[]) {
  return { id, children, callFrame: { functionName, url, lineNumber: 6 } };
}

test('in a flame graph a function is as wide as its time with all that it called, idle time left out', () => {
  const graph = flameGraph(PROFILE, 'server');
  assert.ok(graph.includes('<title>serve http/app.ts:7: 100.0 %</title>'));
  assert.ok(graph.includes('<title>hash&lt;T&gt; core/hash.ts:7: 60.0 %</title>'));
  assert.ok(graph.includes('<title>(anonymous) core/hash.ts:7: 30.0 %</title>'));
  assert.ok(!graph.includes('idle'));
  const widths = [...graph.matchAll(/y="(\d+)" width="([\d.]+)" height="15"/g)];
  assert.deepEqual(
    widths.map(([, y, width]) => [Number(y), Number(width)]),
    [
      [30, 1_200],
      [46, 1_200],
      [62, 360],
      [62, 720],
    ],
  );
});

test('a profile without time is refused', () => {
  assert.throws(() => flameGraph({ ...PROFILE, samples: [5], timeDeltas: [1] }, 'x'), /with time/);
  assert.throws(() => flameGraph({ nodes: [], samples: [], timeDeltas: [] }, 'x'), /with nodes/);
});
