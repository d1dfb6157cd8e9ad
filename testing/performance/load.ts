/**
 * Load over HTTP: as many requests as are answered, over keep-alive connections. By wrk; where it is missing
 * by autocannon, which is slower than what it measures, so that its figures compare only with each other.
 */
import autocannon from 'autocannon';
import { hasTool } from './machine.ts';
import { runWrk, type Turn } from './wrk.ts';

/** It tells whole milliseconds, 0 among them. */
const LEAST_MS = 0.5;

export interface LoadOptions {
  readonly connections: number;
  readonly seconds: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON to be posted. Default: a GET. */
  readonly body?: string;
}

/** Throws unless every answer was a 2xx or 3xx. */
export function runLoad(url: string, { headers = {}, ...options }: LoadOptions): Promise<Turn> {
  if (!hasTool('wrk')) return runAutocannon(url, { headers, ...options });
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return runWrk(url, { ...options, headers: lines });
}

async function runAutocannon(
  url: string,
  { connections, seconds, headers = {}, body }: LoadOptions,
): Promise<Turn> {
  const post =
    body === undefined
      ? { headers }
      : { method: 'POST', body, headers: { ...headers, 'content-type': 'application/json' } };
  const outcome = await autocannon({ url, connections, duration: seconds, ...post });
  const requests = outcome['2xx'] + outcome['3xx'];
  const bad = outcome['4xx'] + outcome['5xx'] + outcome.errors + outcome.timeouts;
  if (bad > 0 || requests === 0)
    throw new Error(`expected only good answers from ${url}, got ${bad} others`);
  const { p50, p75, p90, p97_5, p99, p99_9 } = outcome.latency;
  const us = (ms: number) => Math.max(ms, LEAST_MS) * 1_000;
  return {
    requests,
    perSecond: requests / outcome.duration,
    latencyUs: {
      50: us(p50),
      75: us(p75),
      90: us(p90),
      // It knows none of 95.
      95: us(p97_5),
      99: us(p99),
      99.9: us(p99_9),
    },
  };
}
