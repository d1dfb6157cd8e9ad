/**
 * Reads over HTTP, as fast as they are answered: the registry in turns with nginx, bare node:http and a raw
 * socket, all with the same bytes and headers. Beside requests a second it takes the processor time that
 * each request cost the server, which neighbours on the machine disturb least.
 */
import type { Bench } from './bench.ts';
import type { ChildServer } from './child.ts';
import { entryOf, writeEntry } from './entries.ts';
import type { Profile, Sample } from './figure.ts';
import { runLoad } from './load.ts';
import { cpuUs } from './machine.ts';
import { Poster } from './poster.ts';
import { type Reference, startReferences } from './references.ts';
import { type RegistryProcessOptions, startRegistry } from './registry-process.ts';
import type { Turn } from './wrk.ts';

export const CONNECTIONS = 64;
const HEAD = '/registry/head';

export interface ReadCase {
  readonly name: string;
  readonly path: string;
  readonly references: readonly Reference[];
  /** Asks for what it already has: every answer is a 304. */
  readonly isConditional?: boolean;
  /** Names the reference by whose figures the gate judges. */
  readonly gatedBy?: Reference;
}

export const READ_CASES: readonly ReadCase[] = [
  {
    name: 'head 200',
    path: HEAD,
    references: ['nginx', 'bare node:http', 'raw socket'],
    gatedBy: 'nginx',
  },
  { name: 'head 304', path: HEAD, references: ['nginx'], isConditional: true, gatedBy: 'nginx' },
  {
    name: 'version of 4 KB',
    path: '/registry/1',
    references: ['nginx', 'bare node:http'],
    gatedBy: 'nginx',
  },
  {
    name: 'version of 64 KB',
    path: '/registry/2',
    references: ['nginx', 'bare node:http'],
    gatedBy: 'nginx',
  },
];

export interface ReadsPlan extends RegistryProcessOptions {
  readonly profile: Profile;
  readonly cases: readonly ReadCase[];
  readonly secondsPerTurn: number;
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
    const servers = new Map<Target, ChildServer>([['ours', ours]]);
    const wanted = new Set(plan.cases.flatMap(({ references }) => references));
    // The head first: the raw socket knows no other.
    const paths = new Set([HEAD, ...plan.cases.map(({ path }) => path)]);
    const references = await startReferences(wanted, { url: ours.url, paths }, stack);
    for (const [name, server] of references) servers.set(name, server);
    const bench = new Reads(plan, servers);
    await bench.warmUp();
    return {
      pids: [...servers.values()].map(({ pid }) => pid),
      round: () => bench.round(),
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

class Reads {
  readonly #plan: ReadsPlan;
  readonly #servers: ReadonlyMap<Target, ChildServer>;
  #rounds = 0;

  constructor(plan: ReadsPlan, servers: ReadonlyMap<Target, ChildServer>) {
    this.#plan = plan;
    this.#servers = servers;
  }

  /** Programs that compile as they run are slower at first: ours in each of its paths, a bare one in its only one. */
  async warmUp(): Promise<void> {
    const [first] = this.#plan.cases;
    for (const [target, server] of this.#servers)
      for (const one of this.#plan.cases)
        if (target === 'ours' || (target !== 'nginx' && one === first)) await turn(server, one, 1);
  }

  async round(): Promise<readonly Sample[]> {
    const samples: Sample[] = [];
    // Every other round in the other order: nobody is always the one after the rest.
    const isReversed = this.#rounds++ % 2 === 1;
    for (const one of this.#plan.cases) {
      const targets: Target[] = ['ours', ...one.references];
      const measured = new Map<Target, Measured>();
      for (const target of isReversed ? targets.toReversed() : targets) {
        const server = this.#servers.get(target);
        if (server !== undefined)
          measured.set(target, await turn(server, one, this.#plan.secondsPerTurn));
      }
      samples.push(...samplesOf(one, measured));
    }
    return samples;
  }
}

async function turn(server: ChildServer, one: ReadCase, seconds: number): Promise<Measured> {
  const url = server.url + one.path;
  const headers: Record<string, string> = {};
  if (one.isConditional === true)
    headers['if-none-match'] = (await fetch(url)).headers.get('etag') ?? '';
  const before = cpuUs(server.pid);
  const seen = await runLoad(url, { connections: CONNECTIONS, seconds, headers });
  return { ...seen, cpuUs: (cpuUs(server.pid) - before) / seen.requests };
}

function samplesOf(one: ReadCase, measured: ReadonlyMap<Target, Measured>): Sample[] {
  const ours = measured.get('ours');
  if (ours === undefined) throw new Error('expected the registry to be measured, it was not');
  return one.references.flatMap((reference) => {
    const theirs = measured.get(reference);
    if (theirs === undefined) return [];
    const name = (what: string) => `${one.name}: ${what}, of ${reference}`;
    const isGated = one.gatedBy === reference;
    return [
      {
        name: name('throughput'),
        kind: 'throughput',
        unit: 'requests/s',
        reference,
        ours: ours.perSecond,
        theirs: theirs.perSecond,
      },
      {
        name: name('p99'),
        kind: 'latency',
        unit: 'us',
        reference,
        ours: ours.latencyUs['99'],
        theirs: theirs.latencyUs['99'],
      },
      {
        name: name('processor time'),
        kind: 'time',
        unit: 'us/request',
        reference,
        ours: ours.cpuUs,
        theirs: theirs.cpuUs,
        isGated,
      },
    ];
  });
}
