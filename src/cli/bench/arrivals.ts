/** When each version reached each subscriber, and which reached one not at all or twice. Reads no socket. */
import { LatencyRecorder } from './histogram.ts';

/** A version on its way to the subscribers. */
interface Version {
  readonly firstAt: number;
  /** Milliseconds since 1970, by the registry's clock. */
  readonly committedAt: number;
  reached: number;
}

export class Arrivals {
  readonly #subscribers: number;
  readonly #last: (number | undefined)[];
  readonly #versions = new Map<number, Version>();
  readonly #ended = new Set<number>();
  /** Subscribers before this one are settled. */
  #settled = 0;
  #from = Number.MAX_SAFE_INTEGER;
  #newest = Number.MAX_SAFE_INTEGER;
  /** Of every version at every subscriber. */
  readonly arrival = new LatencyRecorder();
  /** Of every version at the last subscriber that it reached. */
  readonly last = new LatencyRecorder();
  /** From the first subscriber to the last. */
  readonly spread = new LatencyRecorder();
  /** Versions that reached all. */
  complete = 0;
  doubled = 0;
  /** Arrivals before the registry's own time of the commit: its clock and this one differ. */
  early = 0;
  #skipped = 0;

  constructor(subscribers: number) {
    this.#subscribers = subscribers;
    this.#last = new Array(subscribers).fill(undefined);
  }

  /** From here on versions count: those after what any subscriber has seen. */
  begin(): void {
    this.#from = Math.max(...this.#last.map((version) => version ?? 0));
    this.#newest = this.#from;
  }

  /** So many versions came after `begin`, whether or not any subscriber has seen them. */
  expect(count: number): void {
    this.#raise(this.#from + count);
  }

  /** Versions since `begin`. */
  get events(): number {
    return this.#newest - this.#from;
  }

  /** Whether every subscriber that still listens has seen the newest. */
  get isSettled(): boolean {
    // Goes on where it stopped: asked at every arrival, it must not look at all of them each time.
    while (this.#settled < this.#subscribers && this.#isThrough(this.#settled)) this.#settled++;
    return this.#settled === this.#subscribers;
  }

  /** Versions that a subscriber has not seen, added up. */
  get missed(): number {
    const behind = this.#last.map((version) => Math.max(0, this.#newest - (version ?? 0)));
    return this.#skipped + behind.reduce((sum, count) => sum + count, 0);
  }

  /** `at`: milliseconds since 1970, by this clock. `committedAt` is asked once for each version. */
  add(
    subscriber: number,
    {
      version,
      at,
      committedAt,
    }: { readonly version: number; readonly at: number; readonly committedAt: () => number },
  ): void {
    const before = this.#last[subscriber];
    if (before !== undefined && version <= before) {
      this.doubled++;
      return;
    }
    if (before !== undefined) this.#skipped += version - before - 1;
    this.#last[subscriber] = version;
    if (version <= this.#from) return;
    this.#raise(version);
    this.#arrive(version, at, committedAt);
  }

  /** Its stream is over: nothing more will come. */
  end(subscriber: number): void {
    this.#ended.add(subscriber);
  }

  #isThrough(subscriber: number): boolean {
    return this.#ended.has(subscriber) || (this.#last[subscriber] ?? -1) >= this.#newest;
  }

  #raise(newest: number): void {
    if (newest <= this.#newest) return;
    this.#newest = newest;
    this.#settled = 0;
  }

  #arrive(version: number, at: number, committedAt: () => number): void {
    const known = this.#versions.get(version);
    const entry = known ?? { firstAt: at, committedAt: committedAt(), reached: 0 };
    if (known === undefined) this.#versions.set(version, entry);
    entry.reached++;
    if (at < entry.committedAt) this.early++;
    this.arrival.record(at - entry.committedAt);
    if (entry.reached < this.#subscribers) return;
    this.complete++;
    this.last.record(at - entry.committedAt);
    this.spread.record(at - entry.firstAt);
    this.#versions.delete(version);
  }
}
