/**
 * What a large set costs: commits of ten changes and descriptors with their proofs beside the same at a small set,
 * request by request in turns, the whole set beside the same bytes piped from a file, and memory.
 */
import { writeFile } from 'node:fs/promises';
import { Agent, get } from 'node:http';
import { join } from 'node:path';
import type { Hash } from '../../src/core/hash.ts';
import type { Change } from '../../src/core/payload.ts';
import type { Bench } from './bench.ts';
import { catalogueDescriptor } from './catalogue-set.ts';
import { type ChildServer, startChild } from './child.ts';
import { inFlight, postEntry, signedEntry } from './entries.ts';
import type { Sample } from './figure.ts';
import { serveInstalled } from './installed-server.ts';
import {
  CATALOGUE_SEED,
  type LongRegistry,
  type LongRegistryPlan,
  sizeText,
  startLongRegistry,
} from './long-registry.ts';
import { mainThreadUs, residentMib } from './machine.ts';
import { Poster, usOf } from './poster.ts';
import { installProgram } from './program.ts';
import { latencyBetween, readRouteLatency } from './route-latency.ts';
import { SERVICE_SETTINGS } from './service-flags.ts';
import { median, quantile } from './statistics.ts';
import { makeTemporary } from './temporary.ts';

const CHANGES = 10;
const WARMUP_REQUESTS = 500;
const POSTS_AT_ONCE = 8;
const SETS_A_ROUND = 3;
const OLD_REQUESTS = 5;
const DESCRIPTOR_ROUTE = '/registry/{version}/descriptors/{kind}/{id}';

type Size = Pick<LongRegistryPlan, 'entries' | 'descriptors'>;

export interface CatalogueBenchPlan extends Pick<LongRegistryPlan, 'cache' | 'say'> {
  readonly small: Size;
  readonly large: Size;
  /** Of each kind in a round, at each of the two. */
  readonly requests: number;
  /** Proofs at old versions alone: the trees that they are made of would be seen in all other figures. */
  readonly isOld?: boolean;
}

export async function openCatalogue(plan: CatalogueBenchPlan): Promise<Bench> {
  const stack = new AsyncDisposableStack();
  try {
    const { cache, say = console.error } = plan;
    const sides: Side[] = [];
    const program = await installProgram(stack);
    const serve = (data: string) =>
      serveInstalled(program, data, { ...SERVICE_SETTINGS, ballast: '0B' });
    // One after the other: each is alone while it walks over its log.
    for (const size of [plan.small, plan.large]) {
      const server = await startLongRegistry(
        { ...size, cache, say, serve, isCatalogue: true },
        stack,
      );
      sides.push(new Side(server, stack));
    }
    const [small, large] = sides;
    if (small === undefined || large === undefined) throw new Error('expected two sides');
    const file = join(await makeTemporary('quorate-perf-set-', stack), 'set.json');
    await writeFile(file, await large.wholeSet());
    const bare = stack.use(await startChild('file-server.ts', [file]));
    const catalogue = new Catalogue(plan, { small, large, bare });
    // Programs that compile as they run are slower at first.
    await catalogue.measure(WARMUP_REQUESTS);
    return {
      pids: [small.server.pid, large.server.pid, bare.pid],
      round: () => catalogue.measure(plan.requests),
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

/** Of one request, in microseconds. */
interface ServerTimes {
  readonly mean: number;
  /** The bound of its histogram's bucket. */
  readonly p95: number;
  /** Of the thread that answers, with what reading from the socket and writing to it takes. */
  readonly cpu: number;
}

class Side {
  readonly server: LongRegistry;
  readonly poster: Poster;
  readonly #order: readonly number[];
  #taken = 0;
  #releases = 0;

  constructor(server: LongRegistry, stack: AsyncDisposableStack) {
    this.server = server;
    this.poster = stack.use(new Poster(server.url, POSTS_AT_ONCE));
    this.#order = shuffled(server.descriptors);
  }

  /** Answers what the server says, when asked, of the descriptors that it was asked for meanwhile. */
  async watchDescriptors(): Promise<() => Promise<ServerTimes>> {
    const { metricsUrl, pid } = this.server;
    const before = await readRouteLatency(metricsUrl, DESCRIPTOR_ROUTE);
    const cpuBefore = mainThreadUs(pid);
    return async () => {
      const cpu = mainThreadUs(pid) - cpuBefore;
      const after = await readRouteLatency(metricsUrl, DESCRIPTOR_ROUTE);
      const { count, meanUs, atMostUs } = latencyBetween(before, after);
      return { mean: meanUs, p95: atMostUs(0.95), cpu: cpu / count };
    };
  }

  async wholeSet(): Promise<Uint8Array> {
    const headers = { 'accept-encoding': 'identity' };
    return (await fetch(`${this.server.url}/registry/head/set`, { headers })).bytes();
  }

  /** The path of any descriptor, with its proof. `version`: default, the head. */
  proofPath(version: number | 'head' = 'head'): string {
    const { kind, id } = this.#next(0);
    return `/registry/${version}/descriptors/${kind}/${id}?proof=1`;
  }

  /** Answers the paths of commits that have their quorum, no two of which touch the same descriptor. */
  async ready(count: number): Promise<readonly string[]> {
    this.#releases++;
    const entries = [];
    for (let i = 0; i < count; i++) {
      const changes = await Promise.all(Array.from({ length: CHANGES }, () => this.#change()));
      entries.push(signedEntry(this.server, changes));
    }
    await inFlight(entries, POSTS_AT_ONCE, (entry) => postEntry(this.poster, entry));
    return entries.map(({ commitPath }) => commitPath);
  }

  async #change(): Promise<Change> {
    const { kind, id, spec } = this.#next(1_000_000 + this.#releases);
    const { url } = this.server;
    const response = await fetch(`${url}/registry/head/descriptors/${kind}/${id}`);
    const { value_hash = null } = (await response.json()) as { readonly value_hash?: Hash };
    return { op: 'put', kind, id, spec, replaces: value_hash };
  }

  #next(release: number): ReturnType<typeof catalogueDescriptor> {
    const n = this.#order[this.#taken++ % this.#order.length] ?? 0;
    return catalogueDescriptor({ n, release, seed: CATALOGUE_SEED });
  }
}

class Catalogue {
  readonly #plan: CatalogueBenchPlan;
  readonly #small: Side;
  readonly #large: Side;
  readonly #bare: ChildServer;
  readonly #agent = new Agent({ keepAlive: true });

  constructor(
    plan: CatalogueBenchPlan,
    { small, large, bare }: { small: Side; large: Side; bare: ChildServer },
  ) {
    this.#plan = plan;
    this.#small = small;
    this.#large = large;
    this.#bare = bare;
  }

  async measure(requests: number): Promise<readonly Sample[]> {
    if (this.#plan.isOld === true)
      return await this.#proofs('its proof at an old version', OLD_REQUESTS, (side) =>
        side.proofPath(Math.floor(side.server.entries * (0.1 + 0.8 * Math.random()))),
      );
    // Of a small set, less than all of it is touched in a round.
    const commits = Math.min(requests, Math.floor(this.#plan.small.descriptors / CHANGES / 2));
    return [
      ...(await this.#commits(commits)),
      ...(await this.#proofs('its proof', requests, (side) => side.proofPath())),
      ...(await this.#wholeSets()),
      this.#memory(),
    ];
  }

  async #commits(count: number): Promise<readonly Sample[]> {
    const ready = new Map([
      [this.#small, await this.#small.ready(count)],
      [this.#large, await this.#large.ready(count)],
    ]);
    return this.#inTurns(`commit of ${CHANGES} changes`, count, (side, i) =>
      side.poster.post(ready.get(side)?.[i] ?? ''),
    );
  }

  async #proofs(
    what: string,
    count: number,
    path: (side: Side) => string,
  ): Promise<readonly Sample[]> {
    const name = `a descriptor with ${what}`;
    const watches = await Promise.all(
      [this.#large, this.#small].map((side) => side.watchDescriptors()),
    );
    const seen = await this.#inTurns(name, count, async (side) => {
      // Some were removed: a proof of absence costs the same.
      await side.poster.get(path(side));
    });
    const [large, small] = await Promise.all(watches.map((end) => end()));
    const sample = (which: string, key: keyof ServerTimes): Sample => ({
      name: `${this.#named(name)}: ${which}`,
      kind: 'time',
      unit: 'us',
      reference: this.#reference,
      ours: large?.[key] ?? Number.NaN,
      theirs: small?.[key] ?? Number.NaN,
    });
    return [
      ...seen,
      sample('in the server', 'mean'),
      sample('in the server, p95 at most', 'p95'),
      sample('processor time of its thread', 'cpu'),
    ];
  }

  async #wholeSets(): Promise<readonly Sample[]> {
    const ours = `${this.#large.server.url}/registry/head/set`;
    const rates: { readonly ours: number; readonly theirs: number }[] = [];
    // Whoever asks first waits until it is prepared.
    const preparing = await this.#read(ours);
    for (let i = 0; i < SETS_A_ROUND; i++)
      rates.push({
        ours: mbPerSecond(await this.#read(ours)),
        theirs: mbPerSecond(await this.#read(this.#bare.url)),
      });
    const reference = 'node:http piping a file';
    const theirs = median(rates.map((rate) => rate.theirs));
    return [
      {
        name: this.#named('whole set'),
        kind: 'throughput',
        unit: 'MB/s',
        reference,
        ours: median(rates.map((rate) => rate.ours)),
        theirs,
      },
      {
        name: this.#named('whole set, asked for first'),
        kind: 'throughput',
        unit: 'MB/s',
        reference,
        ours: mbPerSecond(preparing),
        theirs,
      },
    ];
  }

  #memory(): Sample {
    return {
      name: this.#named('memory'),
      kind: 'memory',
      unit: 'MiB',
      reference: this.#reference,
      ours: residentMib(this.#large.server.pid),
      theirs: residentMib(this.#small.server.pid),
    };
  }

  /** Whoever comes first in one turn is second in the next. */
  async #inTurns(
    name: string,
    count: number,
    ask: (side: Side, i: number) => Promise<void>,
  ): Promise<readonly Sample[]> {
    const us = new Map<Side, number[]>([
      [this.#small, []],
      [this.#large, []],
    ]);
    for (let i = 0; i < count; i++)
      for (const side of i % 2 === 0 ? [this.#small, this.#large] : [this.#large, this.#small])
        us.get(side)?.push(await usOf(() => ask(side, i)));
    return (
      [
        ['p50', 0.5],
        ['p95', 0.95],
      ] as const
    ).map(([which, q]) => ({
      name: `${this.#named(name)}: ${which}`,
      kind: 'latency',
      unit: 'us',
      reference: this.#reference,
      ours: quantile(us.get(this.#large) ?? [], q),
      theirs: quantile(us.get(this.#small) ?? [], q),
    }));
  }

  get #reference(): string {
    return `the same at ${sizeText(this.#plan.small.descriptors)}`;
  }

  #named(what: string): string {
    return `at ${sizeText(this.#plan.large.descriptors)} descriptors: ${what}`;
  }

  /** Every byte, and how long that took. */
  #read(url: string): Promise<{ readonly bytes: number; readonly ms: number }> {
    const began = performance.now();
    return new Promise((resolve, reject) => {
      get(url, { agent: this.#agent }, (answer) => {
        let bytes = 0;
        answer.on('data', (chunk: Uint8Array) => {
          bytes += chunk.length;
        });
        answer.on('error', reject).on('end', () => {
          if (answer.statusCode === 200 && answer.complete)
            resolve({ bytes, ms: performance.now() - began });
          else reject(new Error(`expected 200 of ${url}, got ${answer.statusCode}`));
        });
      }).on('error', reject);
    });
  }
}

function mbPerSecond({ bytes, ms }: { readonly bytes: number; readonly ms: number }): number {
  return bytes / 1_000 / ms;
}

/** 0 to `count`, in any order. */
function shuffled(count: number): readonly number[] {
  const order = Array.from({ length: count }, (_, n) => ({ n, at: Math.random() }));
  return order.sort((a, b) => a.at - b.at).map(({ n }) => n);
}
