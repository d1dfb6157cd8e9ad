/** Text for people: values a stranger wrote made safe to print, columns, times. Pure. */
import { canonicalText, type Json } from '../core/canonical.ts';
import { escapeText } from '../core/error.ts';

/** Canonical JSON in which everything outside printable ASCII is `\u{...}`. */
export function showJson(value: Json): string {
  return escapeText(canonicalText(value));
}

/** JSON, still JSON, in which everything outside printable ASCII is a `\u` escape. */
export function asciiJson(value: unknown, indent = 2): string {
  return asciiJsonText(JSON.stringify(value, null, indent));
}

/** The same value as `json`, in ASCII: only inside its strings is there anything else. */
export function asciiJsonText(json: string): string {
  return json.replace(
    /[^\x20-\x7e\n]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Rows of one table, each column as wide as its widest cell; the last is not padded. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows)
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, cell.length);
    });
  return rows
    .map((row) =>
      row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i] ?? 0))).join('  '),
    )
    .join('\n');
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** `in 6 days`, `3 minutes ago`. Both in milliseconds since 1970. */
export function relativeTime(at: number, now: number): string {
  const seconds = Math.round(Math.abs(at - now) / 1000);
  const [size, unit] = UNITS.find(([size]) => seconds >= size) ?? [1, 'second'];
  const span = plural(Math.floor(seconds / size), unit);
  return at >= now ? `in ${span}` : `${span} ago`;
}

const UNITS = [
  [86_400, 'day'],
  [3_600, 'hour'],
  [60, 'minute'],
] as const;
