/**
 * Requests that node's parser lets through and that two servers in a row could read as two different
 * ones. They are refused before anything looks at them, and their connection is closed.
 */
import type { IncomingMessage } from 'node:http';
import type { RawProblem } from './raw-problem.ts';

// Node keeps only the first so many lines and drops the rest without a word; far below that we refuse.
const MAX_HEADER_LINES = 100;

/** What was expected and what came; `undefined` for a request that has one reading. */
export function framingFault(request: IncomingMessage): RawProblem | undefined {
  const lines = request.rawHeaders.length / 2;
  if (lines > MAX_HEADER_LINES)
    return { status: 431, detail: `expected at most ${MAX_HEADER_LINES} headers, got ${lines}` };
  const detail =
    hostFault(request) ?? codingFault(request) ?? targetFault(request) ?? contentFault(request);
  return detail === undefined ? undefined : { status: 400, detail };
}

function hostFault(request: IncomingMessage): string | undefined {
  const { length } = valuesOf(request, 'host');
  const isOptional = request.httpVersion === '1.0';
  return length > 1 || (length === 0 && !isOptional)
    ? `expected one host header, got ${length}`
    : undefined;
}

function codingFault(request: IncomingMessage): string | undefined {
  const codings = valuesOf(request, 'transfer-encoding');
  if (codings.length === 0) return undefined;
  if (request.httpVersion !== '1.1')
    return `expected no transfer-encoding in http/${request.httpVersion}, got one`;
  const [coding = ''] = codings;
  return codings.length > 1 || coding.trim().toLowerCase() !== 'chunked'
    ? 'expected transfer-encoding to be chunked alone, got another one'
    : undefined;
}

/** Absolute form names a second host; `*` names nothing that is served here. */
function targetFault({ url }: IncomingMessage): string | undefined {
  return url?.startsWith('/') === true
    ? undefined
    : 'expected a path as request target, got another form';
}

/** RFC 9110 9.3.1: content of a GET means nothing, and not every proxy passes it on. */
function contentFault(request: IncomingMessage): string | undefined {
  if (request.method !== 'GET' && request.method !== 'HEAD') return undefined;
  const isEmpty =
    Number(request.headers['content-length'] ?? 0) === 0 &&
    request.headers['transfer-encoding'] === undefined;
  return isEmpty ? undefined : `expected a ${request.method} without a body, got one with`;
}

/** Every line of a header: `headers` keeps the first `host` and joins the others. */
function valuesOf({ rawHeaders }: IncomingMessage, name: string): string[] {
  return rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1]?.toLowerCase() === name);
}
