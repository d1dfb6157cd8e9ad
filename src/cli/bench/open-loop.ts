/**
 * Work begun at fixed times, whatever became of the work before. A job's latency counts from when it was
 * due: a service that stalls for a second is so charged with every request that the second brought, not
 * with the one that met the stall.
 */
import { FULL_SHARE, type Job, type Paced, type PaceOptions } from './pace.ts';
import { Tally } from './tally.ts';

/** How late a job may leave before it counts as late. */
const LATE_MS = 5;
/** What may be late or unsent before the run counts as limited by its generator. */
const TOLERATED_SHARE = 0.01;
/** Timers are late by a millisecond or two, so the last few before a job are spent turning. */
const COARSE_MS = 5;
const MARGIN_MS = 3;

/** `rate`: jobs a second. */
export function runOpenLoop(options: PaceOptions, rate: number): Promise<Paced> {
  return new OpenLoop(options, rate).run();
}

class OpenLoop {
  readonly #options: PaceOptions;
  readonly #tally: Tally;
  readonly #beginAt: number;
  readonly #everyMs: number;
  /** Jobs that fall due in the whole run. */
  readonly #limit: number;
  /** There are fewer jobs than fall due in its time. */
  readonly #isCutShort: boolean;
  #next = 0;
  #late = 0;
  #freeSince: number;
  #turnedAt: number;
  #idleMs = 0;
  #isTouched = false;
  #isAsleep = false;
  #cancel = () => {};
  #isOver = false;

  constructor(options: PaceOptions, rate: number) {
    this.#options = options;
    this.#tally = new Tally(options);
    this.#beginAt = this.#tally.countFrom - options.warmupMs;
    this.#everyMs = 1000 / rate;
    const fitting = ((options.warmupMs + options.durationMs) * rate) / 1000;
    // A rounding error is not a job.
    const { count = Number.POSITIVE_INFINITY } = options;
    this.#limit = Math.min(count, Math.ceil(fitting - 1e-6));
    this.#isCutShort = count < fitting;
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
      elapsedMs: this.#tally.elapsedMs(this.#isCutShort),
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
    // A sleep, or a turn in which nothing was sent or answered, is time that this thread could have used.
    if (this.#isAsleep || !this.#isTouched) this.#idleMs += now - this.#turnedAt;
    this.#isAsleep = false;
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
    this.#isAsleep = waitMs > COARSE_MS && this.#tally.inFlight < connections;
    if (this.#isAsleep) this.#cancel = clock.after(waitMs - MARGIN_MS, () => this.#turn());
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
