/** What only a night has time for: commits at rising rates, alone and beside reads, and in bursts with more signers, and more and more subscribers. */
import { createBenchClock } from '../../src/cli/bench/clock.ts';
import type { Latency } from '../../src/cli/bench/histogram.ts';
import { runLoad } from '../../src/cli/bench/load.ts';
import { type Entry, entryOf, inFlight, postEntry } from './entries.ts';
import type { Profile } from './figure.ts';
import { cpuUs } from './machine.ts';
import { readAndCommit, readyEntries } from './paced.ts';
import { Poster } from './poster.ts';
import { type RegistryProcess, startRegistry } from './registry-process.ts';
import type { Curve } from './run-file.ts';
import { quantile } from './statistics.ts';
import { assertRoomFor, Subscribers } from './subscribers.ts';

const SIGNERS = { signerCount: 7, threshold: 3 };
const COMMIT_RATES = [1, 2, 3, 4, 5];
const COMMIT_SECONDS = 10;
const BURSTS = [8, 32, 128, 512];
const MIXED_RATES = [1, 5, 20, 50];
const MIXED_READS = 2_500;
const SUBSCRIBERS = [100, 300, 1_000, 3_000, 10_000];
const EVENTS = 20;
const CONNECTIONS = 64;
const ENTRY_BYTES = 4_096;

export async function measureSweeps(profile: Profile): Promise<readonly Curve[]> {
  assertRoomFor(Math.max(...SUBSCRIBERS));
  await using server = await startRegistry(profile, SIGNERS);
  using poster = new Poster(server.url, CONNECTIONS);
  const writer = new Writer(server, poster);
  return [
    await measureCommitRates(profile, writer),
    await measureMixed(profile, server),
    await measureBursts(profile, writer),
    await measureSubscribers(profile, server, writer),
  ];
}

class Writer {
  readonly #server: RegistryProcess;
  readonly poster: Poster;
  #made = 0;

  constructor(server: RegistryProcess, poster: Poster) {
    this.#server = server;
    this.poster = poster;
  }

  /** Proposed, and approved by as many as a commit needs. */
  async ready(count: number): Promise<readonly Entry[]> {
    const entries = Array.from({ length: count }, () =>
      entryOf(this.#server, { id: `sweep-${this.#made++}`, bytes: ENTRY_BYTES }),
    );
    await inFlight(entries, 16, (entry) => postEntry(this.poster, entry));
    return entries;
  }

  commit({ commitPath }: Entry): Promise<void> {
    return this.poster.post(commitPath);
  }
}

async function measureCommitRates(profile: Profile, writer: Writer): Promise<Curve> {
  const points: { rate: number; p50: number; p95: number }[] = [];
  for (const rate of COMMIT_RATES) {
    const entries = await writer.ready(rate * COMMIT_SECONDS);
    const { failed, errors, latency_us } = await runLoad({
      clock: createBenchClock(),
      warmupMs: 0,
      durationMs: COMMIT_SECONDS * 1_000,
      rate,
      count: entries.length,
      connections: CONNECTIONS,
      signal: new AbortController().signal,
      begin: ({ index }, done) => {
        const entry = entries[index];
        if (entry === undefined) throw new Error(`expected an entry for job ${index}, got none`);
        writer.commit(entry).then(
          () => done(undefined),
          (error: unknown) => done(String(error)),
        );
      },
    });
    if (failed > 0 || latency_us === null)
      throw new Error(`expected all commits to be taken, got ${JSON.stringify(errors)}`);
    points.push({ rate, p50: latency_us.p50, p95: latency_us.p95 });
  }
  return {
    title: `Commits at fixed rates, ${profile}`,
    xLabel: 'commits a second, 3 of 7, 4 KB',
    yLabel: 'microseconds',
    isLogX: false,
    isLogY: false,
    lines: [
      { name: 'p50', points: points.map(({ rate, p50 }) => [rate, p50]) },
      { name: 'p95', points: points.map(({ rate, p95 }) => [rate, p95]) },
    ],
  };
}

/** Reads at the objective's rate beside more and more commits. */
async function measureMixed(profile: Profile, server: RegistryProcess): Promise<Curve> {
  const points: { rate: number; head: Latency; commit: Latency }[] = [];
  let made = 0;
  for (const rate of MIXED_RATES) {
    const plan = { perSecond: MIXED_READS, commitsPerSecond: rate, seconds: COMMIT_SECONDS };
    const entries = await readyEntries(server, { ...plan, firstId: made });
    made += entries.length;
    const { reads, commits } = await readAndCommit(server, entries, plan);
    if (commits.failed > 0 || commits.latency_us === null)
      throw new Error(`expected all commits to be taken, got ${JSON.stringify(commits.errors)}`);
    points.push({ rate, head: reads.latency, commit: commits.latency_us });
  }
  return {
    title: `Reads and commits together, ${profile}`,
    xLabel: `commits a second, 3 of 7, 4 KB, beside ${MIXED_READS} heads a second`,
    yLabel: 'microseconds',
    isLogX: true,
    isLogY: true,
    lines: [
      { name: 'head p50', points: points.map(({ rate, head }) => [rate, head.p50]) },
      { name: 'head p95', points: points.map(({ rate, head }) => [rate, head.p95]) },
      { name: 'commit p50', points: points.map(({ rate, commit }) => [rate, commit.p50]) },
      { name: 'commit p95', points: points.map(({ rate, commit }) => [rate, commit.p95]) },
    ],
  };
}

async function measureBursts(profile: Profile, writer: Writer): Promise<Curve> {
  const points: [number, number][] = [];
  for (const size of BURSTS) {
    const entries = await writer.ready(size);
    const began = performance.now();
    await inFlight(entries, CONNECTIONS, (entry) => writer.commit(entry));
    points.push([size, performance.now() - began]);
  }
  return {
    title: `Bursts of commits, ${profile}`,
    xLabel: 'commits that came at once, 3 of 7, 4 KB',
    yLabel: 'milliseconds until the last was durable',
    isLogX: true,
    isLogY: true,
    lines: [{ name: `${CONNECTIONS} in flight`, points }],
  };
}

async function measureSubscribers(
  profile: Profile,
  server: RegistryProcess,
  writer: Writer,
): Promise<Curve> {
  const points: { count: number; p50: number; p95: number; cpuMs: number }[] = [];
  for (const count of SUBSCRIBERS) {
    await using subscribers = await Subscribers.open(server.url, count);
    const lastMs: number[] = [];
    const entries = await writer.ready(EVENTS);
    const before = cpuUs(server.pid);
    for (const entry of entries) {
      const all = subscribers.reached(subscribers.count);
      const began = performance.now();
      await Promise.all([writer.commit(entry), all]);
      lastMs.push(performance.now() - began);
    }
    const cpuMs = (cpuUs(server.pid) - before) / 1_000 / EVENTS;
    points.push({ count, p50: quantile(lastMs, 0.5), p95: quantile(lastMs, 0.95), cpuMs });
  }
  return {
    title: `Events to subscribers, ${profile}`,
    xLabel: 'subscribers',
    yLabel: 'milliseconds from the commit request to the last of them; of processor',
    isLogX: true,
    isLogY: true,
    lines: [
      { name: 'p50', points: points.map(({ count, p50 }) => [count, p50]) },
      { name: 'p95', points: points.map(({ count, p95 }) => [count, p95]) },
      { name: 'processor', points: points.map(({ count, cpuMs }) => [count, cpuMs]) },
    ],
  };
}
