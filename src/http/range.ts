/** Range requests (RFC 9110 14): one range of bytes. What is anything else is answered with the whole. */
import { RegistryError } from '../core/error.ts';

/** Both are in it. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

interface RangeRequest {
  readonly range: string | undefined;
  readonly ifRange: string | undefined;
  /** Strong, quoted. */
  readonly etag: string;
  /** Of the whole. */
  readonly bytes: number;
}

/** `undefined`: the whole. Throws `range_not_satisfiable`. */
export function readRange({ range, ifRange, etag, bytes }: RangeRequest): ByteRange | undefined {
  // Of a date nothing is known here: it is another one.
  if (range === undefined || (ifRange !== undefined && ifRange.trim() !== etag)) return undefined;
  const [, from = '', to = ''] = /^bytes=(\d*)-(\d*)$/.exec(range.trim()) ?? [];
  if (from === '') return to === '' ? undefined : suffix(Number(to), bytes);
  const first = Number(from);
  const last = to === '' ? bytes - 1 : Math.min(Number(to), bytes - 1);
  // RFC 9110 14.1.1: a range that ends before it begins is none.
  if (to !== '' && Number(to) < first) return undefined;
  if (first >= bytes) throw notSatisfiable(bytes);
  return { first, last };
}

function suffix(length: number, bytes: number): ByteRange | undefined {
  if (length === 0) throw notSatisfiable(bytes);
  // Of nothing, the last bytes are all there are.
  return bytes === 0 ? undefined : { first: Math.max(0, bytes - length), last: bytes - 1 };
}

function notSatisfiable(bytes: number): RegistryError {
  return new RegistryError(
    'range_not_satisfiable',
    `expected a range within ${bytes} bytes, got one outside of them`,
    { details: { bytes } },
  );
}
