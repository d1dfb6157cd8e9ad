/** What is said of requests that are repeated: who waits is told what for. */
import type { Retry } from '../client/retry.ts';
import { escapeText } from '../core/error.ts';
import type { Context } from './context.ts';

/** What ends sooner is over before it was read. */
const LONG_MS = 1_000;

export function sayRetry({
  globals,
  say,
}: Pick<Context, 'globals' | 'say'>): (retry: Retry) => void {
  return ({ error, attempt, maxAttempts, tookMs, delayMs }) => {
    if (tookMs + delayMs < LONG_MS) return;
    const when = delayMs < LONG_MS ? 'now' : `in ${Math.round(delayMs / 1000)} s`;
    void say(
      `quorate: ${globals.url}: ${escapeText(error.message)}; attempt ${attempt} of ${maxAttempts} ${when}`,
    );
  };
}
