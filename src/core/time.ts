/** The one time format of the wire, RFC 3339 UTC with milliseconds, and the bounds that use it. */

export const SKEW_MS = 5 * 60_000;
export const MAX_LIFETIME_MS = 30 * 24 * 3_600_000;

/** `2026-11-21T09:30:00.000Z` and nothing else: the text must survive a round trip. */
export function isTime(text: unknown): text is string {
  if (typeof text !== 'string' || !/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/.test(text))
    return false;
  const ms = Date.parse(text);
  return !Number.isNaN(ms) && new Date(ms).toISOString() === text;
}

/** `ms`: milliseconds since 1970. */
export function formatTime(ms: number): string {
  return new Date(ms).toISOString();
}
