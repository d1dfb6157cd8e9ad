/** A blob is sent again as any other write is: it has the same name each time, so that twice is once. */
import { sleep, systemClock } from '../client/clock.ts';
import { type Failure, isWorthRepeating, jitteredDelayMs } from '../client/retry.ts';
import { RegistryError } from '../core/error.ts';
import type { Context } from './context.ts';
import { MAX_ATTEMPTS } from './http-log.ts';
import { sayRetry } from './say-retry.ts';

/** `send` begins anew each time. Throws what the last attempt throws, or at once what another one would not change. */
export async function sentAgain<T>(
  { io, globals, say }: Pick<Context, 'io' | 'globals' | 'say'>,
  send: () => Promise<T>,
): Promise<T> {
  const clock = systemClock(io.now);
  const onRetry = sayRetry({ globals, say });
  for (let attempt = 1; ; attempt++) {
    const askedAt = clock.now();
    try {
      return await send();
    } catch (error) {
      const isLast = attempt === MAX_ATTEMPTS || io.interrupt.aborted;
      if (isLast || !(error instanceof RegistryError)) throw error;
      const failure = failureOf(error);
      if (error.code === 'no_room' || !isWorthRepeating('POST', failure)) throw error;
      const delayMs = Math.max(jitteredDelayMs(clock, attempt), failure.retryAfterMs ?? 0);
      const tookMs = clock.now() - askedAt;
      onRetry({ error, attempt: attempt + 1, maxAttempts: MAX_ATTEMPTS, tookMs, delayMs });
      await sleep(clock, delayMs, io.interrupt);
    }
  }
}

function failureOf(error: RegistryError): Failure {
  const { status, retry_after_ms: retryAfterMs } = error.details;
  return {
    error,
    status: typeof status === 'number' ? status : undefined,
    retryAfterMs: typeof retryAfterMs === 'number' ? retryAfterMs : undefined,
  };
}
