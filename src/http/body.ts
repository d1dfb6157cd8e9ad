/**
 * Request bodies, read as a stream: refused by type and coding before a byte is read, and abandoned
 * at the first byte over the limit, whatever `Content-Length` promised.
 */
import type { Context } from 'hono';
import { excerpt, RegistryError } from '../core/error.ts';
import type { HttpDeps } from './deps.ts';
import { concat } from './splice.ts';

// At 256 bytes each the largest body. A chunk of one byte costs two hundred, and a turn of the event loop.
const MAX_PARTS = 4_096;

/** A request's body, to be read once. */
export interface RequestBody {
  readonly headers: Headers;
  /** As they come; what is not asked for is dropped. */
  readonly pieces: AsyncIterable<Uint8Array>;
}

export function bodyOfRequest(request: Request): RequestBody {
  return { headers: request.headers, pieces: streamed(request) };
}

export function bodyOf(c: Context, piecesOf: HttpDeps['piecesOf']): RequestBody {
  if (piecesOf === undefined) return bodyOfRequest(c.req.raw);
  return { headers: c.req.raw.headers, pieces: piecesOf(c) };
}

/** Throws `unsupported_encoding`, `unsupported_media_type`, `too_large` or `malformed`. */
export async function readJsonBody(
  { headers, pieces }: RequestBody,
  { maxBytes }: { maxBytes: number },
): Promise<Uint8Array> {
  assertPlainJson(headers);
  assertDeclaredSize(headers, maxBytes);
  return readBytes(pieces, maxBytes);
}

/** For requests that take none; throws `invalid_request`. */
export async function assertNoBody({ headers, pieces }: RequestBody): Promise<void> {
  // What most clients send; to look for a body costs a tenth of a millisecond.
  if (headers.get('content-length') === '0' && !headers.has('transfer-encoding')) return;
  try {
    await readBytes(pieces, 0);
  } catch (cause) {
    throw new RegistryError('invalid_request', 'expected no body, got one', { cause });
  }
}

function assertPlainJson(headers: Headers): void {
  assertNoCoding(headers);
  const type = headers.get('content-type');
  if (type === null || !/^application\/json(?:\s*;\s*charset="?utf-8"?)?\s*$/i.test(type))
    throw new RegistryError(
      'unsupported_media_type',
      `expected content-type application/json, got ${type === null ? 'none' : excerpt(type)}`,
    );
}

/** Throws `unsupported_encoding`; `why` says what to do. */
export function assertNoCoding(headers: Headers, why = 'signed bytes travel as they are'): void {
  const coding = headers.get('content-encoding');
  if (coding !== null)
    throw new RegistryError(
      'unsupported_encoding',
      `expected a body without content-encoding, got ${excerpt(coding)}: ${why}`,
    );
}

/** Spares both sides the transfer; what counts is the count while reading. */
function assertDeclaredSize(headers: Headers, maxBytes: number): void {
  const declared = Number(headers.get('content-length') ?? 0);
  if (declared > maxBytes) throw tooLarge(maxBytes, `${declared}`);
}

/** Throws `too_large` or `malformed`. */
export async function readBytes(
  pieces: AsyncIterable<Uint8Array>,
  maxBytes: number,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const piece of wholePieces(pieces)) {
    size += piece.length;
    parts.push(piece);
    // The connection's owner drops the rest; nobody waits for it.
    if (size > maxBytes || parts.length > MAX_PARTS)
      throw tooLarge(maxBytes, size > maxBytes ? 'more' : `more than ${MAX_PARTS} chunks`);
  }
  return concat(parts);
}

/** Throws `malformed` where the body breaks off. */
export async function* wholePieces(
  pieces: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, undefined> {
  try {
    yield* pieces;
  } catch (cause) {
    throw brokenOff(cause);
  }
}

async function* streamed(request: Request): AsyncGenerator<Uint8Array, undefined> {
  const reader = request.body?.getReader();
  if (reader === undefined) return;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}

function brokenOff(cause: unknown): RegistryError {
  return new RegistryError('malformed', 'expected the whole body, got a broken connection', {
    cause,
  });
}

function tooLarge(maxBytes: number, got: string): RegistryError {
  return new RegistryError(
    'too_large',
    `expected a body of at most ${maxBytes} bytes, got ${got}`,
    {
      details: { max_bytes: maxBytes },
    },
  );
}
