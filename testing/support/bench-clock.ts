/** The clock of a benchmark, driven: events happen in order, and time passes only between and by them. */
import assert from 'node:assert/strict';
import type { BenchClock } from '../../src/cli/bench/clock.ts';

interface Happening {
  readonly at: number;
  readonly call: () => void;
  /** Nothing but the end of a turn: there are millions. */
  readonly isTurn: boolean;
  isCancelled: boolean;
}

/** How long a turn of the event loop takes when nothing happens in it. */
const TURN_MS = 0.05;
/** More than any chain of promises here is long. */
const MICROTASKS = 12;

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
    this.#add({ at: this.#now + TURN_MS, call: callback, isTurn: true });
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
    return this.#add({ at, call, isTurn: false });
  }

  #add(given: Omit<Happening, 'isCancelled'>): () => void {
    const happening = { ...given, isCancelled: false };
    const place = this.#happenings.findLastIndex((other) => other.at <= given.at) + 1;
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
    while (!isSettled) {
      const next = this.#happenings.shift();
      if (next === undefined) await new Promise((resolve) => setImmediate(resolve));
      else if (!next.isCancelled) {
        this.#now = Math.max(this.#now, next.at);
        next.call();
      }
      // What awaits it goes on before time does.
      if (next?.isTurn !== true) for (let i = 0; i < MICROTASKS; i++) await Promise.resolve();
      assert.ok(next !== undefined || isSettled || this.#happenings.length > 0, 'nothing happens');
    }
    return running;
  }
}
