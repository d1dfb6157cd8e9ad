/** The one time format of the wire, RFC 3339 UTC with milliseconds, and the bounds that use it. */

export const SKEW_MS = 5 * 60_000;
export const MAX_LIFETIME_MS = 30 * 24 * 3_600_000;

const FORM =
  /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z$/;

/** `2026-11-21T09:30:00.000Z` and nothing else: the text must survive a round trip. */
export function isTime(text: unknown): text is string {
  if (typeof text !== 'string' || !FORM.test(text)) return false;
  // No month has fewer days: what is left to ask is rare.
  if (Number(text.slice(8, 10)) <= 28) return true;
  const ms = Date.parse(text);
  return !Number.isNaN(ms) && new Date(ms).toISOString() === text;
}

/** `ms`: milliseconds since 1970. */
export function formatTime(ms: number): string {
  return new Date(ms).toISOString();
}
