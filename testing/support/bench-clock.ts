/** The clock of a benchmark, driven: events happen in order, and time passes only between and by them. */
import assert from 'node:assert/strict';
import type { BenchClock } from '../../src/cli/bench/clock.ts';

interface Happening {
  readonly at: number;
  readonly call: () => void;
  isCancelled: boolean;
}

/** How long a turn of the event loop takes when nothing happens in it. */
const TURN_MS = 0.05;

export class DrivenBenchClock implements BenchClock {
  #now = 1000;
  /** Ascending. */
  readonly #happenings: Happening[] = [];
  /** What the thread says of itself. */
  busyShare = 0;

  now(): number {
    return this.#now;
  }

  wallTime(): number {
    return this.#now;
  }

  nextTurn(callback: () => void): void {
    this.at(this.#now + TURN_MS, callback);
  }

  /** As Node's: whole milliseconds, never early and mostly late. */
  after(ms: number, callback: () => void): () => void {
    return this.at(this.#now + Math.ceil(ms) + 0.9, callback);
  }

  busySince(): () => number {
    return () => this.busyShare;
  }

  /** Answers what cancels it. */
  at(at: number, call: () => void): () => void {
    const happening = { at, call, isCancelled: false };
    const place = this.#happenings.findLastIndex((other) => other.at <= at) + 1;
    this.#happenings.splice(place, 0, happening);
    return () => {
      happening.isCancelled = true;
    };
  }

  /** The thread is busy: what should have happened meanwhile happens after. */
  block(ms: number): void {
    this.#now += ms;
  }

  /** Lets things happen until `running` is settled. */
  async drive<T>(running: Promise<T>): Promise<T> {
    let isSettled = false;
    const settle = () => {
      isSettled = true;
    };
    running.then(settle, settle);
    for (let turns = 0; !isSettled; turns++) {
      // What is awaited goes on between two happenings, not at each: there are millions.
      if (turns % 64 === 0 || this.#happenings.length === 0) await Promise.resolve();
      if (isSettled) break;
      const next = this.#happenings.shift();
      if (next === undefined) {
        await new Promise((resolve) => setImmediate(resolve));
        assert.ok(isSettled || this.#happenings.length > 0, 'waiting for nothing');
      } else if (!next.isCancelled) {
        this.#now = Math.max(this.#now, next.at);
        next.call();
      }
    }
    return running;
  }
}
