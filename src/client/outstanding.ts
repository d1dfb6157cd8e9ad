/**
 * What a follower was told of and does not have yet: a version that no checkpoint covers, or a
 * checkpoint that waits for its cosigners. Says when to ask again, and when to give up.
 */
import { RegistryError } from '../core/error.ts';
import { type Clock, sleep } from './clock.ts';
import { jitteredDelayMs } from './retry.ts';

/** The stream most often tells sooner; a server is not asked more often than this. */
const MIN_ASK_MS = 1_000;
const MAX_ASK_MS = 10_000;

export class Outstanding {
  readonly #clock: Clock;
  readonly #patienceMs: number;
  #wanted = -1;
  #short: RegistryError | undefined;
  #since: number | undefined;
  #asked = 0;

  /** `patienceMs`: what has not come after this long is given up. */
  constructor(clock: Clock, patienceMs: number) {
    this.#clock = clock;
    this.#patienceMs = patienceMs;
  }

  /** A version was talked about; `reached`: the newest that is there. */
  expect(version: number, reached: number): void {
    if (version <= reached) return;
    this.#wanted = Math.max(this.#wanted, version);
    this.#since ??= this.#clock.now();
  }

  fallShort(error: RegistryError): void {
    this.#short = error;
    this.#since ??= this.#clock.now();
  }

  /** A checkpoint was believed that ends with the version `reached`. */
  settle(reached: number): void {
    this.#short = undefined;
    if (this.#wanted <= reached) this.#forget();
  }

  /** Whether the patience is over. */
  get isOverdue(): boolean {
    return this.#since !== undefined && this.#clock.now() - this.#since >= this.#patienceMs;
  }

  /**
   * `next`, or `due` when it is time to ask before that. Throws the error that a checkpoint fell short
   * with once it did for too long; a version that never came was perhaps none.
   */
  async before<T>(next: Promise<T>, signal: AbortSignal): Promise<T | 'due'> {
    if (this.#since === undefined) return next;
    if (this.isOverdue) {
      if (this.#short !== undefined) throw this.#short;
      this.#forget();
      return next;
    }
    const moreMs = jitteredDelayMs(this.#clock, ++this.#asked, { maxMs: MAX_ASK_MS });
    const over = new AbortController();
    const due = sleep(this.#clock, MIN_ASK_MS + moreMs, AbortSignal.any([signal, over.signal]));
    try {
      return await Promise.race([next, due.then(() => 'due' as const)]);
    } finally {
      over.abort();
    }
  }

  #forget(): void {
    this.#wanted = -1;
    this.#since = undefined;
    this.#asked = 0;
  }
}

/** Good but for cosignatures, which may come. */
export function isShort(error: unknown): error is RegistryError {
  return error instanceof RegistryError && error.code === 'unwitnessed';
}

/** No answer, an answer of the wrong kind, or the server's own trouble; never a broken rule of the log. */
export function isPassing(error: unknown): error is RegistryError {
  if (!(error instanceof RegistryError)) return false;
  const status = Number(error.details.status ?? 0);
  const isTold = error.code === 'not_initialised' || status === 429 || status >= 500;
  return isTold || ['unavailable', 'unexpected_answer', 'unwitnessed'].includes(error.code);
}
