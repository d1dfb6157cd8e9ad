/**
 * Reads at a fixed rate, whatever becomes of them: what they take and what they cost the server, alone and
 * beside commits. Latencies count from when a request was due, in the client, beside bare node:http at the
 * same rate from the same client. The p95 that is judged is that of short moments, in turns with it: where all
 * stands still now and then, that of a whole turn says who was asked at that time.
 */
import { createBenchClock } from '../../src/cli/bench/clock.ts';
import type { Latency } from '../../src/cli/bench/histogram.ts';
import { HttpSender } from '../../src/cli/bench/http-sender.ts';
import { faultOf, type LoadResult, runLoad } from '../../src/cli/bench/load.ts';
import { runReads } from '../../src/cli/bench/read-load.ts';
import type { Bench } from './bench.ts';
import type { ChildServer } from './child.ts';
import { type Entry, entryOf, inFlight, postEntry } from './entries.ts';
import type { Kind, Profile, Sample } from './figure.ts';
import { cpuUs, residentMib } from './machine.ts';
import { Poster } from './poster.ts';
import { startReferences } from './references.ts';
import {
  type RegistryProcess,
  type RegistryProcessOptions,
  startRegistry,
} from './registry-process.ts';
import { quantile, UNDISTURBED } from './statistics.ts';

const BARE = 'bare node:http';
export const HEAD = '/registry/head';
const CONNECTIONS = 32;
const WARMUP_MS = 250;
/** Of each server in a round. */
const MOMENTS = 10;
const MOMENT_MS = 200;
const MOMENT_WARMUP_MS = 50;
const TIMEOUT_MS = 30_000;
const NEVER = new AbortController().signal;

export interface PacedPlan extends RegistryProcessOptions {
  readonly profile: Profile;
  readonly perSecond: number;
  readonly seconds: number;
  /** Beside which reads are measured once more. */
  readonly commitsPerSecond: number;
}

/** One turn at one server. */
export interface PacedTurn {
  readonly perSecond: number;
  readonly latency: Latency;
  /** Share of one core. */
  readonly cpuShare: number;
  readonly mib: number;
}

export async function openPaced(plan: PacedPlan): Promise<Bench> {
  const stack = new AsyncDisposableStack();
  try {
    const ours = stack.use(await startRegistry(plan.profile, plan));
    const place = { url: ours.url, paths: new Set([HEAD]) };
    const bare = (await startReferences(new Set([BARE]), place, stack)).get(BARE);
    if (bare === undefined) throw new Error(`expected ${BARE} to start, it did not`);
    for (const server of [ours, bare]) await readAt(server, HEAD, { ...plan, seconds: 1 });
    let made = 0;
    const round = async () => {
      const alone = await readAt(ours, HEAD, plan);
      const theirs = await readAt(bare, HEAD, plan);
      const moments = await momentsOf({ ours, theirs: bare }, plan.perSecond);
      const beside = await readBesideCommits(ours, { ...plan, firstId: made });
      made += plan.commitsPerSecond * plan.seconds;
      const turns = { ours: alone, theirs };
      return [...samplesOf(plan, turns, moments), besideSample(plan, beside, alone)];
    };
    return { pids: [ours.pid, bare.pid], round, [Symbol.asyncDispose]: () => stack.disposeAsync() };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

/** Throws unless every answer was good. */
export async function readAt(
  server: ChildServer,
  path: string,
  { perSecond, seconds }: Pick<PacedPlan, 'perSecond' | 'seconds'>,
): Promise<PacedTurn> {
  using sender = senderTo(server);
  const load = { path, perSecond, warmupMs: WARMUP_MS, durationMs: seconds * 1_000 };
  return await turnOf(server, sender, load);
}

interface SteadyLoad {
  readonly path: string;
  readonly perSecond: number;
  readonly warmupMs: number;
  readonly durationMs: number;
}

async function turnOf(
  server: ChildServer,
  sender: HttpSender,
  { path, perSecond, ...times }: SteadyLoad,
): Promise<PacedTurn> {
  const before = cpuUs(server.pid);
  const began = performance.now();
  const seen = await runReads({
    sender,
    paths: [path],
    isConditional: false,
    clock: createBenchClock(),
    ...times,
    rate: perSecond,
    connections: CONNECTIONS,
    signal: NEVER,
  });
  const cpuShare = (cpuUs(server.pid) - before) / ((performance.now() - began) * 1_000);
  if (seen.failed > 0 || seen.latency_us === null)
    throw new Error(`expected only good answers of ${path}, got ${JSON.stringify(seen.errors)}`);
  const mib = residentMib(server.pid);
  return { perSecond: seen.rate, latency: seen.latency_us, cpuShare, mib };
}

/** Of all moments of one server. */
interface Moments {
  /** Microseconds, of those that nothing disturbed. */
  readonly p95: number;
  /** Share of one core, of all of them: garbage is not collected in each. */
  readonly cpuShare: number;
}

interface Both<T> {
  readonly ours: T;
  readonly theirs: T;
}

/** In turns, so that whatever the machine does meets both. */
async function momentsOf(servers: Both<ChildServer>, perSecond: number): Promise<Both<Moments>> {
  using ours = senderTo(servers.ours);
  using theirs = senderTo(servers.theirs);
  const load = {
    path: HEAD,
    perSecond,
    warmupMs: MOMENT_WARMUP_MS,
    durationMs: MOMENT_MS,
  };
  const turns: Both<PacedTurn[]> = { ours: [], theirs: [] };
  for (let i = 0; i < MOMENTS; i++) {
    const ourTurn = async () => turns.ours.push(await turnOf(servers.ours, ours, load));
    const theirTurn = async () => turns.theirs.push(await turnOf(servers.theirs, theirs, load));
    for (const turn of i % 2 === 0 ? [ourTurn, theirTurn] : [theirTurn, ourTurn]) await turn();
  }
  return { ours: summaryOf(turns.ours), theirs: summaryOf(turns.theirs) };
}

function summaryOf(turns: readonly PacedTurn[]): Moments {
  const p95s = turns.map(({ latency }) => latency.p95);
  const shares = turns.reduce((sum, { cpuShare }) => sum + cpuShare, 0);
  return { p95: quantile(p95s, UNDISTURBED), cpuShare: shares / turns.length };
}

type LoadPlan = Pick<PacedPlan, 'perSecond' | 'seconds' | 'commitsPerSecond'>;

export interface BesidePlan extends LoadPlan {
  /** Commits so far: no two may be called the same. */
  readonly firstId: number;
}

/** Throws unless every answer was good and every commit was taken. */
export async function readBesideCommits(
  server: RegistryProcess,
  plan: BesidePlan,
): Promise<PacedTurn> {
  const entries = await readyEntries(server, plan);
  const { reads, commits } = await readAndCommit(server, entries, plan);
  if (commits.failed > 0)
    throw new Error(`expected all commits to be taken, got ${JSON.stringify(commits.errors)}`);
  return reads;
}

/** Of a turn, with their quorum: what is left is the commit. `post`: for who is refused and repeats. */
export async function readyEntries(
  server: RegistryProcess,
  { commitsPerSecond, seconds, firstId }: Omit<BesidePlan, 'perSecond'>,
  post: typeof postEntry = postEntry,
): Promise<readonly Entry[]> {
  using poster = new Poster(server.url, CONNECTIONS);
  const entries = Array.from({ length: commitsPerSecond * seconds }, (_, i) =>
    entryOf(server, { id: `beside-${firstId + i}`, bytes: 4_096 }),
  );
  await inFlight(entries, 8, (entry) => post(poster, entry));
  return entries;
}

/** Throws unless every read was answered; what became of the commits is for the caller to judge. */
export async function readAndCommit(
  server: RegistryProcess,
  entries: readonly Entry[],
  plan: LoadPlan,
): Promise<{ readonly reads: PacedTurn; readonly commits: LoadResult }> {
  using sender = senderTo(server);
  const committing = runLoad({
    clock: createBenchClock(),
    warmupMs: 0,
    durationMs: plan.seconds * 1_000,
    rate: plan.commitsPerSecond,
    count: entries.length,
    connections: CONNECTIONS,
    signal: NEVER,
    begin: ({ index }, done) => {
      const entry = entries[index];
      if (entry === undefined) throw new Error(`expected an entry for job ${index}, got none`);
      sender.send({ method: 'POST', path: entry.commitPath }, (outcome) =>
        done(faultOf(outcome, [200, 201])),
      );
    },
  });
  const [reads, commits] = await Promise.all([readAt(server, HEAD, plan), committing]);
  return { reads, commits };
}

function senderTo({ url }: ChildServer): HttpSender {
  return new HttpSender({ url, connections: CONNECTIONS, timeoutMs: TIMEOUT_MS });
}

function samplesOf(plan: PacedPlan, turns: Both<PacedTurn>, moments: Both<Moments>): Sample[] {
  const at = `head at ${plan.perSecond.toLocaleString('en-US')}/s`;
  const compared = (
    [what, kind, unit]: readonly [string, Kind, string],
    figures: Both<number>,
    isGated = true,
  ): Sample => ({ name: `${at}: ${what}`, kind, unit, reference: BARE, ...figures, isGated });
  return [
    compared(
      ['p50', 'latency', 'us'],
      each(turns, ({ latency }) => latency.p50),
      false,
    ),
    compared(
      ['p95', 'latency', 'us'],
      each(moments, ({ p95 }) => p95),
    ),
    compared(
      ['p95 of whole turns', 'latency', 'us'],
      each(turns, ({ latency }) => latency.p95),
      false,
    ),
    compared(
      ['p99', 'latency', 'us'],
      each(turns, ({ latency }) => latency.p99),
      false,
    ),
    compared(
      ['throughput', 'throughput', 'requests/s'],
      each(turns, ({ perSecond }) => perSecond),
    ),
    compared(
      ['processor', 'cpu', '% of a core'],
      each(moments, ({ cpuShare }) => cpuShare * 100),
    ),
    compared(
      ['memory', 'memory', 'MiB'],
      each(turns, ({ mib }) => mib),
    ),
  ];
}

function each<T>({ ours, theirs }: Both<T>, figure: (of: T) => number): Both<number> {
  return { ours: figure(ours), theirs: figure(theirs) };
}

function besideSample(plan: PacedPlan, ours: PacedTurn, theirs: PacedTurn): Sample {
  return {
    name: `head p99 beside ${plan.commitsPerSecond} commits/s`,
    kind: 'latency',
    unit: 'us',
    reference: 'head p99 alone',
    ours: ours.latency.p99,
    theirs: theirs.latency.p99,
  };
}
