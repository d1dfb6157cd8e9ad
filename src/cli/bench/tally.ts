/** What both loops count of a run: what is under way, what was begun, and when it is over. */
import type { Job, PaceOptions } from './pace.ts';

export class Tally {
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
