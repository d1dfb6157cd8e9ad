/**
 * The stream without HTTP. A subscriber is a cursor that asks for its next event when it can take
 * one: the feed keeps no queue for it, so a slow reader costs one wake-up and never delays a commit.
 */
import type { Metrics } from '../telemetry/metrics.ts';
import type { RegistryLimits, RegistryTimers } from './options.ts';
import { encodeFrame } from './published.ts';
import type {
  Feed,
  FeedEvent,
  PublishedCheckpoint,
  PublishedHead,
  Subscription,
} from './registry.ts';
import { damaged } from './stored.ts';

const REPLAY_PAGE = 64;
/** Some 5 ms of writing. */
const WOKEN_AT_ONCE = 500;

export interface FeedOptions {
  readonly head: () => PublishedHead | undefined;
  readonly checkpoint: () => PublishedCheckpoint | undefined;
  /** The lowest version that is kept whole. */
  readonly oldest: () => number;
  /** Entries from a version on, ascending, at most `limit`. */
  readonly replay: (range: { from: number; limit: number }) => Promise<readonly PublishedHead[]>;
  readonly limits: RegistryLimits;
  readonly metrics: Metrics;
  readonly now: () => number;
  /** Milliseconds of a clock that never goes back. */
  readonly monotonicMs: () => number;
  readonly random: () => number;
  readonly timers: RegistryTimers;
}

type EndReason = Extract<FeedEvent, { type: 'end' }>['reason'];

export class EventFeed implements Feed {
  readonly #options: FeedOptions;
  readonly #ring = new Map<number, PublishedHead>();
  readonly #cursors = new Set<Cursor>();
  readonly #progress: ProgressFrame;
  #heartbeat: unknown;
  #durableMs = 0;
  #isClosing = false;

  constructor(options: FeedOptions) {
    this.#options = options;
    this.#progress = new ProgressFrame(options);
  }

  get subscribers(): number {
    return this.#cursors.size;
  }

  /**
   * After the head is visible: remembers the frames and wakes those who wait. Awaits nobody. `durableMs`:
   * since when the entries are durable.
   */
  announce(entries: readonly PublishedHead[], durableMs: number): void {
    this.#durableMs = durableMs;
    for (const entry of entries) {
      this.#ring.set(entry.version, entry);
      this.#ring.delete(entry.version - this.#options.limits.recentEvents);
    }
    this.#wakeAll(false);
  }

  /** What was announced of a version lately. */
  recent(version: number): PublishedHead | undefined {
    return this.#ring.get(version);
  }

  /** The checkpoint has new cosigners: those who wait hear it now, not with the next heartbeat. */
  announceProgress(): void {
    this.#wakeAll(true);
  }

  subscribe(options: { after?: number; mode: 'all' | 'latest'; consumer: string }): Subscription {
    const cursor = new Cursor({
      ...options,
      feed: this.#options,
      ring: this.#ring,
      progressFrame: () => this.#progress.now(),
      onLive: () => this.#observePropagation(),
      onEnd: () => this.#forget(cursor),
    });
    this.#cursors.add(cursor);
    this.#options.metrics.subscribers(this.#cursors.size);
    if (this.#isClosing) cursor.end('closing');
    else if (this.#cursors.size === 1) this.#rest();
    return cursor;
  }

  /** Ends every subscription, now and to come. */
  close(): void {
    this.#isClosing = true;
    for (const cursor of this.#cursors) cursor.end('closing');
  }

  /** Some at a time: thousands of writes to sockets hold up whoever else is to be answered. */
  #wakeAll(isProgress: boolean): void {
    this.#rest();
    const waking = [...this.#cursors];
    const wakeSome = (from: number): void => {
      for (const cursor of waking.slice(from, from + WOKEN_AT_ONCE)) cursor.wake(isProgress);
      const next = from + WOKEN_AT_ONCE;
      if (next < waking.length) this.#options.timers.soon(() => wakeSome(next));
    };
    this.#options.timers.soon(() => wakeSome(0));
  }

  /** A heartbeat when nothing has been said for so long. One for all: they are as quiet as each other. */
  #rest(): void {
    const { timers, limits } = this.#options;
    timers.clearTimeout(this.#heartbeat);
    this.#heartbeat =
      this.#cursors.size === 0
        ? undefined
        : timers.setTimeout(() => this.#wakeAll(true), limits.heartbeatMs);
  }

  /** Reading back and signing are part of it, the way through the kernel and the network is not. */
  #observePropagation(): void {
    const { metrics, monotonicMs } = this.#options;
    metrics.propagated((monotonicMs() - this.#durableMs) / 1000);
  }

  #forget(cursor: Cursor): void {
    this.#cursors.delete(cursor);
    this.#options.metrics.subscribers(this.#cursors.size);
    if (this.#cursors.size === 0) this.#rest();
  }
}

/** The same for everybody until the head or its checkpoint changes. */
class ProgressFrame {
  readonly #options: Pick<FeedOptions, 'head' | 'checkpoint'>;
  #about: readonly [PublishedHead | undefined, PublishedCheckpoint | undefined] | undefined;
  #frame: Uint8Array = new Uint8Array();

  constructor(options: Pick<FeedOptions, 'head' | 'checkpoint'>) {
    this.#options = options;
  }

  now(): Uint8Array {
    const [head, checkpoint] = [this.#options.head(), this.#options.checkpoint()];
    if (this.#about?.[0] !== head || this.#about?.[1] !== checkpoint || this.#frame.length === 0) {
      this.#about = [head, checkpoint];
      const data = { checkpoint: checkpoint?.note ?? null, version: head?.version ?? null };
      this.#frame = encodeFrame({ event: 'registry.progress', data });
    }
    return this.#frame;
  }
}

interface CursorOptions {
  readonly after?: number;
  readonly mode: 'all' | 'latest';
  readonly consumer: string;
  readonly feed: FeedOptions;
  readonly ring: ReadonlyMap<number, PublishedHead>;
  readonly progressFrame: () => Uint8Array;
  /** A new version is handed to a reader that waited for it; replays are not told. */
  readonly onLive: () => void;
  readonly onEnd: () => void;
}

class Cursor implements Subscription {
  readonly #options: CursorOptions;
  readonly #expiresAt: number;
  /** The version read last; `undefined` until the first event without a cursor. */
  #version: number | undefined;
  #replayed: PublishedHead[] = [];
  /** Of a reader that waits. */
  #onEvent: (() => void) | undefined;
  #hasWaited = false;
  #ended: EndReason | undefined;
  #isEndTold = false;
  #isProgressDue = false;

  constructor(options: CursorOptions) {
    this.#options = options;
    this.#version = options.after;
    const { now, random, limits } = options.feed;
    this.#expiresAt = now() + limits.maxStreamAgeMs * (0.8 + 0.4 * random());
  }

  poll(onEvent: () => void): FeedEvent | Promise<FeedEvent> | undefined {
    if (this.#ended !== undefined) return this.#endEvent(this.#ended);
    const head = this.#options.feed.head();
    if (head !== undefined && this.#version !== head.version) return this.#advance(head);
    if (this.#isProgressDue) return this.#progress();
    if (this.#options.feed.now() >= this.#expiresAt) {
      this.end('age');
      return this.#endEvent('age');
    }
    this.#onEvent = onEvent;
    this.#hasWaited = true;
    return undefined;
  }

  async next(): Promise<FeedEvent> {
    for (;;) {
      const woken = Promise.withResolvers<void>();
      const event = this.poll(woken.resolve);
      if (event !== undefined) return event;
      await woken.promise;
    }
  }

  close(): void {
    this.end('closing');
    this.#isEndTold = true;
  }

  wake(isProgress = false): void {
    this.#isProgressDue ||= isProgress;
    const onEvent = this.#onEvent;
    this.#onEvent = undefined;
    onEvent?.();
  }

  end(reason: EndReason): void {
    if (this.#ended !== undefined) return;
    this.#ended = reason;
    this.#options.onEnd();
    this.wake();
  }

  #advance(head: PublishedHead): FeedEvent | Promise<FeedEvent> {
    if (this.#version === undefined) return this.#update(head);
    const next = this.#version + 1;
    if (this.#version > head.version || next < this.#options.feed.oldest())
      return this.#reset(head);
    if (this.#options.mode === 'latest' && next < head.version) {
      this.#options.feed.metrics.lagged(this.#options.consumer, head.version - next);
      return this.#update(head);
    }
    const known = this.#options.ring.get(next) ?? this.#takeReplayed(next);
    return known === undefined ? this.#read(next) : this.#update(known);
  }

  #takeReplayed(version: number): PublishedHead | undefined {
    return this.#replayed[0]?.version === version ? this.#replayed.shift() : undefined;
  }

  /** Rejects rather than skip a version: the reader reconnects and asks again. */
  async #read(version: number): Promise<FeedEvent> {
    const { replay } = this.#options.feed;
    this.#replayed = [...(await replay({ from: version, limit: REPLAY_PAGE }))];
    const entry = this.#takeReplayed(version);
    if (entry === undefined)
      throw damaged(
        `expected version ${version} in the log, got ${this.#replayed[0]?.version ?? 'nothing'}`,
      );
    return this.#update(entry);
  }

  #update(entry: PublishedHead): FeedEvent {
    this.#version = entry.version;
    if (this.#hasWaited) this.#options.onLive();
    this.#hasWaited = false;
    return { type: 'update', version: entry.version, frame: entry.frame };
  }

  /** The cursor is not in this log, or what follows it is not: the reader is told, and goes on from the head. */
  #reset(head: PublishedHead): FeedEvent {
    this.#version = head.version;
    const data = { oldest: this.#options.feed.oldest(), head: head.version };
    return {
      type: 'reset',
      frame: encodeFrame({ event: 'registry.reset', id: head.version, data }),
    };
  }

  #progress(): FeedEvent {
    this.#isProgressDue = false;
    return { type: 'progress', frame: this.#options.progressFrame() };
  }

  #endEvent(reason: EndReason): FeedEvent {
    if (this.#isEndTold) return { type: 'end', reason, frame: new Uint8Array() };
    this.#isEndTold = true;
    const retryMs = Math.round(500 + 2_000 * this.#options.feed.random());
    return {
      type: 'end',
      reason,
      frame: encodeFrame({ event: 'registry.closing', data: { reason }, retryMs }),
    };
  }
}
