/** The client's clock in a test: time passes when the test says so, and a delay of nothing at once. */
import type { Clock } from '../../src/client/clock.ts';

interface Timer {
  readonly at: number;
  readonly delayMs: number;
  readonly call: () => void;
}

export class DrivenClock implements Clock {
  /** What `random` answers; 0 makes every backoff immediate. */
  chance = 0;
  #now: number;
  readonly #timers = new Set<Timer>();
  readonly #watchers = new Set<() => void>();

  constructor(now: number = Date.parse('2026-11-21T09:00:00.000Z')) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  random(): number {
    return this.chance;
  }

  after(delayMs: number, call: () => void): () => void {
    if (delayMs <= 0) {
      const immediate = setImmediate(call);
      return () => clearImmediate(immediate);
    }
    const timer = { at: this.#now + delayMs, delayMs, call };
    this.#timers.add(timer);
    for (const watch of this.#watchers) watch();
    return () => this.#timers.delete(timer);
  }

  /** Delays of the timers that run, shortest first. */
  get pending(): readonly number[] {
    return [...this.#timers].map((timer) => timer.delayMs).sort((a, b) => a - b);
  }

  /** Resolves once a timer of this delay runs. */
  async running(delayMs: number): Promise<void> {
    if (this.pending.includes(delayMs)) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const watch = () => {
      if (this.pending.includes(delayMs)) resolve();
    };
    this.#watchers.add(watch);
    await promise;
    this.#watchers.delete(watch);
  }

  /** Runs what falls due, in order. */
  advance(ms: number): void {
    this.#now += ms;
    const due = [...this.#timers]
      .filter((timer) => timer.at <= this.#now)
      .sort((a, b) => a.at - b.at);
    for (const timer of due) {
      this.#timers.delete(timer);
      timer.call();
    }
  }
}
