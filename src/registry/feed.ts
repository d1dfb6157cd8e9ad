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

export interface FeedOptions {
  readonly head: () => PublishedHead | undefined;
  readonly checkpoint: () => PublishedCheckpoint | undefined;
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
  #durableMs = 0;
  #isClosing = false;

  constructor(options: FeedOptions) {
    this.#options = options;
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
    for (const cursor of this.#cursors) cursor.wake();
  }

  /** The checkpoint has new cosigners: those who wait hear it now, not with the next heartbeat. */
  announceProgress(): void {
    for (const cursor of this.#cursors) cursor.wake(true);
  }

  subscribe(options: { after?: number; mode: 'all' | 'latest'; consumer: string }): Subscription {
    const cursor = new Cursor({
      ...options,
      feed: this.#options,
      ring: this.#ring,
      onLive: () => this.#observePropagation(),
      onEnd: () => this.#forget(cursor),
    });
    this.#cursors.add(cursor);
    this.#options.metrics.subscribers(this.#cursors.size);
    if (this.#isClosing) cursor.end('closing');
    return cursor;
  }

  /** Ends every subscription, now and to come. */
  close(): void {
    this.#isClosing = true;
    for (const cursor of this.#cursors) cursor.end('closing');
  }

  /** Reading back and signing are part of it, the way through the kernel and the network is not. */
  #observePropagation(): void {
    const { metrics, monotonicMs } = this.#options;
    metrics.propagated((monotonicMs() - this.#durableMs) / 1000);
  }

  #forget(cursor: Cursor): void {
    this.#cursors.delete(cursor);
    this.#options.metrics.subscribers(this.#cursors.size);
  }
}

interface CursorOptions {
  readonly after?: number;
  readonly mode: 'all' | 'latest';
  readonly consumer: string;
  readonly feed: FeedOptions;
  readonly ring: ReadonlyMap<number, PublishedHead>;
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
  #wake: ((isTimeUp: boolean) => void) | undefined;
  #ended: EndReason | undefined;
  #isEndTold = false;
  #isProgressDue = false;

  constructor(options: CursorOptions) {
    this.#options = options;
    this.#version = options.after;
    const { now, random, limits } = options.feed;
    this.#expiresAt = now() + limits.maxStreamAgeMs * (0.8 + 0.4 * random());
  }

  async next(): Promise<FeedEvent> {
    let isLive = false;
    for (;;) {
      if (this.#ended !== undefined) return this.#endEvent(this.#ended);
      const head = this.#options.feed.head();
      if (head !== undefined && this.#version !== head.version) {
        const event = await this.#advance(head);
        if (isLive && event.type === 'update') this.#options.onLive();
        return event;
      }
      if (this.#isProgressDue && head !== undefined) return this.#progress();
      if (this.#options.feed.now() >= this.#expiresAt) this.end('age');
      else if (await this.#waitForWake()) return this.#progress();
      else isLive = true;
    }
  }

  close(): void {
    this.end('closing');
    this.#isEndTold = true;
  }

  wake(isProgress = false): void {
    this.#isProgressDue ||= isProgress;
    this.#wake?.(isProgress);
  }

  end(reason: EndReason): void {
    if (this.#ended !== undefined) return;
    this.#ended = reason;
    this.#options.onEnd();
    this.wake();
  }

  async #advance(head: PublishedHead): Promise<FeedEvent> {
    if (this.#version === undefined) return this.#update(head);
    if (this.#version > head.version) return this.#reset(head);
    const next = this.#version + 1;
    if (this.#options.mode === 'latest' && next < head.version) {
      this.#options.feed.metrics.lagged(this.#options.consumer, head.version - next);
      return this.#update(head);
    }
    return this.#update(this.#options.ring.get(next) ?? (await this.#read(next)));
  }

  /** Throws rather than skip a version: the reader reconnects and asks again. */
  async #read(version: number): Promise<PublishedHead> {
    if (this.#replayed[0]?.version !== version)
      this.#replayed = [
        ...(await this.#options.feed.replay({ from: version, limit: REPLAY_PAGE })),
      ];
    const entry = this.#replayed.shift();
    if (entry?.version !== version)
      throw damaged(`expected version ${version} in the log, got ${entry?.version ?? 'nothing'}`);
    return entry;
  }

  /** Resolves `true` when only the heartbeat is due. */
  #waitForWake(): Promise<boolean> {
    const { timers, limits } = this.#options.feed;
    return new Promise((resolve) => {
      const timer = timers.setTimeout(() => this.#wake?.(true), limits.heartbeatMs);
      this.#wake = (isTimeUp) => {
        timers.clearTimeout(timer);
        this.#wake = undefined;
        resolve(isTimeUp);
      };
    });
  }

  #update(entry: PublishedHead): FeedEvent {
    this.#version = entry.version;
    return { type: 'update', version: entry.version, frame: entry.frame };
  }

  /** The cursor is not in this log: the reader is told, and goes on from the head. */
  #reset(head: PublishedHead): FeedEvent {
    this.#version = head.version;
    const data = { oldest: 0, head: head.version };
    return {
      type: 'reset',
      frame: encodeFrame({ event: 'registry.reset', id: head.version, data }),
    };
  }

  #progress(): FeedEvent {
    this.#isProgressDue = false;
    const { head, checkpoint } = this.#options.feed;
    const data = { checkpoint: checkpoint()?.note ?? null, version: head()?.version ?? null };
    return { type: 'progress', frame: encodeFrame({ event: 'registry.progress', data }) };
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
