/** What paced work is, and what is told of its pace: the contract of the open and of the closed loop. */
import type { BenchClock } from './clock.ts';

export interface Job {
  /** From 0, the warm-up included. */
  readonly index: number;
  /** From here its latency counts. */
  readonly dueAt: number;
  /** `false` in the warm-up. */
  readonly isCounted: boolean;
}

export interface PaceOptions {
  readonly clock: BenchClock;
  readonly warmupMs: number;
  /** After the warm-up. */
  readonly durationMs: number;
  /** Jobs a second; `undefined`: the closed loop. */
  readonly rate: number | undefined;
  /** Jobs under way at once, at most; in the open loop what is due then waits, and its wait counts. */
  readonly connections: number;
  /** Jobs in all, at most. Default: as many as the time allows. */
  readonly count?: number | undefined;
  /** Ends the run at once. What is under way then is not waited for. */
  readonly signal: AbortSignal;
  /** Begins a job and calls `done` once, in a later turn. */
  readonly begin: (job: Job, done: () => void) => void;
  /** A job that was due in the counted time and not begun before its end, and how long it had waited by then. */
  readonly onUnsent?: (job: Job, waitedMs: number) => void;
}

/** Of the counted part alone. */
export interface Paced {
  readonly elapsedMs: number;
  readonly sent: number;
  /** Due, and not begun: always 0 in the closed loop. */
  readonly unsent: number;
  /** Begun and not done, after an interrupt. */
  readonly unfinished: number;
  /** Begun more than 5 ms after they were due though a place was free: by this program's own fault. */
  readonly late: number;
  /** Which share of the time this thread was busy itself. */
  readonly busyShare: number;
  /** The figures say what this program can do, not what the service can. */
  readonly isGeneratorLimited: boolean;
  readonly isInterrupted: boolean;
}

/** Busier than this, a thread has no time left in which it would have done more. */
export const FULL_SHARE = 0.9;
