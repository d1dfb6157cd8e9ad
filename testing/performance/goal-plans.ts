/** How each group of goals is measured: five rounds at least, with fresh servers for every second one. */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseBytes } from '../../src/server/config-values.ts';
import type { Bench, BenchPlan } from './bench.ts';
import { openBlobs } from './blobs.ts';
import { openCatalogue } from './catalogue.ts';
import { openChaos } from './chaos.ts';
import { openEtcd } from './etcd.ts';
import { openEvents } from './events.ts';
import { openHistory } from './history.ts';
import { openLargeProposal } from './large-proposal.ts';
import { commitsPlan, type Effort, pacedPlan, readsPlan, startsPlan } from './plans.ts';
import { openPruning } from './pruning.ts';
import { openRestarts } from './restarts.ts';
import { openSlowDisk } from './slow-disk.ts';
import { openSnapshots } from './snapshots.ts';
import { openInstalledStarts } from './starts-installed.ts';
import { openSteady } from './steady.ts';

const PROFILE = 'macronode';
const EFFORT: Effort = { rounds: 5, maxRounds: 10, roundsPerStart: 2 };
/** Fresh servers would cost more than the rounds themselves. */
const ONE_START: Effort = { rounds: 5, maxRounds: 10, roundsPerStart: 10 };
const ONCE: Effort = { rounds: 1, maxRounds: 1, roundsPerStart: 1 };

/** A log can be let go of once. */
const FRESH: Effort = { rounds: 5, maxRounds: 5, roundsPerStart: 1 };

/** Of each gigabyte a round writes two and more. */
const LARGE_FILES: Effort = { rounds: 3, maxRounds: 6, roundsPerStart: 3 };

const START_ENTRIES = { entries: 100_000, descriptors: 1_000 };
const SMALL = { entries: 1_000, descriptors: 1_000 };
const LARGE = { entries: 1_000_000, descriptors: 50_000 };
const CATALOGUE = { name: 'a catalogue of 50,000', entries: 100_000, descriptors: 50_000 };
const BLOBS = { size: '64MiB', count: 12 };
const LETTING_GO = { ...START_ENTRIES, pruned: 30_000, proposals: 2_000, windowMs: 10_000 };
const MILLION = { name: 'a catalogue of 10^6', entries: 10_000, descriptors: 1_000_000 };

export interface GoalOptions {
  /** Long logs are made once and kept here. */
  readonly cache: string;
  /** Of the database of `snapshot`. */
  readonly sizeBytes: number;
  /** What takes long tells how far it is. */
  readonly say: (line: string) => void;
}

/** Of the goal's work: 1 GB. */
export const DEFAULT_SIZE = '1000MiB';

/** Of a command line; throws unless it is a size that something can be made up of. */
export function parseSize(text: string): number {
  const bytes = parseBytes(text);
  if (bytes === undefined || bytes === 0)
    throw new Error(`expected --size with a size such as 1000MiB, got ${text}`);
  return bytes;
}

export const DEFAULT_CACHE: string = join(tmpdir(), 'quorate-perf-logs');

function plan(name: string, open: () => Promise<Bench>, effort: Effort): BenchPlan {
  return { name, open, ...effort };
}

/** Of each group of `GOALS`. */
export const GOAL_PLANS: Readonly<Record<string, (options: GoalOptions) => readonly BenchPlan[]>> =
  {
    reads: () => [readsPlan({ profile: PROFILE }, EFFORT)],
    paced: () => [pacedPlan({ profile: PROFILE }, EFFORT)],
    commits: () => [commitsPlan({ profile: PROFILE }, EFFORT)],
    'slow-disk': () =>
      [8, 50].map((delayMs) =>
        plan(`every fsync ${delayMs} ms slower`, () => openSlowDisk({ delayMs }), EFFORT),
      ),
    'large-proposal': () =>
      [1_000, 10_000].map((changes) =>
        plan(
          `proposals of 1 MiB, ${changes} changes`,
          () => openLargeProposal({ changes }),
          EFFORT,
        ),
      ),
    events: () => [plan('events', () => openEvents({ subscribers: 5_000 }), ONE_START)],
    starts: (options) => [
      plan(
        'starts as installed',
        () => openInstalledStarts({ ...options, ...START_ENTRIES, starts: 2 }, 'installed, start'),
        ONE_START,
      ),
      startsPlan({ profile: PROFILE }, EFFORT),
    ],
    restarts: () => [plan('restarts', openRestarts, ONE_START)],
    chaos: () => [plan('troubles', openChaos, EFFORT)],
    etcd: () => [plan('etcd', () => openEtcd({ alone: 100, together: 256, seconds: 2 }), EFFORT)],
    history: (options) => [
      plan(
        'a long history',
        () => openHistory({ ...options, small: SMALL, large: LARGE, requests: 200 }),
        ONE_START,
      ),
    ],
    catalogue: (options) => catalogue(options, CATALOGUE),
    million: (options) => catalogue(options, MILLION),
    pruning: (options) => [
      plan('letting go', () => openPruning({ ...options, ...LETTING_GO }), FRESH),
    ],
    snapshot: (options) => [plan('snapshots', () => openSnapshots(options), LARGE_FILES)],
    blob: () => [plan('blobs', () => openBlobs(BLOBS), LARGE_FILES)],
    steady: ({ say }) => [
      plan('ten minutes', () => openSteady({ seconds: 600, onProgress: say }), ONCE),
    ],
  };

function catalogue(
  options: GoalOptions,
  { name, ...large }: typeof CATALOGUE,
): readonly BenchPlan[] {
  return [
    plan(
      `starts on ${name}`,
      () =>
        openInstalledStarts(
          { ...options, ...large, isCatalogue: true, starts: 1 },
          `${name}: start`,
        ),
      ONE_START,
    ),
    plan(name, () => openCatalogue({ ...options, small: SMALL, large, requests: 200 }), ONE_START),
    plan(
      `${name}, old versions`,
      () => openCatalogue({ ...options, small: SMALL, large, requests: 0, isOld: true }),
      ONE_START,
    ),
  ];
}
