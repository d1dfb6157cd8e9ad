/** Conditional requests (RFC 9110 13.1.2): `If-None-Match` against the ETag of what would be answered. */
import type { Answer } from './answer.ts';

/** Weak comparison, as for every GET; `*` matches whatever there is. */
export function matchesEtag(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  if (ifNoneMatch.trim() === '*') return true;
  const opaque = etag.replace(/^W\//, '');
  // An entity tag may hold commas: read tags, do not split.
  return [...ifNoneMatch.matchAll(/(?:W\/)?("[^"]*")/g)].some(([, tag]) => tag === opaque);
}

const KEPT = ['ETag', 'Cache-Control', 'Vary', 'Content-Location', 'X-Corr-ID'];

/** The 304 in place of `answer`: what caches update themselves with, and nothing about a body. */
export function notModified({ headers }: Pick<Answer, 'headers'>): Answer {
  const kept = Object.entries(headers).filter(([name]) => KEPT.includes(name));
  return { status: 304, headers: Object.fromEntries(kept), body: null };
}
