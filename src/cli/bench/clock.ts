/** The clock that work is paced by: finer than a timer's millisecond, and what this thread itself was busy with. */
import { performance } from 'node:perf_hooks';

export interface BenchClock {
  /** Milliseconds, with fractions, of a clock that never goes back. */
  now(): number;
  /** The same instant in milliseconds since 1970. */
  wallTime(): number;
  /** Calls back when everything else that waits now has had its turn. */
  nextTurn(callback: () => void): void;
  /** Calls back about so many milliseconds later. Answers what cancels it. */
  after(ms: number, callback: () => void): () => void;
  /** Answers what tells which share of the time since, 0 to 1, this thread was not waiting. */
  busySince(): () => number;
}

/** Node calls a longer one back at once. It is 24 days. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export function createBenchClock(): BenchClock {
  return {
    now: () => performance.now(),
    wallTime: () => performance.timeOrigin + performance.now(),
    nextTurn: (callback) => void setImmediate(callback),
    after: (ms, callback) => {
      const timer = setTimeout(callback, Math.min(ms, MAX_TIMER_MS));
      return () => clearTimeout(timer);
    },
    busySince: () => {
      const before = performance.eventLoopUtilization();
      return () => performance.eventLoopUtilization(before).utilization;
    },
  };
}
