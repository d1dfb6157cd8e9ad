/** A bound on requests of one caller in one minute, kept in memory. */
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import type { Consume } from '../http/deps.ts';

/**
 * `perMinute`: requests of one caller (an address, a token); its minute begins with the first one. Asked
 * at every request: a reload may change it, and what a caller has used counts on.
 */
export function createRateLimit(perMinute: () => number): Consume {
  const limiter = new RateLimiterMemory({ points: perMinute(), duration: 60 });
  return async (caller) => {
    limiter.points = perMinute();
    try {
      await limiter.consume(caller);
      return { ok: true, retryAfterSeconds: 0 };
    } catch (refusal) {
      if (!(refusal instanceof RateLimiterRes)) throw refusal;
      return { ok: false, retryAfterSeconds: Math.max(1, Math.ceil(refusal.msBeforeNext / 1000)) };
    }
  };
}
