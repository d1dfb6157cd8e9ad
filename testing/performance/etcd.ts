/**
 * The registry beside etcd, which keeps and orders but knows no signers: a durable put beside a commit, and a
 * linearizable get beside a read of the head, through its JSON gateway and by the same clients.
 */
import type { Bench } from './bench.ts';
import type { ChildServer } from './child.ts';
import { type Entry, entryOf, inFlight, postEntry } from './entries.ts';
import {
  isEtcdInstalled,
  PUT_PATH,
  putBody,
  RANGE_PATH,
  rangeBody,
  startEtcd,
} from './etcd-process.ts';
import type { Sample } from './figure.ts';
import { runLoad } from './load.ts';
import { Poster, usOf } from './poster.ts';
import { type RegistryProcess, startRegistry } from './registry-process.ts';
import { quantile } from './statistics.ts';

const ENTRY_BYTES = 4_096;
const AT_ONCE = 64;
const POSTS_AT_ONCE = 16;
const WARMUP_WRITES = 100;
const VALUE = new Uint8Array(ENTRY_BYTES).fill(120);
const HEAD = '/registry/head';
/** Holds as many bytes as a head. */
const HEAD_KEY = 'head';

export interface EtcdPlan {
  /** In a round: writes one at a time, writes in flight, seconds of reads of each. */
  readonly alone: number;
  readonly together: number;
  readonly seconds: number;
}

/** Throws where there is no etcd: `isEtcdInstalled`. */
export async function openEtcd(plan: EtcdPlan): Promise<Bench> {
  if (!isEtcdInstalled())
    throw new Error('expected etcd, found none: install it (Debian: apt-get install etcd-server)');
  const stack = new AsyncDisposableStack();
  try {
    const ours = stack.use(await startRegistry('macronode'));
    const etcd = stack.use(await startEtcd());
    const beside = new BesideEtcd(plan, { ours, etcd, stack });
    // Programs that compile as they run are slower at first.
    await beside.warmUp();
    return {
      pids: [ours.pid, etcd.pid],
      round: () => beside.round(),
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

class BesideEtcd {
  readonly #plan: EtcdPlan;
  readonly #ours: RegistryProcess;
  readonly #etcd: ChildServer;
  readonly #toOurs: Poster;
  readonly #toEtcd: Poster;
  #made = 0;
  #rounds = 0;

  constructor(
    plan: EtcdPlan,
    {
      ours,
      etcd,
      stack,
    }: { ours: RegistryProcess; etcd: ChildServer; stack: AsyncDisposableStack },
  ) {
    this.#plan = plan;
    this.#ours = ours;
    this.#etcd = etcd;
    this.#toOurs = stack.use(new Poster(ours.url, AT_ONCE));
    this.#toEtcd = stack.use(new Poster(etcd.url, AT_ONCE));
  }

  async warmUp(): Promise<void> {
    const bytes = await fetch(this.#ours.url + HEAD).then((response) => response.bytes());
    await this.#toEtcd.post(PUT_PATH, putBody(HEAD_KEY, bytes));
    await this.#alone(WARMUP_WRITES);
    await this.#together(WARMUP_WRITES);
    await this.#reads(1);
  }

  async round(): Promise<readonly Sample[]> {
    const { alone, together, seconds } = this.#plan;
    this.#rounds++;
    return [await this.#alone(alone), await this.#together(together), await this.#reads(seconds)];
  }

  /** With their quorum, and puts of as many bytes under keys as new. */
  async #ready(
    count: number,
  ): Promise<{ readonly commits: readonly Entry[]; readonly puts: readonly Uint8Array[] }> {
    const ids = Array.from({ length: count }, () => `entry-${this.#made++}`);
    const commits = ids.map((id) => entryOf(this.#ours, { id, bytes: ENTRY_BYTES }));
    await inFlight(commits, POSTS_AT_ONCE, (entry) => postEntry(this.#toOurs, entry));
    return { commits, puts: ids.map((id) => putBody(id, VALUE)) };
  }

  /** In turns, so that a slow moment of the disk hits both. */
  async #alone(count: number): Promise<Sample> {
    const { commits, puts } = await this.#ready(count);
    const [ours, theirs]: [number[], number[]] = [[], []];
    for (const [i, { commitPath }] of commits.entries()) {
      ours.push(await usOf(() => this.#toOurs.post(commitPath)));
      theirs.push(await usOf(() => this.#toEtcd.post(PUT_PATH, puts[i])));
    }
    return {
      name: 'etcd: put of 4 KB beside a commit 3 of 5',
      kind: 'latency',
      unit: 'us',
      reference: 'etcd, one put at a time',
      ours: quantile(ours, 0.5),
      theirs: quantile(theirs, 0.5),
    };
  }

  async #together(count: number): Promise<Sample> {
    const { commits, puts } = await this.#ready(count);
    const [ours, theirs] = await this.#inTurns(
      () => rateOf(commits, ({ commitPath }) => this.#toOurs.post(commitPath)),
      () => rateOf(puts, (body) => this.#toEtcd.post(PUT_PATH, body)),
    );
    return {
      name: `etcd: ${AT_ONCE} puts in flight`,
      kind: 'throughput',
      unit: 'commits/s',
      reference: `etcd, ${AT_ONCE} puts in flight`,
      ours,
      theirs,
    };
  }

  async #reads(seconds: number): Promise<Sample> {
    const plan = { connections: AT_ONCE, seconds };
    const body = new TextDecoder().decode(rangeBody(HEAD_KEY));
    const [ours, theirs] = await this.#inTurns(
      () => runLoad(this.#ours.url + HEAD, plan),
      () => runLoad(this.#etcd.url + RANGE_PATH, { ...plan, body }),
    );
    return {
      name: 'etcd: get beside head',
      kind: 'throughput',
      unit: 'requests/s',
      reference: 'etcd, linearizable get',
      ours: ours.perSecond,
      theirs: theirs.perSecond,
    };
  }

  /** Every other round in the other order. */
  async #inTurns<T>(
    ours: () => Promise<T>,
    theirs: () => Promise<T>,
  ): Promise<readonly [ours: T, theirs: T]> {
    if (this.#rounds % 2 === 0) return [await ours(), await theirs()];
    const second = await theirs();
    return [await ours(), second];
  }
}

/** A second, with `AT_ONCE` of them in flight. */
async function rateOf<T>(items: readonly T[], run: (item: T) => Promise<void>): Promise<number> {
  const began = performance.now();
  await inFlight(items, AT_ONCE, run);
  return (items.length * 1_000) / (performance.now() - began);
}
