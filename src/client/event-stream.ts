/**
 * Server-sent events as hints. What an event says is never believed, so only the version it points at
 * is read from it; bounded in memory, and dead when no byte comes for too long.
 */
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { STREAM_EVENTS } from '../api/events.ts';
import { RegistryError } from '../core/error.ts';
import { chunksOf } from './body.ts';
import type { Clock } from './clock.ts';

const MAX_EVENT_CHARACTERS = 64 * 1024;

export type StreamHint =
  /** A head may be there; `undefined` when the event did not say which. */
  | { readonly type: 'head'; readonly version: number | undefined }
  /** The server does not know the cursor. */
  | { readonly type: 'reset' }
  /** The server ends the stream: reconnect. */
  | { readonly type: 'closing' };

export interface StreamOptions {
  readonly clock: Clock;
  /** Without a byte for this long (heartbeats come every 15 s) the connection is dead. */
  readonly idleMs: number;
  readonly signal: AbortSignal;
  /** The server's `retry:` field, in milliseconds. */
  readonly onRetry: (retryMs: number) => void;
}

/**
 * Pulls: what is not asked for stays in the connection, and in the end at the server. Throws
 * `unavailable` (dead, broken) or `unexpected_answer` (an event without end).
 */
export async function* readHints(
  body: ReadableStream<Uint8Array>,
  options: StreamOptions,
): AsyncGenerator<StreamHint, void, void> {
  const decoder = new TextDecoder();
  const hints: StreamHint[] = [];
  const parser = createParser({
    maxBufferSize: MAX_EVENT_CHARACTERS,
    onEvent: (event) => hints.push(...hintOf(event)),
    onRetry: options.onRetry,
    onError: (cause) => {
      if (cause.type === 'max-buffer-size-exceeded')
        throw new RegistryError(
          'unexpected_answer',
          `expected events of at most ${MAX_EVENT_CHARACTERS} characters, got a longer one`,
          { cause },
        );
    },
  });
  for await (const chunk of lively(body, options)) {
    parser.feed(decoder.decode(chunk, { stream: true }));
    yield* hints.splice(0);
  }
}

/** The chunks, until one is late. */
async function* lively(
  body: ReadableStream<Uint8Array>,
  { clock, idleMs, signal }: StreamOptions,
): AsyncGenerator<Uint8Array, void, void> {
  const dead = new AbortController();
  const wait = () =>
    clock.after(idleMs, () =>
      dead.abort(
        new RegistryError(
          'unavailable',
          `expected an event or a heartbeat within ${idleMs} ms, got no byte`,
        ),
      ),
    );
  let stopWaiting = wait();
  try {
    for await (const chunk of chunksOf(body, AbortSignal.any([signal, dead.signal]))) {
      stopWaiting();
      yield chunk;
      // A consumer that takes its time is no dead connection.
      stopWaiting = wait();
    }
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof RegistryError) throw cause;
    throw new RegistryError(
      'unavailable',
      'expected the stream to go on, got a broken connection',
      { cause },
    );
  } finally {
    stopWaiting();
  }
}

function hintOf({ event, data }: EventSourceMessage): readonly StreamHint[] {
  switch (event) {
    case STREAM_EVENTS.update:
    case STREAM_EVENTS.progress:
      return [{ type: 'head', version: versionIn(data) }];
    case STREAM_EVENTS.reset:
      return [{ type: 'reset' }];
    case STREAM_EVENTS.closing:
      return [{ type: 'closing' }];
    default:
      return [];
  }
}

function versionIn(data: string): number | undefined {
  try {
    const value: unknown = JSON.parse(data);
    const version =
      typeof value === 'object' && value !== null && 'version' in value ? value.version : undefined;
    return typeof version === 'number' && Number.isSafeInteger(version) ? version : undefined;
  } catch {
    return undefined;
  }
}
