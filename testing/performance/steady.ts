/** Memory of a macronode under a load that lasts: heads at a fixed rate beside whole cycles of writes, as an operator's day has them. */
import { createBenchClock } from '../../src/cli/bench/clock.ts';
import { HttpSender } from '../../src/cli/bench/http-sender.ts';
import { type LoadResult, runLoad } from '../../src/cli/bench/load.ts';
import { runReads } from '../../src/cli/bench/read-load.ts';
import type { Bench } from './bench.ts';
import { entryOf, writeEntry } from './entries.ts';
import type { Sample } from './figure.ts';
import { residentMib } from './machine.ts';
import { Poster } from './poster.ts';
import {
  type RegistryProcess,
  type RegistryProcessOptions,
  startRegistry,
} from './registry-process.ts';
import { lineOf, median } from './statistics.ts';

const HEAD = '/registry/head';
const READS_PER_SECOND = 2_500;
const CONNECTIONS = 32;
const COMMITS_PER_SECOND = 5;
const ENTRY_BYTES = 4_096;
const TIMEOUT_MS = 30_000;
const EVERY_MS = 1_000;
const TELL_EVERY = 30;
const LEAST_SECONDS = 10;
/** A disk that hangs at the very end leaves some. */
const MAX_UNSENT = 0.01;

export interface SteadyPlan extends RegistryProcessOptions {
  /** How long it lasts; what grows with each request shows only in minutes. */
  readonly seconds: number;
  /** A line each half minute. Default: standard error. */
  readonly onProgress?: (line: string) => void;
}

export async function openSteady(plan: SteadyPlan): Promise<Bench> {
  if (!(plan.seconds >= LEAST_SECONDS))
    throw new Error(`expected at least ${LEAST_SECONDS} seconds, got ${plan.seconds}`);
  // What strips types takes 28 MiB, and stays: without a warm compile cache that would be counted.
  const first = await startRegistry('macronode', plan);
  await first[Symbol.asyncDispose]();
  const server = await startRegistry('macronode', plan);
  let made = 0;
  return {
    pids: [server.pid],
    round: async () => {
      const firstId = made;
      made += COMMITS_PER_SECOND * plan.seconds;
      return samplesOf(await residentUnderLoad(server, { ...plan, firstId }));
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

interface LoadPlan extends SteadyPlan {
  readonly firstId: number;
  readonly signal: AbortSignal;
}

/** MiB, each second. Throws unless every answer was good. */
async function residentUnderLoad(
  server: RegistryProcess,
  plan: Omit<LoadPlan, 'signal'>,
): Promise<readonly number[]> {
  const { seconds, onProgress = (line) => console.error(line) } = plan;
  const mib: number[] = [];
  const over = new AbortController();
  const timer = setInterval(() => {
    try {
      mib.push(residentMib(server.pid));
    } catch {
      // It has ended: so does the load, and not only when its time is over.
      over.abort();
    }
    if (mib.length % TELL_EVERY === 0)
      onProgress(`steady load, ${mib.length} of ${seconds} s: ${mib.at(-1)?.toFixed(0)} MiB`);
  }, EVERY_MS);
  try {
    const load = { ...plan, signal: over.signal };
    await Promise.all([read(server, load), write(server, load)]);
  } finally {
    clearInterval(timer);
  }
  return mib;
}

async function read(server: RegistryProcess, plan: LoadPlan): Promise<void> {
  using sender = new HttpSender({
    url: server.url,
    connections: CONNECTIONS,
    timeoutMs: TIMEOUT_MS,
  });
  const pace = paceOf(READS_PER_SECOND, plan);
  assertGood(await runReads({ ...pace, sender, paths: [HEAD], isConditional: false }), plan);
}

/** Whole cycles: proposals that wait for their turn would be held all the while. */
async function write(server: RegistryProcess, plan: LoadPlan): Promise<void> {
  using poster = new Poster(server.url, CONNECTIONS);
  const result = await runLoad({
    ...paceOf(COMMITS_PER_SECOND, plan),
    begin: ({ index }, done) => {
      const entry = entryOf(server, { id: `steady-${plan.firstId + index}`, bytes: ENTRY_BYTES });
      writeEntry(poster, entry).then(
        () => done(undefined),
        (error: unknown) => done(String(error)),
      );
    },
  });
  assertGood(result, plan);
}

function paceOf(rate: number, { seconds, signal }: LoadPlan) {
  return {
    clock: createBenchClock(),
    warmupMs: 0,
    durationMs: seconds * 1_000,
    rate,
    count: rate * seconds,
    connections: CONNECTIONS,
    signal,
  };
}

function assertGood({ requests, failed, unsent, errors }: LoadResult, { signal }: LoadPlan): void {
  if (signal.aborted) throw new Error('expected the server to outlive its load, it ended');
  if (failed > 0 || unsent > requests * MAX_UNSENT)
    throw new Error(`expected good answers, got ${JSON.stringify(errors)}, ${unsent} unsent`);
}

/** Exported for its test. `mib`: each second. */
export function samplesOf(mib: readonly number[]): readonly Sample[] {
  const tenth = Math.max(1, Math.floor(mib.length / 10));
  // A young generation comes and goes with each collection: no single second stands for others.
  const begin = median(mib.slice(tenth, tenth * 2));
  const end = median(mib.slice(-tenth));
  const grown = lineOf(mib.slice(Math.floor(mib.length / 3)));
  const sample = (what: string, reference: string, ours: number, theirs: number): Sample => ({
    name: `memory under steady load: ${what}`,
    kind: 'memory',
    unit: 'MiB',
    reference,
    ours,
    theirs,
  });
  return [
    sample('end', 'after the first tenth', end, begin),
    sample('slope', 'a third into it, both on the line of least squares', grown.end, grown.begin),
    sample('most', 'after the first tenth', Math.max(...mib), begin),
  ];
}
