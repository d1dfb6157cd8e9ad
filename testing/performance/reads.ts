/**
 * Reads over HTTP, as fast as they are answered: the registry in turns with nginx, bare node:http and a raw
 * socket, all with the same bytes and headers. What is judged is the processor time of a request, of the registry
 * and of bare node:http at once, on one core, in seconds in which the machine ran at its full speed: of the references
 * this one suffers most alike when it does not.
 */
import type { Bench } from './bench.ts';
import type { ChildServer } from './child.ts';
import { entryOf, writeEntry } from './entries.ts';
import type { Kind, Profile, Sample } from './figure.ts';
import { runLoad } from './load.ts';
import { cpuUs } from './machine.ts';
import { Poster } from './poster.ts';
import { type Reference, startReferences } from './references.ts';
import { type RegistryProcessOptions, startRegistry } from './registry-process.ts';
import type { Turn } from './wrk.ts';

export const CONNECTIONS = 64;
const HEAD = '/registry/head';
const BARE = 'bare node:http';
/** Until then what V8 compiles as it runs is compiled, on the same core. */
const WARMUP_SECONDS = 6;
const TURN_SECONDS = 1;

export interface ReadCase {
  readonly name: string;
  readonly path: string;
  readonly references: readonly Reference[];
  /** Asks for what it already has: every answer is a 304. */
  readonly isConditional?: boolean;
}

export const READ_CASES: readonly ReadCase[] = [
  { name: 'head 200', path: HEAD, references: ['nginx', BARE, 'raw socket'] },
  { name: 'head 304', path: HEAD, references: ['nginx'], isConditional: true },
  { name: 'version of 4 KB', path: '/registry/1', references: ['nginx', BARE] },
  { name: 'version of 64 KB', path: '/registry/2', references: ['nginx', BARE] },
];

export interface ReadsPlan extends RegistryProcessOptions {
  readonly profile: Profile;
  readonly cases: readonly ReadCase[];
  /** Turns of each case beside the bare server in a round; none: nothing is judged. */
  readonly besideTurns: number;
}

interface Measured extends Turn {
  /** Microseconds of processor a request. */
  readonly cpuUs: number;
}

type Target = 'ours' | Reference;

export async function openReads(plan: ReadsPlan): Promise<Bench> {
  const stack = new AsyncDisposableStack();
  try {
    const ours = stack.use(await startRegistry(plan.profile, plan));
    // Versions 1 and 2.
    using poster = new Poster(ours.url, 4);
    await writeEntry(poster, entryOf(ours, { id: 'four', bytes: 4_096 }));
    await writeEntry(poster, entryOf(ours, { id: 'sixty-four', bytes: 65_536 }));
    const wanted = new Set([BARE, ...plan.cases.flatMap(({ references }) => references)] as const);
    // The head first: the raw socket knows no other.
    const paths = new Set([HEAD, ...plan.cases.map(({ path }) => path)]);
    const references = await startReferences(wanted, { url: ours.url, paths }, stack);
    const bare = references.get(BARE);
    if (bare === undefined) throw new Error(`expected ${BARE} to start, it did not`);
    const bench = new Reads(plan, { ours, bare, references });
    await bench.warmUp();
    return {
      pids: [ours, ...references.values()].map(({ pid }) => pid),
      round: () => bench.round(),
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

interface Servers {
  readonly ours: ChildServer;
  readonly bare: ChildServer;
  readonly references: ReadonlyMap<Reference, ChildServer>;
}

class Reads {
  readonly #plan: ReadsPlan;
  readonly #servers: Servers;
  #rounds = 0;

  constructor(plan: ReadsPlan, servers: Servers) {
    this.#plan = plan;
    this.#servers = servers;
  }

  async warmUp(): Promise<void> {
    const { ours, bare, references } = this.#servers;
    const [first, ...rest] = this.#plan.cases;
    if (first === undefined) throw new Error('expected cases of reads, got none');
    await Promise.all([ours, bare].map((server) => turn(server, first, WARMUP_SECONDS)));
    for (const one of rest) await turn(ours, one);
    const raw = references.get('raw socket');
    if (raw !== undefined) await turn(raw, first);
  }

  async round(): Promise<readonly Sample[]> {
    const samples: Sample[] = [];
    // Every other round in the other order: nobody is always the one after the rest.
    const isReversed = this.#rounds++ % 2 === 1;
    for (const one of this.#plan.cases) {
      samples.push(...(await this.#alone(one, isReversed)));
      samples.push(...(await this.#beside(one)));
    }
    return samples;
  }

  async #alone(one: ReadCase, isReversed: boolean): Promise<readonly Sample[]> {
    if (one.references.length === 0) return [];
    const targets: Target[] = ['ours', ...one.references];
    const measured = new Map<Target, Measured>();
    for (const target of isReversed ? targets.toReversed() : targets) {
      const { ours, references } = this.#servers;
      const server = target === 'ours' ? ours : references.get(target);
      if (server !== undefined) measured.set(target, await turn(server, one));
    }
    return samplesOf(one, measured);
  }

  async #beside(one: ReadCase): Promise<readonly Sample[]> {
    const { ours, bare } = this.#servers;
    const samples: Sample[] = [];
    for (let i = 0; i < this.#plan.besideTurns; i++) {
      const [our, their] = await Promise.all([turn(ours, one), turn(bare, one)]);
      samples.push({
        name: `${one.name}: processor time, beside ${BARE}`,
        kind: 'time',
        unit: 'us/request',
        reference: BARE,
        ours: our.cpuUs,
        theirs: their.cpuUs,
        isGated: true,
        isAtFullSpeed: true,
      });
    }
    return samples;
  }
}

async function turn(server: ChildServer, one: ReadCase, seconds = TURN_SECONDS): Promise<Measured> {
  const url = server.url + one.path;
  const headers: Record<string, string> = {};
  if (one.isConditional === true)
    headers['if-none-match'] = (await fetch(url)).headers.get('etag') ?? '';
  const before = cpuUs(server.pid);
  const seen = await runLoad(url, { connections: CONNECTIONS, seconds, headers });
  return { ...seen, cpuUs: (cpuUs(server.pid) - before) / seen.requests };
}

function samplesOf(one: ReadCase, measured: ReadonlyMap<Target, Measured>): readonly Sample[] {
  const ours = measured.get('ours');
  if (ours === undefined) throw new Error('expected the registry to be measured, it was not');
  return one.references.flatMap((reference) => {
    const theirs = measured.get(reference);
    if (theirs === undefined) return [];
    const sample = (
      [what, kind, unit]: readonly [string, Kind, string],
      figure: (of: Measured) => number,
    ): Sample => ({
      name: `${one.name}: ${what}, of ${reference}`,
      kind,
      unit,
      reference,
      ours: figure(ours),
      theirs: figure(theirs),
    });
    return [
      sample(['throughput', 'throughput', 'requests/s'], ({ perSecond }) => perSecond),
      sample(['p99', 'latency', 'us'], ({ latencyUs }) => latencyUs['99']),
      sample(['processor time', 'time', 'us/request'], ({ cpuUs }) => cpuUs),
    ];
  });
}
