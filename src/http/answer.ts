/** What a handler answers, before it is an HTTP response: plain data, so that one place adds the rest. */
import { CACHE_CONTROL, type Caching } from '../api/caching.ts';
import { canonicalBytes } from '../core/canonical.ts';
import type { EventStream } from './event-stream.ts';

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** A stream is read only if the request wants a body, and then once. */
  readonly body: Uint8Array | ReadableStream<Uint8Array> | EventStream | null;
  /** Of a stream: nobody else has its pieces, and who sends them may empty them. */
  readonly isGivenAway?: true;
}

export interface BodyOptions {
  readonly status?: number;
  readonly mediaType?: string;
  readonly caching: Caching;
  /** Quoted, strong. */
  readonly etag?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** `body`: bytes as they are to be sent. */
export function answerBytes(body: Answer['body'], options: BodyOptions): Answer {
  const { status = 200, mediaType = 'application/json', caching, etag, headers } = options;
  return {
    status,
    headers: {
      'Content-Type': mediaType,
      'Cache-Control': CACHE_CONTROL[caching],
      ...(body instanceof Uint8Array && { 'Content-Length': `${body.length}` }),
      ...(etag !== undefined && { ETag: etag }),
      ...headers,
    },
    body,
  };
}

/** JSON that nobody may store. */
export function answerJson(value: unknown, options: Partial<BodyOptions> = {}): Answer {
  return answerBytes(canonicalBytes(value), { caching: 'none', ...options });
}
