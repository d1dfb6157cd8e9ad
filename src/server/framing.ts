/**
 * Requests that node's parser lets through and that two servers in a row could read as two different
 * ones. They are refused before anything looks at them, and their connection is closed.
 */
import type { IncomingMessage } from 'node:http';

/** What was expected and what came; `undefined` for a request that has one reading. */
export function framingFault(request: IncomingMessage): string | undefined {
  const hosts = valuesOf(request, 'host');
  const isOptional = request.httpVersion === '1.0';
  if (hosts.length > 1 || (hosts.length === 0 && !isOptional))
    return `expected one host header, got ${hosts.length}`;
  const codings = valuesOf(request, 'transfer-encoding');
  if (codings.length > 0 && request.httpVersion !== '1.1')
    return `expected no transfer-encoding in http/${request.httpVersion}, got one`;
  if (codings.some((coding) => coding.trim().toLowerCase() !== 'chunked') || codings.length > 1)
    return 'expected transfer-encoding to be chunked alone, got another one';
  // Absolute form names a second host; `*` names nothing that is served here.
  if (request.url?.startsWith('/') !== true)
    return 'expected a path as request target, got another form';
  return undefined;
}

/** Every line of a header: `headers` keeps the first `host` and joins the others. */
function valuesOf({ rawHeaders }: IncomingMessage, name: string): string[] {
  return rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1]?.toLowerCase() === name);
}
