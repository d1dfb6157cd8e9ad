/**
 * Writes over HTTP, each beside what it cannot do without: a commit alone, 64 in flight, an approval, and
 * whole cycles. Everything that is signed is signed before the clock runs.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Bare,
  fsyncedAppend,
  rateOf,
  signatureCheck,
  sqliteInsert,
  timed,
} from './bare-writes.ts';
import type { Bench } from './bench.ts';
import { type ChildServer, startChild } from './child.ts';
import { type Entry, entryOf, inFlight, postEntry, writeEntry } from './entries.ts';
import type { Profile, Sample } from './figure.ts';
import { cpuUs } from './machine.ts';
import { Poster, usOf } from './poster.ts';
import {
  type RegistryProcess,
  type RegistryProcessOptions,
  startRegistry,
} from './registry-process.ts';
import { quantile, UNDISTURBED } from './statistics.ts';

const ENTRY_BYTES = 4_096;
const AT_ONCE = 64;
const CYCLES_AT_ONCE = 16;
/** Commits alone whose p95 is taken together. */
const GROUP = 25;
/** What a bare POST takes of the processor varies by a third from minute to minute: only more than that is a slow machine. */
const FULL_SPEED = 1.5;
const BARE_TURNS = 200;
const BARE_WARMUP = 2_000;
/** `bare-commit-server.ts`. */
const KEPT = 'a bare POST kept';

export interface CommitsPlan extends RegistryProcessOptions {
  readonly profile: Profile;
  /** In a round: commits alone, commits in flight, approvals, cycles. */
  readonly alone: number;
  readonly together: number;
  readonly approvals: number;
  readonly cycles: number;
}

export async function openCommits(plan: CommitsPlan): Promise<Bench> {
  const stack = new AsyncDisposableStack();
  try {
    const server = stack.use(await startRegistry(plan.profile, plan));
    const directory = await mkdtemp(join(tmpdir(), 'quorate-perf-bare-'));
    stack.defer(() => rm(directory, { recursive: true }));
    const path = plan.profile === 'macronode' ? [join(directory, 'bare.db')] : [];
    const bare = stack.use(await startChild('bare-commit-server.ts', path));
    const commits = new Commits(plan, { server, bare, directory, stack });
    // Programs that compile as they run are slower at first.
    await commits.warmUp();
    return {
      pids: [server.pid, bare.pid],
      round: () => commits.round(),
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

export class Commits {
  readonly #plan: CommitsPlan;
  readonly #server: RegistryProcess;
  readonly #poster: Poster;
  /** What a single commit waits for at least: the disk, or where there is none a signature. */
  readonly #once: Bare;
  readonly #insert: Bare;
  /** What any program pays that keeps a POST, and the machine makes slower when it makes a commit slower. */
  readonly #bare: ChildServer;
  readonly #toBare: Poster;
  readonly #verify = signatureCheck();
  readonly #verifyQuorum: Bare;
  #made = 0;

  constructor(
    plan: CommitsPlan,
    {
      server,
      bare,
      directory,
      stack,
    }: {
      server: RegistryProcess;
      bare: ChildServer;
      directory: string;
      stack: AsyncDisposableStack;
    },
  ) {
    this.#plan = plan;
    this.#server = server;
    this.#poster = stack.use(new Poster(server.url, AT_ONCE));
    this.#bare = bare;
    this.#toBare = stack.use(new Poster(bare.url, AT_ONCE));
    this.#once =
      plan.profile === 'macronode' ? stack.use(fsyncedAppend(directory)) : signatureCheck();
    this.#insert = stack.use(sqliteInsert(directory));
    this.#verifyQuorum = signatureCheck(server.signers.length);
  }

  async warmUp(): Promise<void> {
    await inFlight(this.#make(100), CYCLES_AT_ONCE, (entry) => writeEntry(this.#poster, entry));
    for (const bare of [this.#once, this.#insert, this.#verify]) rateOf(bare, 20);
    await inFlight(Array.from({ length: BARE_WARMUP }), AT_ONCE, () => this.#toBare.post('/'));
  }

  async round(): Promise<readonly Sample[]> {
    const { alone, together, approvals, cycles } = this.#plan;
    return [
      ...(alone > 0 ? await this.#alone(alone) : []),
      ...(together > 0 ? await this.#together(together) : []),
      ...(approvals > 0 ? [await this.#approvals(approvals)] : []),
      ...(cycles > 0 ? [await this.#cycles(cycles)] : []),
    ];
  }

  #make(count: number): Entry[] {
    return Array.from({ length: count }, () =>
      entryOf(this.#server, { id: `entry-${this.#made++}`, bytes: ENTRY_BYTES }),
    );
  }

  /** With their quorum. */
  async #ready(count: number): Promise<readonly Entry[]> {
    const entries = this.#make(count);
    await inFlight(entries, CYCLES_AT_ONCE, (entry) => postEntry(this.#poster, entry));
    return entries;
  }

  /** In turns with the bare thing, so that a slow moment of the disk hits both. */
  async #alone(count: number): Promise<Sample[]> {
    const entries = await this.#ready(count);
    const [commits, posts, bares]: [number[], number[], number[]] = [[], [], []];
    const servers = [this.#server, this.#bare];
    const before = servers.map(({ pid }) => cpuUs(pid));
    for (const { commitPath } of entries) {
      commits.push(await usOf(() => this.#poster.post(commitPath)));
      posts.push(await usOf(() => this.#toBare.post('/')));
      bares.push(timed(this.#once.run) * 1_000);
    }
    const [ours = 0, theirs = 0] = servers.map(
      ({ pid }, i) => (cpuUs(pid) - (before[i] ?? 0)) / count,
    );
    const latency = (q: number, reference: string, taken: readonly number[]) => ({
      kind: 'latency' as const,
      unit: 'us',
      reference,
      ours: quantile(commits, q),
      theirs: quantile(taken, q),
    });
    const once = this.#once.name;
    return [
      { name: 'commit alone: p50', ...latency(0.5, once, bares) },
      { name: 'commit alone: p95', ...latency(0.95, once, bares) },
      { name: 'commit alone: p99', ...latency(0.99, once, bares) },
      { name: `commit alone: p50, of ${KEPT}`, ...latency(0.5, KEPT, posts), isGated: true },
      {
        name: `commit alone: p95, of ${KEPT}`,
        ...latency(0.95, KEPT, posts),
        ours: undisturbedP95(commits),
        theirs: undisturbedP95(posts),
        isGated: true,
      },
      {
        name: `commit alone: processor time, of ${KEPT}`,
        kind: 'time',
        unit: 'us/commit',
        reference: KEPT,
        ours,
        theirs,
        isGated: true,
        isAtFullSpeed: true,
        fullSpeed: FULL_SPEED,
      },
    ];
  }

  async #together(count: number): Promise<Sample[]> {
    const entries = await this.#ready(count);
    const bares = [this.#insert, this.#verifyQuorum].map((bare) => ({
      name: bare.name,
      rate: rateOf(bare, BARE_TURNS),
    }));
    const posts = Array.from({ length: count / 2 });
    const post = () => this.#toBare.post('/');
    // One half before and one after: a machine that becomes slower does so for both.
    const before = await cpuOf(this.#bare, () => inFlight(posts, AT_ONCE, post));
    const began = performance.now();
    const commit = ({ commitPath }: Entry) => this.#poster.post(commitPath);
    const ours = await cpuOf(this.#server, () => inFlight(entries, AT_ONCE, commit));
    const rate = (count * 1_000) / (performance.now() - began);
    const after = await cpuOf(this.#bare, () => inFlight(posts, AT_ONCE, post));
    return [
      ...bares.map((bare): Sample => {
        const name = `commits, ${AT_ONCE} in flight: throughput, of ${bare.name}`;
        const common = { kind: 'throughput', unit: 'commits/s', reference: bare.name } as const;
        return { name, ...common, ours: rate, theirs: bare.rate };
      }),
      {
        name: `commits, ${AT_ONCE} in flight: processor time, of ${KEPT}`,
        kind: 'time',
        unit: 'us/commit',
        reference: KEPT,
        ours: ours / count,
        theirs: (before + after) / (2 * posts.length),
        isGated: true,
      },
    ];
  }

  /** Beside a bare signature and the same client's cheapest request: what is left is the registry's own. */
  async #approvals(count: number): Promise<Sample> {
    const ours: number[] = [];
    const theirs: number[] = [];
    for (const entry of this.#make(Math.ceil(count / this.#server.signers.length))) {
      await this.#poster.post('/registry/proposals', entry.proposal);
      for (const body of entry.approvals) {
        const began = performance.now();
        await this.#poster.post(entry.approvePath, body);
        const between = performance.now();
        await this.#poster.get('/registry/head');
        this.#verify.run();
        ours.push((between - began) * 1_000);
        theirs.push((performance.now() - between) * 1_000);
      }
    }
    return {
      name: 'approval accepted: p50',
      kind: 'latency',
      unit: 'us',
      reference: 'crypto.verify and a GET of the head',
      ours: quantile(ours, 0.5),
      theirs: quantile(theirs, 0.5),
    };
  }

  async #cycles(count: number): Promise<Sample> {
    const entries = this.#make(count);
    const bare = rateOf(this.#verifyQuorum, BARE_TURNS);
    const began = performance.now();
    await inFlight(entries, CYCLES_AT_ONCE, (entry) => writeEntry(this.#poster, entry));
    return {
      name: `whole cycles, ${CYCLES_AT_ONCE} at a time: throughput`,
      kind: 'throughput',
      unit: 'cycles/s',
      reference: this.#verifyQuorum.name,
      ours: (count * 1_000) / (performance.now() - began),
      theirs: bare,
    };
  }
}

/** Of groups, as they came: a disk that stands still makes one of them slower, and what a change costs is in all. */
function undisturbedP95(taken: readonly number[]): number {
  const groups = Array.from({ length: taken.length / GROUP }, (_, i) =>
    taken.slice(i * GROUP, (i + 1) * GROUP),
  );
  const p95s = groups.map((group) => quantile(group, 0.95));
  return quantile(p95s, UNDISTURBED);
}

/** Microseconds of processor. */
async function cpuOf({ pid }: ChildServer, run: () => Promise<unknown>): Promise<number> {
  const before = cpuUs(pid);
  await run();
  return cpuUs(pid) - before;
}
