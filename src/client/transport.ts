/**
 * Requests over a handed-in `fetch`: bounds on time and bytes, no redirects, repeats where they are
 * safe, and refusals back as the error codes they were. Whether an answer is true is decided elsewhere.
 */
import { RegistryError } from '../core/error.ts';
import { type BearerToken, bearerOf, withoutToken } from './bearer.ts';
import { readBody } from './body.ts';
import { abortable, type Clock, sleep } from './clock.ts';
import { readProblem } from './problem.ts';
import {
  type Failure,
  isWorthRepeating,
  jitteredDelayMs,
  parseRetryAfter,
  type Retry,
} from './retry.ts';

const MAX_PROBLEM_BYTES = 64 * 1024;
const MAX_CAUSES = 8;
/** Such as ECONNREFUSED; our own codes are lower case. */
const SYSTEM_CODE = /^[A-Z][A-Z0-9_]{2,63}$/;

/** Part of a content type, and the header that asks for it. */
const ACCEPT = {
  json: 'application/json',
  ndjson: 'application/json',
  plain: 'text/plain',
  'octet-stream': 'application/octet-stream',
  'event-stream': 'text/event-stream',
} as const;

export interface TransportOptions {
  /** Base URL, http or https; a path in it is kept. */
  readonly url: string;
  readonly fetch: typeof globalThis.fetch;
  readonly clock: Clock;
  /** One attempt, headers and body. */
  readonly timeoutMs: number;
  readonly maxAttempts: number;
  /** Sent with writes alone. */
  readonly token?: BearerToken | undefined;
  /** Told before each wait. */
  readonly onRetry?: ((retry: Retry) => void) | undefined;
}

/** What a caller may bound more tightly than the transport does. */
export interface RequestBounds {
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number | undefined;
  readonly maxAttempts?: number | undefined;
}

export interface GetOptions extends RequestBounds {
  readonly maxBytes: number;
  /** Part of the content type that must come: an html page is no answer. */
  readonly accept: keyof typeof ACCEPT;
  /** Keep the first `maxBytes` of a longer answer instead of refusing it. */
  readonly whenLarger?: 'refuse' | 'cut';
  /** Past every cache on the way. */
  readonly isFresh?: boolean;
}

export interface PostOptions extends RequestBounds {
  readonly body?: Uint8Array;
  readonly maxBytes: number;
}

export interface Answer {
  readonly status: number;
  readonly bytes: Uint8Array;
  readonly isCut: boolean;
}

interface Request extends RequestBounds {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly accept: keyof typeof ACCEPT;
  readonly body?: Uint8Array | undefined;
  readonly token?: string | undefined;
  readonly isFresh?: boolean | undefined;
}

type Attempt<T> =
  | { readonly isDone: true; readonly value: T }
  | ({ readonly isDone: false } & Failure);

export class Transport {
  readonly #options: TransportOptions;
  readonly #base: string;

  /** Throws `invalid_request` for a base URL that is none. */
  constructor(options: TransportOptions) {
    this.#options = options;
    this.#base = parseBase(options.url);
  }

  /** Repeated after no answer, 429 and 5xx. Throws `unavailable`, `unexpected_answer`, or the server's own code. */
  get(path: string, options: GetOptions): Promise<Answer> {
    const { maxBytes, accept, whenLarger = 'refuse', ...bounds } = options;
    return this.#repeat({ ...bounds, method: 'GET', path, accept }, (response, signal) =>
      readBody(response.body, { maxBytes, whenLarger, signal }),
    );
  }

  /** Writes are idempotent, so an unknown outcome is repeated; after a 4xx nothing is. */
  async post(path: string, { body, maxBytes, ...bounds }: PostOptions): Promise<Answer> {
    const token = await bearerOf(this.#options.token);
    return this.#repeat(
      { ...bounds, method: 'POST', path, accept: 'json', body, token },
      (response, signal) => readBody(response.body, { maxBytes, whenLarger: 'refuse', signal }),
    );
  }

  /**
   * One attempt at a stream; `timeoutMs` is for its headers. The body lives until it ends or `signal`
   * aborts.
   */
  async open(path: string, bounds: RequestBounds): Promise<ReadableStream<Uint8Array>> {
    const request: Request = { ...bounds, method: 'GET', path, accept: 'event-stream' };
    const attempt = await this.#attempt(request, async (response) => ({
      bytes: NONE,
      isCut: false,
      body: response.body,
    }));
    if (!attempt.isDone) throw attempt.error;
    const { body } = attempt.value;
    if (body === null)
      throw new RegistryError('unexpected_answer', `expected a stream from ${path}, got no body`);
    return body;
  }

  async #repeat(
    request: Request,
    read: (response: Response, signal: AbortSignal) => Promise<Omit<Answer, 'status'>>,
  ): Promise<Answer> {
    const { clock, onRetry } = this.#options;
    const maxAttempts = request.maxAttempts ?? this.#options.maxAttempts;
    for (let attempt = 1; ; attempt++) {
      const askedAt = clock.now();
      const result = await this.#attempt(request, read);
      if (result.isDone) return result.value;
      const { error, retryAfterMs = 0 } = result;
      if (attempt >= maxAttempts || !isWorthRepeating(request.method, result))
        throw afterAttempts(error, request, attempt);
      const delayMs = Math.max(jitteredDelayMs(clock, attempt), retryAfterMs);
      const tookMs = clock.now() - askedAt;
      onRetry?.({ error, attempt: attempt + 1, maxAttempts, tookMs, delayMs });
      await sleep(clock, delayMs, request.signal);
    }
  }

  async #attempt<T>(
    request: Request,
    read: (response: Response, signal: AbortSignal) => Promise<T>,
  ): Promise<Attempt<T & { readonly status: number }>> {
    const { clock } = this.#options;
    const timeoutMs = request.timeoutMs ?? this.#options.timeoutMs;
    const deadline = new AbortController();
    const cancel = clock.after(timeoutMs, () => deadline.abort(lateAnswer(request, timeoutMs)));
    const signal =
      request.signal === undefined
        ? deadline.signal
        : AbortSignal.any([request.signal, deadline.signal]);
    try {
      const response = await abortable(this.#send(request, signal), signal);
      const retryAfterMs = parseRetryAfter(response.headers.get('retry-after'), clock.now());
      const refusal = refusalOf(request, response, retryAfterMs);
      if (refusal === undefined)
        return {
          isDone: true,
          value: { ...(await read(response, signal)), status: response.status },
        };
      const { bytes } = await readBody(response.body, {
        maxBytes: MAX_PROBLEM_BYTES,
        whenLarger: 'cut',
        signal,
      });
      return {
        isDone: false,
        error: refusal(withoutToken(bytes, request.token)),
        status: response.status,
        retryAfterMs,
      };
    } catch (cause) {
      request.signal?.throwIfAborted();
      return {
        isDone: false,
        error: noAnswer(request, cause),
        status: undefined,
        retryAfterMs: undefined,
      };
    } finally {
      cancel();
    }
  }

  async #send(
    { method, path, accept, body, token, isFresh }: Request,
    signal: AbortSignal,
  ): Promise<Response> {
    return this.#options.fetch(`${this.#base}${path}`, {
      method,
      signal,
      // A redirect would let one host answer for another, and give a path the caller never chose.
      redirect: 'manual',
      credentials: 'omit',
      cache: isFresh ? 'reload' : 'default',
      headers: {
        accept: ACCEPT[accept],
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      ...(body === undefined ? {} : { body: Uint8Array.from(body) }),
    });
  }
}

const NONE: Uint8Array = new Uint8Array();

/** `undefined`: the answer is of the kind that was asked for. Else what its bytes say. */
function refusalOf(
  request: Request,
  response: Response,
  retryAfterMs: number | undefined,
): ((bytes: Uint8Array) => RegistryError) | undefined {
  const { status } = response;
  const contentType =
    (response.headers.get('content-type') ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  const name = `${request.method} ${request.path}`;
  if (status >= 400)
    return (bytes) => readProblem({ request: name, status, contentType, bytes, retryAfterMs });
  if (response.redirected || response.type === 'opaqueredirect' || status >= 300)
    return () =>
      new RegistryError('unexpected_answer', `expected an answer to ${name}, got a redirect`, {
        details: { status },
      });
  if (contentType.includes(request.accept)) return undefined;
  return () =>
    new RegistryError(
      'unexpected_answer',
      `expected ${request.accept} from ${name}, got ${contentType || 'no content type'}`,
      {
        details: { status },
      },
    );
}

function lateAnswer({ method, path }: Request, timeoutMs: number): RegistryError {
  return new RegistryError(
    'unavailable',
    `expected a whole answer to ${method} ${path} within ${timeoutMs} ms, got none`,
  );
}

function noAnswer({ method, path }: Request, cause: unknown): RegistryError {
  if (cause instanceof RegistryError) return cause;
  return new RegistryError(
    'unavailable',
    `expected an answer to ${method} ${path}, got a broken connection${reasonOf(cause)}`,
    { cause },
  );
}

/** What the system calls it, where it is asked: who reads it sees a refused connection from a certificate. */
function reasonOf(error: unknown): string {
  let at = error;
  for (let depth = 0; at instanceof Error && depth < MAX_CAUSES; depth++) {
    if ('code' in at && SYSTEM_CODE.test(String(at.code))) return ` (${at.code})`;
    at = at.cause;
  }
  return '';
}

/** The last error, and for a write without an answer the one thing its caller must know. */
function afterAttempts(
  error: RegistryError,
  { method, path }: Request,
  attempts: number,
): RegistryError {
  if (error.code !== 'unavailable' || (method === 'GET' && attempts === 1)) return error;
  const advice = method === 'POST' ? '; its outcome is unknown, and repeating it is safe' : '';
  return new RegistryError(
    'unavailable',
    `expected an answer to ${method} ${path}, got none in ${attempts} attempts${reasonOf(error)}${advice}`,
    {
      cause: error,
      details: { ...error.details, attempts },
    },
  );
}

function parseBase(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const isUsable =
    parsed !== undefined &&
    /^https?:$/.test(parsed.protocol) &&
    `${parsed.username}${parsed.password}${parsed.search}${parsed.hash}` === '';
  if (!isUsable)
    throw new RegistryError(
      'invalid_request',
      `expected a base url like http://127.0.0.1:7070 without credentials or query, got ${JSON.stringify(url)}`,
    );
  return `${parsed.origin}${parsed.pathname}`.replace(/\/+$/, '');
}
