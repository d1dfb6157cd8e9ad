/**
 * A bound on requests of one caller in one minute, kept in memory. It answers at once, without a promise or
 * a timer: the hottest reads ask it for every request.
 */
import type { Allowance, Consume } from '../http/deps.ts';

const WINDOW_MS = 60_000;
// About 20 MB. Whoever has more addresses than that is one caller.
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
  const minutes = new Minutes(maxCallers);
  return (caller) => {
    const nowMs = now();
    const minute = minutes.of(caller, nowMs);
    minute.used++;
    return minute.used <= perMinute() ? ALLOWED : refusal(minute.endsAtMs - nowMs);
  };
}

const ALLOWED: Allowance = { ok: true, retryAfterSeconds: 0 };

function refusal(leftMs: number): Allowance {
  return { ok: false, retryAfterSeconds: Math.max(1, Math.ceil(leftMs / 1000)) };
}

interface Minute {
  used: number;
  readonly endsAtMs: number;
}

/** Those that have not ended, and for at most another minute those that have. */
class Minutes {
  readonly #maxCallers: number;
  #current = new Map<string, Minute>();
  #before = new Map<string, Minute>();
  #turnsAtMs = 0;

  constructor(maxCallers: number) {
    this.#maxCallers = maxCallers;
  }

  of(caller: string, nowMs: number): Minute {
    this.#turn(nowMs);
    const known = this.#known(caller, nowMs);
    if (known !== undefined) return known;
    const isFull = this.#current.size + this.#before.size >= this.#maxCallers;
    const key = isFull ? EVERYBODY_ELSE : caller;
    const minute = this.#known(key, nowMs) ?? { used: 0, endsAtMs: nowMs + WINDOW_MS };
    this.#current.set(key, minute);
    return minute;
  }

  #known(caller: string, nowMs: number): Minute | undefined {
    const minute = this.#current.get(caller) ?? this.#before.get(caller);
    return minute !== undefined && minute.endsAtMs > nowMs ? minute : undefined;
  }

  /** What was begun before the last turn has ended by the next one. */
  #turn(nowMs: number): void {
    if (nowMs < this.#turnsAtMs) return;
    this.#before = nowMs < this.#turnsAtMs + WINDOW_MS ? this.#current : new Map();
    this.#current = new Map();
    this.#turnsAtMs = nowMs + WINDOW_MS;
  }
}
