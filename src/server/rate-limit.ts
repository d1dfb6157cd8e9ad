/** A bound on requests of one caller in one minute, kept in memory. */
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import type { Consume } from '../http/deps.ts';

const WINDOW_SECONDS = 60;
// About 50 MB. Whoever has more addresses than that is one caller.
const MAX_CALLERS = 100_000;
const EVERYBODY_ELSE = 'everybody else';

export interface RateLimitOptions {
  /** Past so many in one minute, those who come new share one allowance. */
  readonly maxCallers?: number;
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number;
}

/**
 * `perMinute`: requests of one caller (an address, a token); its minute begins with the first one. Asked
 * at every request: a reload may change it, and what a caller has used counts on.
 */
export function createRateLimit(
  perMinute: () => number,
  { maxCallers = MAX_CALLERS, now = () => performance.now() }: RateLimitOptions = {},
): Consume {
  const limiter = new RateLimiterMemory({ points: perMinute(), duration: WINDOW_SECONDS });
  const known = new KnownCallers(limiter, { maxCallers, now });
  return async (caller) => {
    limiter.points = perMinute();
    try {
      const { isFirstInDuration } = await limiter.consume(await known.keyOf(caller));
      if (isFirstInDuration) known.add();
      return { ok: true, retryAfterSeconds: 0 };
    } catch (refusal) {
      if (!(refusal instanceof RateLimiterRes)) throw refusal;
      return { ok: false, retryAfterSeconds: Math.max(1, Math.ceil(refusal.msBeforeNext / 1000)) };
    }
  };
}

/** How many callers the limiter holds: at most those who came in this minute and the one before. */
class KnownCallers {
  readonly #limiter: RateLimiterMemory;
  readonly #options: Required<RateLimitOptions>;
  #minute = 0;
  #current = 0;
  #before = 0;

  constructor(limiter: RateLimiterMemory, options: Required<RateLimitOptions>) {
    this.#limiter = limiter;
    this.#options = options;
  }

  add(): void {
    this.#turn();
    this.#current++;
  }

  async keyOf(caller: string): Promise<string> {
    this.#turn();
    if (this.#current + this.#before < this.#options.maxCallers) return caller;
    return (await this.#limiter.get(caller)) === null ? EVERYBODY_ELSE : caller;
  }

  #turn(): void {
    const minute = Math.floor(this.#options.now() / 1000 / WINDOW_SECONDS);
    if (minute === this.#minute) return;
    this.#before = minute === this.#minute + 1 ? this.#current : 0;
    this.#current = 0;
    this.#minute = minute;
  }
}
