/** How long an answer stays true, as `Cache-Control`. */

export const CACHE_CONTROL = {
  /** Never changes: the URL names a version, and a version is written once. */
  immutable: 'public, max-age=31536000, immutable',
  /** Changes with every commit: revalidate by ETag; a shared cache may answer for a second. */
  head: 'public, max-age=0, must-revalidate, s-maxage=1, stale-while-revalidate=5',
  none: 'no-store',
} as const;

export type Caching = keyof typeof CACHE_CONTROL;
