/** When a request is worth repeating and how long to wait before it. Decides only; `transport` waits. */
import type { RegistryError } from '../core/error.ts';
import type { Clock } from './clock.ts';

const BASE_DELAY_MS = 200;
const MAX_DELAY_MS = 10_000;
/** Told to wait longer than this, a request gives the error back instead. */
export const MAX_RETRY_AFTER_MS = 30_000;

export interface Failure {
  readonly error: RegistryError;
  /** `undefined`: no answer came at all, or not a whole one. */
  readonly status: number | undefined;
  readonly retryAfterMs: number | undefined;
}

/** A request that is repeated, and why. */
export interface Retry {
  /** What came instead of an answer. */
  readonly error: RegistryError;
  /** The one to come: 2 and up. */
  readonly attempt: number;
  readonly maxAttempts: number;
  /** Of the attempt that failed. */
  readonly tookMs: number;
  /** From now to the next. */
  readonly delayMs: number;
}

/**
 * Reads are repeated after no answer, 429 and 5xx. Writes are idempotent by payload hash, so an
 * unknown outcome (no answer, 5xx) is resolved by repeating; a 4xx is certain, and so is `read_only`.
 */
export function isWorthRepeating(
  method: 'GET' | 'POST',
  { error, status, retryAfterMs }: Failure,
): boolean {
  if ((retryAfterMs ?? 0) > MAX_RETRY_AFTER_MS) return false;
  if (status === undefined) return error.code === 'unavailable';
  if (method === 'GET') return status === 429 || status >= 500;
  return status >= 500 && error.code !== 'read_only';
}

/** Full jitter (any delay up to the doubled bound), so that clients do not return together; `attempt` from 1. */
export function jitteredDelayMs(
  clock: Clock,
  attempt: number,
  { baseMs = BASE_DELAY_MS, maxMs = MAX_DELAY_MS }: { baseMs?: number; maxMs?: number } = {},
): number {
  return clock.random() * Math.min(maxMs, baseMs * 2 ** Math.min(attempt - 1, 30));
}

/** RFC 9110 10.2.3: seconds, or a date. `undefined` when absent or neither. */
export function parseRetryAfter(header: string | null, now: number): number | undefined {
  if (header === null) return undefined;
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
