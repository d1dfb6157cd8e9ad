/** A clock and timers that move only when the test says so. */
import type { RegistryTimers } from '../../src/registry/options.ts';

interface Timer {
  readonly at: number;
  readonly run: () => void;
}

export class TestTimers implements RegistryTimers {
  #now: number;
  #count = 0;
  readonly #timers = new Set<Timer>();

  constructor(now: number) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  /** A number that was not given before. */
  count(): number {
    return ++this.#count;
  }

  get pending(): number {
    return this.#timers.size;
  }

  setTimeout(run: () => void, ms: number): Timer {
    const timer = { at: this.#now + ms, run };
    this.#timers.add(timer);
    return timer;
  }

  clearTimeout(timer: unknown): void {
    this.#timers.delete(timer as Timer);
  }

  soon(run: () => void): void {
    setImmediate(run);
  }

  /** Runs what falls due, in order. */
  advance(ms: number): void {
    this.#now += ms;
    const due = [...this.#timers]
      .filter((timer) => timer.at <= this.#now)
      .sort((a, b) => a.at - b.at);
    for (const timer of due) {
      this.#timers.delete(timer);
      timer.run();
    }
  }
}
