/**
 * The one form of request that the front answers: a whole, plain GET in one piece. Everything else, and
 * everything that is not understood to the last byte, is left to node's parser.
 */
import type { PlainRead } from '../../http/ready-reads.ts';

// Larger ones are rare, and looking at them is not free.
const MAX_BYTES = 4096;
const G = 'G'.charCodeAt(0);

// Nothing to decode, no query, no dot segments to resolve.
const REQUEST_LINE = /^GET (\/[A-Za-z0-9/_-]*) HTTP\/1\.1$/;
const HEADER = /^([A-Za-z0-9-]+): ([\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)$/;

/** Headers that change nothing in the answer to a plain read, or that are looked at below. */
const PLAIN_HEADERS = new Set([
  'accept',
  'accept-encoding',
  'accept-language',
  'cache-control',
  'connection',
  'host',
  'if-none-match',
  'last-event-id',
  'origin',
  'pragma',
  'priority',
  'referer',
  'sec-ch-ua',
  'sec-ch-ua-mobile',
  'sec-ch-ua-platform',
  'sec-fetch-dest',
  'sec-fetch-mode',
  'sec-fetch-site',
  'sec-fetch-user',
  'user-agent',
  'x-corr-id',
]);

/** What `chunk`, the next bytes of a connection, asks for; `undefined` unless it is one such request and nothing more. */
export function readPlainGet(chunk: Buffer): PlainRead | undefined {
  if (chunk[0] !== G || chunk.length > MAX_BYTES) return undefined;
  const text = chunk.toString('latin1');
  if (!text.endsWith('\r\n\r\n')) return undefined;
  const [first = '', ...lines] = text.slice(0, -4).split('\r\n');
  const target = REQUEST_LINE.exec(first)?.[1];
  const headers = target === undefined ? undefined : readHeaders(lines);
  if (target === undefined || headers === undefined) return undefined;
  return {
    target,
    ifNoneMatch: headers.get('if-none-match'),
    corrId: headers.get('x-corr-id'),
    lastEventId: headers.get('last-event-id'),
  };
}

/** `undefined` unless every line is known to be harmless, and none comes twice. */
function readHeaders(lines: readonly string[]): ReadonlyMap<string, string> | undefined {
  const headers = new Map<string, string>();
  for (const line of lines) {
    const [, name = '', value = ''] = HEADER.exec(line) ?? [];
    const key = name.toLowerCase();
    if (!PLAIN_HEADERS.has(key) || headers.has(key)) return undefined;
    headers.set(key, value);
  }
  const isPlain =
    isPlainHost(headers.get('host')) &&
    (headers.get('connection') ?? 'keep-alive').toLowerCase() === 'keep-alive';
  return isPlain ? headers : undefined;
}

const BYTE = '(?:\\d|[1-9]\\d|1\\d\\d|2[0-4]\\d|25[0-5])';
const HOST = new RegExp(
  `^(?:${BYTE}(?:\\.${BYTE}){3}|\\[::1\\]|(?:[a-z0-9-]+\\.)*[a-z][a-z0-9-]*)(?::\\d{1,4}|:[1-5]\\d{4})?$`,
  'i',
);

/** Whether a URL can be made of it without a doubt. */
export function isPlainHost(host: string | undefined): boolean {
  return host !== undefined && HOST.test(host) && !/xn--/i.test(host);
}
