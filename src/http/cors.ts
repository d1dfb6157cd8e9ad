/** Who may read and write from a browser page of another origin: everybody reads, nobody writes. */
import type { Context } from 'hono';

export const READ_HEADERS = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Expose-Headers': 'ETag, X-Corr-ID, Content-Location, Retry-After',
  'Cross-Origin-Resource-Policy': 'cross-origin',
} as const;

export function isRead(method: string): boolean {
  return method === 'GET' || method === 'HEAD';
}

/** Answers `OPTIONS` of a path that can be read; grants nothing to a preflight of a write. */
export function preflight(c: Context, allow: readonly string[]): Response {
  const wanted = c.req.header('Access-Control-Request-Method');
  const headers = new Headers({ Allow: allow.join(', ') });
  if (wanted !== undefined && isRead(wanted)) {
    headers.set('Access-Control-Allow-Origin', '*');
    headers.set('Access-Control-Allow-Methods', 'GET, HEAD');
    headers.set('Access-Control-Allow-Headers', 'If-None-Match, Last-Event-ID, X-Corr-ID');
    headers.set('Access-Control-Max-Age', '86400');
  }
  return new Response(null, { status: 204, headers });
}
