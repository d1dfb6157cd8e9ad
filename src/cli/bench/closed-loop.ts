/** Work begun as soon as a place is free: how much a service does when somebody always waits. */
import { FULL_SHARE, type Paced, type PaceOptions } from './pace.ts';
import { Tally } from './tally.ts';

export function runClosedLoop(options: PaceOptions): Promise<Paced> {
  return new ClosedLoop(options).run();
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
