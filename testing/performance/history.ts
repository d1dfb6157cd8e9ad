/**
 * What a long history costs: each kind of read, and a commit, at a registry with many entries and descriptors
 * and at one with few, request by request in turns.
 */
import type { Bench } from './bench.ts';
import { entryOf, inFlight, postEntry } from './entries.ts';
import type { Sample } from './figure.ts';
import { type Place, READ_KINDS, type ReadKind } from './history-reads.ts';
import { longLogId } from './long-log.ts';
import {
  type LongRegistry,
  type LongRegistryPlan,
  sizeText,
  startLongRegistry,
} from './long-registry.ts';
import { Poster } from './poster.ts';
import { quantile } from './statistics.ts';

const WARMUP_REQUESTS = 100;
const SLOW_REQUESTS = 5;
const ENTRY_BYTES = 4_096;
const POSTS_AT_ONCE = 8;

type Size = Pick<LongRegistryPlan, 'entries' | 'descriptors'>;

export interface HistoryPlan extends Pick<LongRegistryPlan, 'cache' | 'say'> {
  readonly small: Size;
  readonly large: Size;
  /** Of each kind in a round, at each of the two. */
  readonly requests: number;
}

export async function openHistory(plan: HistoryPlan): Promise<Bench> {
  const stack = new AsyncDisposableStack();
  try {
    const { cache, say = console.error } = plan;
    // One after the other: each is alone while it walks over its log.
    const small = await startLongRegistry({ ...plan.small, cache, say }, stack);
    const large = await startLongRegistry({ ...plan.large, cache, say }, stack);
    const history = new History(plan, { small, large, stack });
    // Programs that compile as they run are slower at first.
    await history.measure(WARMUP_REQUESTS);
    return {
      pids: [small.pid, large.pid],
      round: () => history.measure(plan.requests),
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

class Side {
  readonly server: LongRegistry;
  readonly poster: Poster;
  #committed = 0;

  constructor(server: LongRegistry, stack: AsyncDisposableStack) {
    this.server = server;
    this.poster = stack.use(new Poster(server.url, POSTS_AT_ONCE));
  }

  /** `share`: of the log, from 0 to 1. */
  placeAt(share: number): Place {
    const { entries, descriptors } = this.server;
    // Not the newest: its put is not there yet at the version before it.
    const version = 1 + Math.floor(share * (entries - 1));
    const id = longLogId(version - 1, descriptors);
    return { version, id, head: entries + this.#committed };
  }

  /** Answers the paths of commits that have their quorum. */
  async ready(count: number): Promise<readonly string[]> {
    const entries = Array.from({ length: count }, () =>
      entryOf(this.server, { id: `history-${this.#committed++}`, bytes: ENTRY_BYTES }),
    );
    await inFlight(entries, POSTS_AT_ONCE, (entry) => postEntry(this.poster, entry));
    return entries.map(({ commitPath }) => commitPath);
  }
}

class History {
  readonly #plan: HistoryPlan;
  readonly #small: Side;
  readonly #large: Side;
  /** Shares of a log, as many as the smaller one has entries: a cache knows as much of one as of the other. */
  readonly #shares: readonly number[];
  #asked = 0;

  constructor(
    plan: HistoryPlan,
    {
      small,
      large,
      stack,
    }: { small: LongRegistry; large: LongRegistry; stack: AsyncDisposableStack },
  ) {
    this.#plan = plan;
    this.#small = new Side(small, stack);
    this.#large = new Side(large, stack);
    this.#shares = shuffled(small.entries).map((n) => (n + Math.random()) / small.entries);
  }

  async measure(requests: number): Promise<readonly Sample[]> {
    const samples: Sample[] = [];
    for (const kind of READ_KINDS)
      samples.push(
        await this.#reads(kind, kind.isSlow ? Math.min(requests, SLOW_REQUESTS) : requests),
      );
    this.#asked += requests;
    return [...samples, await this.#commits(requests)];
  }

  async #reads({ name, path }: ReadKind, count: number): Promise<Sample> {
    const from = this.#asked;
    return this.#inTurns(name, count, (side, i) => {
      const share = this.#shares[(from + i) % this.#shares.length] ?? 0;
      return side.poster.get(path(side.placeAt(share)));
    });
  }

  async #commits(count: number): Promise<Sample> {
    const ready = new Map([
      [this.#small, await this.#small.ready(count)],
      [this.#large, await this.#large.ready(count)],
    ]);
    return this.#inTurns('commit', count, (side, i) =>
      side.poster.post(ready.get(side)?.[i] ?? ''),
    );
  }

  /** Whoever comes first in one turn is second in the next. */
  async #inTurns(
    name: string,
    count: number,
    ask: (side: Side, i: number) => Promise<void>,
  ): Promise<Sample> {
    const us = new Map<Side, number[]>([
      [this.#small, []],
      [this.#large, []],
    ]);
    for (let i = 0; i < count; i++)
      for (const side of i % 2 === 0 ? [this.#small, this.#large] : [this.#large, this.#small]) {
        const began = performance.now();
        await ask(side, i);
        us.get(side)?.push((performance.now() - began) * 1_000);
      }
    const { small, large } = this.#plan;
    return {
      name: `at ${sizeText(large.entries)} entries: ${name}`,
      kind: 'latency',
      unit: 'us',
      reference: `the same at ${sizeText(small.entries)}`,
      ours: quantile(us.get(this.#large) ?? [], 0.5),
      theirs: quantile(us.get(this.#small) ?? [], 0.5),
    };
  }
}

/** 0 to `count`, in any order. */
function shuffled(count: number): readonly number[] {
  const order = Array.from({ length: count }, (_, n) => ({ n, at: Math.random() }));
  return order.sort((a, b) => a.at - b.at).map(({ n }) => n);
}
