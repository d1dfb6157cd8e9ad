/**
 * Server-sent events as hints. What an event says is never believed: the version it points at is asked
 * for, and the checkpoint it carries is judged as any other. Bounded in memory, and dead when no event
 * comes for too long.
 */
import { createParser, type EventSourceMessage, type ParserCallbacks } from 'eventsource-parser';
import { STREAM_EVENTS } from '../api/events.ts';
import { RegistryError } from '../core/error.ts';
import { MAX_NOTE_CHARACTERS } from '../core/tlog/note.ts';
import { chunksOf } from './body.ts';
import type { Clock } from './clock.ts';

/** A note doubles at most when its line ends are escaped; a head stands beside it. */
const MAX_EVENT_CHARACTERS = 2 * MAX_NOTE_CHARACTERS + 64 * 1024;

export type StreamHint =
  /** A head may be there, and a signed checkpoint of it; `undefined` where the event did not say. */
  | {
      readonly type: 'head';
      readonly version: number | undefined;
      readonly note: string | undefined;
    }
  /** The server does not know the cursor. */
  | { readonly type: 'reset' }
  /** The server ends the stream: reconnect. */
  | { readonly type: 'closing' };

export interface StreamOptions {
  readonly clock: Clock;
  /** Without an event for this long (heartbeats come every 15 s) the stream is dead, whatever bytes a proxy sends. */
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
  { clock, idleMs, signal, onRetry }: StreamOptions,
): AsyncGenerator<StreamHint, void, void> {
  const dead = new AbortController();
  const die = () => dead.abort(unavailable(`expected an event within ${idleMs} ms, got none`));
  let stop = clock.after(idleMs, die);
  const wait = () => {
    stop();
    stop = clock.after(idleMs, die);
  };
  const hints: StreamHint[] = [];
  const feed = createFeed({
    onRetry,
    onEvent: (event) => {
      wait();
      hints.push(...hintOf(event));
    },
  });
  try {
    for await (const chunk of chunksOf(body, AbortSignal.any([signal, dead.signal]))) {
      feed(chunk);
      for (const hint of hints.splice(0)) {
        // A consumer that takes its time is no dead connection.
        stop();
        yield hint;
        wait();
      }
    }
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof RegistryError) throw cause;
    throw unavailable('expected the stream to go on, got a broken connection', cause);
  } finally {
    stop();
  }
}

function createFeed(
  callbacks: Pick<ParserCallbacks, 'onEvent' | 'onRetry'>,
): (chunk: Uint8Array) => void {
  const decoder = new TextDecoder();
  const parser = createParser({
    ...callbacks,
    maxBufferSize: MAX_EVENT_CHARACTERS,
    onError: (cause) => {
      if (cause.type !== 'max-buffer-size-exceeded') return;
      const expected = `expected events of at most ${MAX_EVENT_CHARACTERS} characters`;
      throw new RegistryError('unexpected_answer', `${expected}, got a longer one`, { cause });
    },
  });
  return (chunk) => parser.feed(decoder.decode(chunk, { stream: true }));
}

function unavailable(message: string, cause?: unknown): RegistryError {
  return new RegistryError('unavailable', message, { cause });
}

function hintOf({ event, data }: EventSourceMessage): readonly StreamHint[] {
  switch (event) {
    case STREAM_EVENTS.update:
    case STREAM_EVENTS.progress:
      return [{ type: 'head', ...headIn(data) }];
    case STREAM_EVENTS.reset:
      return [{ type: 'reset' }];
    case STREAM_EVENTS.closing:
      return [{ type: 'closing' }];
    default:
      return [];
  }
}

function headIn(data: string): { version: number | undefined; note: string | undefined } {
  const { version, checkpoint } = membersOf(data);
  return {
    version: typeof version === 'number' && Number.isSafeInteger(version) ? version : undefined,
    note: typeof checkpoint === 'string' ? checkpoint : undefined,
  };
}

function membersOf(data: string): { version?: unknown; checkpoint?: unknown } {
  try {
    const value: unknown = JSON.parse(data);
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}
