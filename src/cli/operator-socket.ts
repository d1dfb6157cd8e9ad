/** Requests to a server's operator socket: HTTP over a Unix socket, which `fetch` cannot speak. */
import { type IncomingMessage, request } from 'node:http';
import { excerpt, isErrorCode, RegistryError } from '../core/error.ts';

export type JsonAnswer = Readonly<Record<string, unknown>>;

export interface OperatorRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: object;
  /** Who acts, as they say; not sent when it is no name that can be recorded. */
  readonly operator?: string | undefined;
  /** Default: wait for as long as it takes. */
  readonly timeoutMs?: number;
}

/** Far above any answer: what is longer comes from something else. */
const MAX_ANSWER_BYTES = 1024 * 1024;
const OPERATOR_NAME = /^[A-Za-z0-9._@-]{1,64}$/;

/** Throws `unavailable` (nobody listens), `invalid_request` (not allowed to ask), what the server answers, or `unexpected_answer`. */
export async function askOperator(
  socketPath: string,
  { method, path, body, operator, timeoutMs }: OperatorRequest,
): Promise<JsonAnswer> {
  const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const asked = request(
    {
      socketPath,
      method,
      path,
      headers: {
        host: 'localhost',
        ...(bytes && { 'content-type': 'application/json', 'content-length': bytes.length }),
        ...(operator !== undefined && OPERATOR_NAME.test(operator) && { 'x-operator': operator }),
      },
      ...(timeoutMs !== undefined && { signal: AbortSignal.timeout(timeoutMs) }),
    },
    resolve,
  );
  asked.once('error', reject);
  asked.end(bytes);
  try {
    const response = await promise;
    return read(response.statusCode ?? 0, await textOf(response));
  } catch (cause) {
    throw cause instanceof RegistryError ? cause : unreachable(socketPath, cause);
  }
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_ANSWER_BYTES) throw unexpected(`more than ${MAX_ANSWER_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function read(status: number, text: string): JsonAnswer {
  const value = parse(text);
  if (status === 200) return value;
  const { code, detail, details } = value;
  if (!isErrorCode(code) || typeof detail !== 'string') throw unexpected(`status ${status}`);
  throw new RegistryError(code, detail, {
    details: typeof details === 'object' && details !== null ? { ...details } : {},
  });
}

function parse(text: string): JsonAnswer {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  } catch {
    // Said below.
  }
  throw unexpected(excerpt(text.slice(0, 40)));
}

function unexpected(got: string): RegistryError {
  return new RegistryError(
    'unexpected_answer',
    `expected the answer of an operator socket, got ${got}`,
  );
}

function unreachable(socketPath: string, cause: unknown): RegistryError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
  if (code === 'EACCES' || code === 'EPERM')
    return new RegistryError(
      'invalid_request',
      `expected leave to open the operator socket ${socketPath}, got ${code}: it is for the user that the server runs as`,
      { cause },
    );
  return new RegistryError(
    'unavailable',
    `expected a server at the operator socket ${socketPath}, got ${code}: is it running, and is --socket right?`,
    { cause, details: { place: socketPath } },
  );
}
