/** Streams under load: opened, then watched while versions come, and waited for when no more will. */
import { abortable } from '../../client/clock.ts';
import { Arrivals } from './arrivals.ts';
import type { BenchClock } from './clock.ts';
import type { Latency } from './histogram.ts';
import { rounded } from './load.ts';
import { FULL_SHARE } from './pace.ts';
import type { Failures } from './result.ts';
import { Subscribers } from './subscribers.ts';
import type { WriteResult } from './write-load.ts';

export interface WatchOptions {
  readonly url: string;
  readonly clock: BenchClock;
  readonly subscribers: number;
  /** Ends when so many versions reached all, if not with the time. */
  readonly events: number | undefined;
  readonly durationMs: number;
  readonly signal: AbortSignal;
  /** Commits as many as there shall be; `undefined`: others do. */
  readonly write: (() => Promise<WriteResult>) | undefined;
  readonly onOpened: (done: number, total: number) => void;
}

export interface WatchResult extends Failures {
  readonly subscribers: number;
  readonly opened_ms: number;
  /** Versions while it was watched, and how many of them reached every subscriber. */
  readonly events: number;
  readonly complete: number;
  readonly missed: number;
  readonly doubled: number;
  /** Came before the time the registry gives the commit: the clocks differ, and no time from it means anything. */
  readonly early: number;
  /** From `committed_at`, by the registry's clock, to each subscriber, and to the last. */
  readonly arrival_us: Latency | null;
  readonly last_us: Latency | null;
  /** From the first subscriber to the last. */
  readonly spread_us: Latency | null;
  readonly busy_share: number;
  readonly is_generator_limited: boolean;
}

/** How long an event may take to the last subscriber once no more is committed. */
const GRACE_MS = 5_000;

export interface WatchLoads {
  readonly watch: WatchResult;
  readonly put?: WriteResult;
}

export async function runWatch(options: WatchOptions): Promise<WatchLoads> {
  const { clock, url, subscribers: count, signal } = options;
  const arrivals = new Arrivals(count);
  const changes = new Changes(clock);
  const onChange = () => changes.tell();
  using subscribers = new Subscribers({ url, count, clock, arrivals, onChange });
  const began = clock.now();
  await abortable(subscribers.open(options.onOpened), signal);
  const openedMs = clock.now() - began;
  arrivals.begin();
  const busySince = clock.busySince();
  const put = await whileWatched(options, { arrivals, changes });
  if (put !== undefined) arrivals.expect(put.requests - put.failed);
  await changes.until(() => arrivals.isSettled, { ms: GRACE_MS, signal });
  const watch = resultOf({ arrivals, subscribers, count, openedMs, busyShare: busySince() });
  return put === undefined ? { watch } : { watch, put };
}

/** Until enough versions reached everybody, the time is over, or whoever commits has done so. */
async function whileWatched(
  { events = Number.POSITIVE_INFINITY, durationMs: ms, signal, write }: WatchOptions,
  { arrivals, changes }: { readonly arrivals: Arrivals; readonly changes: Changes },
): Promise<WriteResult | undefined> {
  const written = new AbortController();
  const writing = write?.().finally(() => written.abort());
  const until = AbortSignal.any([signal, written.signal]);
  await changes.until(() => arrivals.complete >= events, { ms, signal: until });
  return writing;
}

/** Wakes one who waits for something to hold, when anything changed. */
class Changes {
  readonly #clock: BenchClock;
  #onChange = () => {};

  constructor(clock: BenchClock) {
    this.#clock = clock;
  }

  tell(): void {
    this.#onChange();
  }

  /** Also resolves after `ms`, and when `signal` aborts. */
  async until(
    holds: () => boolean,
    { ms, signal }: { readonly ms: number; readonly signal: AbortSignal },
  ): Promise<void> {
    if (signal.aborted || holds()) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#clock.after(ms, resolve);
    signal.addEventListener('abort', () => resolve(), { once: true });
    this.#onChange = () => {
      if (holds()) resolve();
    };
    await promise;
    this.#onChange = () => {};
    cancel();
  }
}

function resultOf({
  arrivals,
  subscribers,
  count,
  openedMs,
  busyShare,
}: {
  readonly arrivals: Arrivals;
  readonly subscribers: Subscribers;
  readonly count: number;
  readonly openedMs: number;
  readonly busyShare: number;
}): WatchResult {
  const { events, complete, missed, doubled, early } = arrivals;
  const faults = { ...subscribers.errors.byKind, missed, doubled };
  return {
    subscribers: count,
    opened_ms: Math.round(openedMs),
    events,
    complete,
    missed,
    doubled,
    early,
    requests: events * count,
    failed: missed + doubled + subscribers.errors.total,
    errors: Object.fromEntries(Object.entries(faults).filter(([, number]) => number > 0)),
    arrival_us: arrivals.arrival.latency,
    last_us: arrivals.last.latency,
    spread_us: arrivals.spread.latency,
    busy_share: rounded(busyShare),
    is_generator_limited: busyShare > FULL_SHARE,
  };
}
