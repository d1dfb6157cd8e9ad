/** Canonical JSON made of stored canonical bytes: hashed bytes are never parsed and written again. */
import { encodeUtf8 } from '../core/bytes.ts';
import { canonicalBytes, canonicalText } from '../core/canonical.ts';

/** Canonical bytes pass as they are; anything else is plain JSON data. */
export type Spliced = Uint8Array | readonly Spliced[] | string | number | null;

/** A canonical object; member names are ASCII. */
export function spliceObject(members: Readonly<Record<string, Spliced>>): Uint8Array {
  const sorted = Object.entries(members).sort(([a], [b]) => (a < b ? -1 : 1));
  const parts = sorted.flatMap(([name, value]) => [
    encodeUtf8(`,${canonicalText(name)}:`),
    bytesOf(value),
  ]);
  return enclose('{', parts, '}');
}

/** A canonical array. */
export function spliceArray(items: readonly Spliced[]): Uint8Array {
  return enclose(
    '[',
    items.flatMap((item) => [COMMA, bytesOf(item)]),
    ']',
  );
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

const COMMA = encodeUtf8(',');

function bytesOf(value: Spliced): Uint8Array {
  if (value instanceof Uint8Array) return value;
  return Array.isArray(value) ? spliceArray(value) : canonicalBytes(value);
}

/** Every part but the first begins where a comma must stand; the first one's is replaced. */
function enclose(open: string, parts: readonly Uint8Array[], close: string): Uint8Array {
  const [first = new Uint8Array(1), ...rest] = parts;
  return concat([encodeUtf8(open), first.subarray(1), ...rest, encodeUtf8(close)]);
}
