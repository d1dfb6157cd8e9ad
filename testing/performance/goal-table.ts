/** What the registry is to reach, as data: the work, the figures that show it, and how far they may be. */
import type { Figure } from './figure.ts';
import { READ_KINDS } from './history-reads.ts';
import { KINDS } from './lane-steps.ts';
import { ACTS, longestOf } from './pruning.ts';
import { TROUBLES } from './troubles.ts';

/** One row. All bounds must hold. */
export interface Goal {
  readonly work: string;
  readonly bounds: readonly GoalBound[];
}

/** Of the ratio to the reference, or of our own figure in its unit. Without a limit it is only shown. */
export interface GoalBound {
  readonly figure: string;
  readonly of: 'ratio' | 'ours';
  readonly atLeast?: number;
  readonly atMost?: number;
}

export type Verdict = 'met' | 'missed' | 'not measured';

export interface JudgedBound {
  readonly bound: GoalBound;
  readonly figure: Figure | undefined;
  readonly verdict: Verdict;
}

export interface JudgedGoal {
  readonly work: string;
  readonly bounds: readonly JudgedBound[];
  readonly verdict: Verdict;
}

export function judgeGoal({ work, bounds }: Goal, figures: readonly Figure[]): JudgedGoal {
  const judged = bounds.map((bound) => judgeBound(bound, figures));
  const verdict =
    judged.find((one) => one.verdict === 'missed')?.verdict ??
    judged.find((one) => one.verdict === 'not measured')?.verdict ??
    'met';
  return { work, bounds: judged, verdict };
}

function judgeBound(bound: GoalBound, figures: readonly Figure[]): JudgedBound {
  const figure = figures.find(({ name }) => name === bound.figure);
  if (figure === undefined) return { bound, figure, verdict: 'not measured' };
  const { atLeast = 0, atMost = Number.POSITIVE_INFINITY } = bound;
  const value = figure[bound.of];
  return { bound, figure, verdict: value >= atLeast && value <= atMost ? 'met' : 'missed' };
}

type Range = { readonly atLeast: number } | { readonly atMost: number };

function ratio(figure: string, range: Range): GoalBound {
  return { figure, of: 'ratio', ...range };
}

function ours(figure: string, range: Range): GoalBound {
  return { figure, of: 'ours', ...range };
}

/** Shown beside the others, and bound by nothing. */
function seen(figure: string): GoalBound {
  return { figure, of: 'ours' };
}

interface CatalogueBounds {
  readonly descriptors: string;
  readonly start: string;
  readonly answersMs: number;
  readonly writesMs: number;
  readonly mib: number;
}

function catalogueGoals(bounds: CatalogueBounds): readonly Goal[] {
  const { descriptors, start, answersMs, writesMs, mib } = bounds;
  const at = `at ${descriptors} descriptors`;
  return [
    {
      work: `start ${at}`,
      bounds: [
        ours(`${start}: until it answers`, { atMost: answersMs }),
        ours(`${start}: until it accepts writes`, { atMost: writesMs }),
      ],
    },
    {
      work: `commit of 10 changes ${at}`,
      bounds: [ratio(`${at}: commit of 10 changes: p50`, { atMost: 1.3 })],
    },
    {
      work: `a descriptor with its proof ${at}`,
      bounds: [
        ours(`${at}: a descriptor with its proof: in the server`, { atMost: 1_000 }),
        ours(`${at}: a descriptor with its proof: in the server, p95 at most`, { atMost: 1_000 }),
        seen(`${at}: a descriptor with its proof: processor time of its thread`),
        seen(`${at}: a descriptor with its proof: p50`),
        ours(`${at}: a descriptor with its proof at an old version: in the server`, {
          atMost: 1_000,
        }),
        seen(`${at}: a descriptor with its proof at an old version: p50`),
      ],
    },
    { work: `whole set ${at}`, bounds: [ours(`${at}: whole set`, { atLeast: 100 })] },
    { work: `memory ${at}`, bounds: [ours(`${at}: memory`, { atMost: mib })] },
  ];
}

/** Of a disk that syncs in 50 ms no step is shorter: what the disk took stands beside them. */
function pruningGoals(): readonly Goal[] {
  return [
    {
      work: 'the commit lane, step by step',
      bounds: KINDS.flatMap((kind) => {
        const { whole, onCore } = longestOf(kind);
        return [kind === 'batch' ? seen(whole) : ours(whole, { atMost: 20 }), seen(onCore)];
      }),
    },
    {
      work: 'the commit lane, the writer alone',
      bounds: [
        seen('4 KB appended and synced: longest'),
        seen('a step of the lane, the writer alone: longest'),
        seen('a step of the lane, the writer alone: p99'),
      ],
    },
    ...ACTS.map(({ name }) => ({
      work: `the commit lane beside ${name}`,
      bounds: [
        seen(`a step of the lane beside ${name}: longest`),
        seen(`a step of the lane beside ${name}: p99`),
        seen(`a commit beside ${name}: p99`),
        seen(`a commit beside ${name}: longest`),
      ],
    })),
  ];
}

/** By the group that measures them. */
export const GOALS: Readonly<Record<string, readonly Goal[]>> = {
  reads: [
    {
      work: 'head 200, 64 connections',
      bounds: [
        ratio('head 200: throughput, of nginx', { atLeast: 1 }),
        ratio('head 200: p99, of nginx', { atMost: 1 }),
        ratio('head 200: throughput, of bare node:http', { atLeast: 1.7 }),
      ],
    },
    {
      work: 'head 304, 64 connections',
      bounds: [ratio('head 304: throughput, of nginx', { atLeast: 0.8 })],
    },
    ...['4 KB', '64 KB'].map((size) => ({
      work: `version of ${size}, 64 connections`,
      bounds: [
        ratio(`version of ${size}: throughput, of nginx`, { atLeast: 0.8 }),
        ratio(`version of ${size}: throughput, of bare node:http`, { atLeast: 1.1 }),
      ],
    })),
  ],
  paced: [
    {
      work: 'head at 2,500/s',
      bounds: [
        ours('head at 2,500/s: p50', { atMost: 500 }),
        ours('head at 2,500/s: p99', { atMost: 2_000 }),
        ours('head at 2,500/s: processor', { atMost: 60 }),
      ],
    },
    {
      work: 'head beside 50 commits/s',
      bounds: [ratio('head p99 beside 50 commits/s', { atMost: 6 })],
    },
  ],
  commits: [
    {
      work: 'approval accepted',
      bounds: [ratio('approval accepted: p50', { atMost: 1.5 })],
    },
    {
      work: 'one commit, 3 of 5, 4 KB',
      bounds: [
        ours('commit alone: p50', { atMost: 2_000 }),
        ratio('commit alone: p50', { atMost: 5 }),
        ours('commit alone: p99', { atMost: 10_000 }),
      ],
    },
    {
      work: 'commits, 64 in flight',
      bounds: [
        ratio('commits, 64 in flight: throughput, of SQLite FULL, one insert', { atLeast: 0.5 }),
        ratio('commits, 64 in flight: throughput, of crypto.verify of 3', { atLeast: 0.6 }),
      ],
    },
    {
      work: 'whole cycles: propose, three approvals, commit',
      bounds: [ours('whole cycles, 16 at a time: throughput', { atLeast: 250 })],
    },
  ],
  'slow-disk': [8, 50].map((ms) => {
    const name = `head p99 beside 50 commits/s, every fsync ${ms} ms slower`;
    return { work: name, bounds: [ratio(name, { atMost: 10 })] };
  }),
  'large-proposal': ['1,000', '10,000'].map((changes) => {
    const beside = `beside proposals of 1 MiB, ${changes} changes`;
    return {
      work: `head at 1,000/s ${beside}`,
      bounds: [
        ours(`event loop: latest ${beside}`, { atMost: 20 }),
        ours(`head p99 ${beside}`, { atMost: 20_000 }),
      ],
    };
  }),
  events: [
    {
      work: 'event, commit durable to first byte, 100 subscribers',
      bounds: [
        ours('event to 100 subscribers: p50', { atMost: 1_000 }),
        ours('event to 100 subscribers: p99', { atMost: 5_000 }),
      ],
    },
    {
      work: 'event to 5,000 subscribers',
      bounds: [
        ratio('event to 5,000 subscribers: last one', { atMost: 1 }),
        ratio('event to 5,000 subscribers: processor', { atMost: 1 }),
      ],
    },
    {
      work: 'event to 10,000 subscribers',
      bounds: [ours('event to 10,000 subscribers: p95', { atMost: 200 })],
    },
    {
      work: 'an idle subscriber',
      bounds: [
        ratio('memory of an idle subscriber', { atMost: 2 }),
        ours('memory of an idle subscriber', { atMost: 20 }),
      ],
    },
  ],
  // From the signal on: what a start is held to where it runs, and a second more for the end before it.
  restarts: [
    {
      work: 'stopped under load and started again',
      bounds: [
        ours('stopped under load: until it answers', { atMost: 1_800 }),
        ours('stopped under load: until it commits', { atMost: 3_500 }),
      ],
    },
    {
      work: 'killed under load and started again',
      bounds: [
        ours('killed under load: until it answers', { atMost: 3_500 }),
        ours('killed under load: until it commits', { atMost: 6_000 }),
      ],
    },
    {
      work: 'restored from a snapshot',
      bounds: [ours('restored from a snapshot: until it answers', { atMost: 3_500 })],
    },
  ],
  starts: [
    {
      work: 'start of the installed package, 10^5 entries',
      bounds: [
        ours('installed, start at 10^5 entries: until it answers, beyond bare node:http', {
          atMost: 150,
        }),
        ours('installed, start at 10^5 entries: until it accepts writes', { atMost: 1_000 }),
      ],
    },
    { work: 'memory, idle', bounds: [ours('memory: idle', { atMost: 128 })] },
  ],
  chaos: TROUBLES.map(({ name }) => ({
    work: `head with ${name}`,
    bounds: [ratio(`head p95 with ${name}, of the objective`, { atMost: 1 })],
  })),
  etcd: [
    {
      work: 'beside etcd, through its gateway',
      bounds: [
        ratio('etcd: put of 4 KB beside a commit 3 of 5', { atMost: 1 }),
        ratio('etcd: 64 puts in flight', { atLeast: 1 }),
        ratio('etcd: get beside head', { atLeast: 1 }),
      ],
    },
  ],
  history: [
    {
      work: 'reads and a commit at 10^6 entries and 50,000 descriptors',
      bounds: [...READ_KINDS.map(({ name }) => name), 'commit'].map((name) =>
        ratio(`at 10^6 entries: ${name}`, { atMost: 1.2 }),
      ),
    },
  ],
  catalogue: catalogueGoals({
    descriptors: '50,000',
    start: 'a catalogue of 50,000: start at 10^5 entries',
    answersMs: 1_000,
    writesMs: 3_000,
    mib: 256,
  }),
  million: catalogueGoals({
    descriptors: '10^6',
    start: 'a catalogue of 10^6: start at 10^4 entries',
    answersMs: 30_000,
    writesMs: 30_000,
    mib: 1_024,
  }),
  pruning: pruningGoals(),
  snapshot: [
    {
      work: 'a snapshot',
      bounds: [
        seen('snapshot: database'),
        ours('snapshot: create', { atLeast: 150 }),
        ours('snapshot: restore', { atLeast: 150 }),
        seen('snapshot: read'),
        seen('snapshot: create, processor'),
        seen('snapshot: restore, processor'),
      ],
    },
  ],
  blob: [
    {
      work: 'blobs of 64 MiB, two at once',
      bounds: [ours('blob: put', { atLeast: 320 }), ours('blob: get', { atLeast: 426 })],
    },
  ],
  steady: [
    {
      work: 'memory at 2,500/s and 5 commits/s, 10 minutes',
      bounds: [
        ours('memory under steady load: most', { atMost: 256 }),
        ratio('memory under steady load: slope', { atMost: 1.05 }),
      ],
    },
  ],
};
