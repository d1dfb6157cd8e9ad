/** Who may read and write from a browser page of another origin: everybody reads, nobody writes. */
import type { Context } from 'hono';
import type { Answer } from './answer.ts';

const READ_HEADERS = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Expose-Headers': 'ETag, X-Corr-ID, Content-Location, Retry-After',
  'Cross-Origin-Resource-Policy': 'cross-origin',
} as const;

/** The headers of an answer to GET or HEAD, but for its correlation id. */
export function readHeaders(
  headers: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  return { ...headers, ...READ_HEADERS, ...NO_SNIFFING };
}

export const NO_SNIFFING = { 'X-Content-Type-Options': 'nosniff' } as const;

export function isRead(method: string): boolean {
  return method === 'GET' || method === 'HEAD';
}

/** Answers `OPTIONS` of a path that can be read; grants nothing to a preflight of a write. */
export function preflight(allow: readonly string[]): (c: Context) => Answer {
  return (c) => {
    const wanted = c.req.header('Access-Control-Request-Method');
    const grants = wanted !== undefined && isRead(wanted) ? PREFLIGHT_HEADERS : {};
    return { status: 204, headers: { Allow: allow.join(', '), ...grants }, body: null };
  };
}

const PREFLIGHT_HEADERS = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Allow-Methods': 'GET, HEAD',
  'Access-Control-Allow-Headers': 'If-None-Match, Last-Event-ID, X-Corr-ID',
  'Access-Control-Max-Age': '86400',
} as const;
