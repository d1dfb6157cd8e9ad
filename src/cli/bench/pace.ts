/**
 * When work is begun: at fixed times, whatever became of the work before (open loop), or as soon as a
 * place is free (closed loop). Knows nothing of what the work is; its clock is handed in.
 *
 * In the open loop a job's latency counts from when it was due. A service that stalls for a second is so
 * charged with every request that a second would have brought, not with the one that met the stall.
 */
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
  /** Begun more than `LATE_MS` after they were due though a place was free: by this program's own fault. */
  readonly late: number;
  /** Which share of the time this thread was busy itself. */
  readonly busyShare: number;
  /** The figures say what this program can do, not what the service can. */
  readonly isGeneratorLimited: boolean;
  readonly isInterrupted: boolean;
}

export function runPaced(options: PaceOptions): Promise<Paced> {
  return options.rate === undefined
    ? new ClosedLoop(options).run()
    : new OpenLoop(options, options.rate).run();
}

/** How late a job may leave before it counts as late. */
const LATE_MS = 5;
/** What may be late or unsent before the run counts as limited by its generator. */
const TOLERATED_SHARE = 0.01;
/** Busier than this, a thread has no time left in which it would have done more. */
const FULL_SHARE = 0.9;
/** Timers are late by a millisecond or two, so the last few before a job are spent turning. */
const COARSE_MS = 5;
const MARGIN_MS = 3;

/** What both loops count. */
class Tally {
  readonly #options: PaceOptions;
  readonly #end = Promise.withResolvers<void>();
  readonly countFrom: number;
  readonly endAt: number;
  inFlight = 0;
  sent = 0;
  #countedInFlight = 0;
  #doneAt: number;

  constructor(options: PaceOptions) {
    this.#options = options;
    const begin = options.clock.now();
    this.countFrom = begin + options.warmupMs;
    this.endAt = this.countFrom + options.durationMs;
    this.#doneAt = begin;
  }

  get ended(): Promise<void> {
    return this.#end.promise;
  }

  /** Of what was counted and begun. */
  get unfinished(): number {
    return this.#countedInFlight;
  }

  /** From the warm-up's end to the run's, or to the last answer of a run that ran out of jobs before. */
  elapsedMs(isExhausted: boolean): number {
    const { clock, signal } = this.#options;
    const until = isExhausted ? this.#doneAt : signal.aborted ? clock.now() : this.endAt;
    return Math.max(0, Math.min(until, this.endAt) - this.countFrom);
  }

  begin(job: Job, onDone: () => void): void {
    this.inFlight++;
    if (job.isCounted) {
      this.sent++;
      this.#countedInFlight++;
    }
    this.#options.begin(job, () => {
      this.inFlight--;
      if (job.isCounted) this.#countedInFlight--;
      this.#doneAt = this.#options.clock.now();
      onDone();
    });
  }

  end(): void {
    this.#end.resolve();
  }
}

class ClosedLoop {
  readonly #options: PaceOptions;
  readonly #tally: Tally;
  #next = 0;

  constructor(options: PaceOptions) {
    this.#options = options;
    this.#tally = new Tally(options);
  }

  async run(): Promise<Paced> {
    const { clock, connections, signal } = this.#options;
    const busyShare = clock.busySince();
    const onAbort = () => this.#tally.end();
    signal.addEventListener('abort', onAbort, { once: true });
    for (let i = 0; i < connections; i++) this.#begin();
    this.#endWhenIdle();
    await this.#tally.ended;
    signal.removeEventListener('abort', onAbort);
    const busy = busyShare();
    return {
      elapsedMs: this.#tally.elapsedMs(this.#isExhausted),
      sent: this.#tally.sent,
      unsent: 0,
      unfinished: this.#tally.unfinished,
      late: 0,
      busyShare: busy,
      isGeneratorLimited: busy > FULL_SHARE,
      isInterrupted: signal.aborted,
    };
  }

  get #isExhausted(): boolean {
    return this.#next >= (this.#options.count ?? Number.POSITIVE_INFINITY);
  }

  #begin(): void {
    const dueAt = this.#options.clock.now();
    const { countFrom, endAt } = this.#tally;
    if (this.#options.signal.aborted || dueAt >= endAt || this.#isExhausted) return;
    this.#tally.begin({ index: this.#next++, dueAt, isCounted: dueAt >= countFrom }, () => {
      this.#begin();
      this.#endWhenIdle();
    });
  }

  #endWhenIdle(): void {
    if (this.#tally.inFlight === 0) this.#tally.end();
  }
}

class OpenLoop {
  readonly #options: PaceOptions;
  readonly #tally: Tally;
  readonly #beginAt: number;
  readonly #everyMs: number;
  /** Jobs that fall due in the whole run. */
  readonly #limit: number;
  #next = 0;
  #late = 0;
  #freeSince: number;
  #turnedAt: number;
  #idleMs = 0;
  #isTouched = false;
  #cancel = () => {};
  #isOver = false;

  constructor(options: PaceOptions, rate: number) {
    this.#options = options;
    this.#tally = new Tally(options);
    this.#beginAt = this.#tally.countFrom - options.warmupMs;
    this.#everyMs = 1000 / rate;
    const fitting = ((options.warmupMs + options.durationMs) * rate) / 1000;
    // A rounding error is not a job.
    this.#limit = Math.min(options.count ?? fitting, Math.ceil(fitting - 1e-6));
    this.#freeSince = this.#beginAt;
    this.#turnedAt = this.#beginAt;
  }

  async run(): Promise<Paced> {
    const { signal } = this.#options;
    const onAbort = () => {
      this.#stop();
      this.#tally.end();
    };
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    else this.#turn();
    await this.#tally.ended;
    signal.removeEventListener('abort', onAbort);
    return this.#result();
  }

  #result(): Paced {
    const { signal } = this.#options;
    const spent = this.#turnedAt - this.#beginAt;
    const busyShare = spent === 0 ? 0 : 1 - this.#idleMs / spent;
    const unsent = this.#tellUnsent();
    const tolerated = TOLERATED_SHARE * (this.#tally.sent + unsent);
    const isBehind = unsent > tolerated && busyShare > FULL_SHARE;
    return {
      elapsedMs: this.#tally.elapsedMs(false),
      sent: this.#tally.sent,
      unsent,
      unfinished: this.#tally.unfinished,
      late: this.#late,
      busyShare,
      isGeneratorLimited: this.#late > tolerated || isBehind,
      isInterrupted: signal.aborted,
    };
  }

  #job(index: number): Job {
    const dueAt = this.#beginAt + index * this.#everyMs;
    return { index, dueAt, isCounted: dueAt >= this.#tally.countFrom };
  }

  #turn(): void {
    if (this.#isOver) return;
    const now = this.#options.clock.now();
    // A turn in which nothing was sent or answered is one that this thread could have spared.
    if (!this.#isTouched) this.#idleMs += now - this.#turnedAt;
    this.#isTouched = false;
    this.#turnedAt = now;
    if (now < this.#tally.endAt) this.#sendDue(now);
    if (now >= this.#tally.endAt || this.#next >= this.#limit) this.#stop();
    else this.#schedule(now);
  }

  #sendDue(now: number): void {
    const { connections } = this.#options;
    while (this.#next < this.#limit && this.#tally.inFlight < connections) {
      const job = this.#job(this.#next);
      if (job.dueAt > now) return;
      this.#next++;
      this.#isTouched = true;
      if (job.isCounted && now - Math.max(job.dueAt, this.#freeSince) > LATE_MS) this.#late++;
      this.#tally.begin(job, () => this.#onDone());
    }
  }

  #onDone(): void {
    const { clock, connections } = this.#options;
    this.#isTouched = true;
    if (this.#tally.inFlight === connections - 1) this.#freeSince = clock.now();
    if (this.#isOver && this.#tally.inFlight === 0) this.#tally.end();
  }

  #schedule(now: number): void {
    const { clock, connections } = this.#options;
    const waitMs = Math.min(this.#job(this.#next).dueAt, this.#tally.endAt) - now;
    if (waitMs > COARSE_MS && this.#tally.inFlight < connections)
      this.#cancel = clock.after(waitMs - MARGIN_MS, () => this.#turn());
    else clock.nextTurn(() => this.#turn());
  }

  #stop(): void {
    this.#isOver = true;
    this.#cancel();
    if (this.#tally.inFlight === 0) this.#tally.end();
  }

  #tellUnsent(): number {
    const endAt = Math.min(this.#tally.endAt, this.#options.clock.now());
    let unsent = 0;
    for (let i = this.#next; i < this.#limit; i++) {
      const job = this.#job(i);
      if (job.dueAt > endAt) break;
      if (!job.isCounted) continue;
      unsent++;
      this.#options.onUnsent?.(job, endAt - job.dueAt);
    }
    return unsent;
  }
}
