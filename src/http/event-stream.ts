/**
 * One subscription as the body of an answer, whatever carries it. The next event is read when the last one
 * has gone, so at most one waits here for a reader that does not drain, and that one is timed.
 */
import { encodeUtf8 } from '../core/bytes.ts';
import type { FeedEvent, Subscription } from '../registry/registry.ts';
import type { HttpTimers } from './timers.ts';

/** Where the bytes of a stream go. */
export interface EventSink {
  /** `false`: they have not gone yet, and `EventStream.drained` is called when they have. */
  write(bytes: Uint8Array): boolean;
  /** Ends the answer after what was written. */
  end(): void;
  /** The connection must go, at once. */
  destroy(): void;
}

export interface EventStreamOptions {
  readonly subscription: Subscription;
  readonly timers: HttpTimers;
  readonly slowAfterMs: number;
  /** How long a client waits before it reconnects; sent first. */
  readonly retryMs: number;
  /** Called exactly once, however the stream ends. */
  readonly onEnd: () => void;
  /** The first bytes or an event have waited for `slowAfterMs`: the connection goes. */
  readonly onSlow: () => void;
  /** The next event could not be read: the stream ends, and the client resumes. */
  readonly onFailure: (cause: unknown) => void;
}

export class EventStream {
  readonly #options: EventStreamOptions;
  readonly #pump = (): void => this.#send();
  #sink: EventSink | undefined;
  #slowTimer: unknown;
  #isDrained = false;
  #isReading = false;
  #isOver = false;

  constructor(options: EventStreamOptions) {
    this.#options = options;
  }

  /** Once. */
  open(sink: EventSink): void {
    this.#sink = sink;
    this.#isDrained = sink.write(encodeUtf8(`retry: ${this.#options.retryMs}\n\n`));
    if (this.#isDrained) this.#send();
    else this.#arm();
  }

  /** What was written has gone. */
  drained(): void {
    this.#disarm();
    this.#isDrained = true;
    this.#send();
  }

  /** The client has gone. */
  closed(): void {
    this.#end();
  }

  /** As much as there is and the reader takes. */
  #send(): void {
    while (this.#isDrained && !this.#isReading && !this.#isOver) {
      const event = this.#poll();
      if (event === undefined) return;
      if (event instanceof Promise) this.#sendLater(event);
      else this.#write(event);
    }
  }

  #poll(): FeedEvent | Promise<FeedEvent> | undefined {
    try {
      return this.#options.subscription.poll(this.#pump);
    } catch (cause) {
      return Promise.reject(cause);
    }
  }

  #sendLater(event: Promise<FeedEvent>): void {
    this.#isReading = true;
    event.then(
      (read) => {
        this.#isReading = false;
        if (this.#isOver) return;
        this.#write(read);
        this.#send();
      },
      (cause: unknown) => {
        if (this.#isOver) return;
        this.#options.onFailure(cause);
        this.#finish();
      },
    );
  }

  #write({ type, frame }: FeedEvent): void {
    if (frame.length > 0) this.#isDrained = this.#sink?.write(frame) ?? false;
    if (type === 'end') this.#finish();
    else if (!this.#isDrained) this.#arm();
  }

  #arm(): void {
    const { timers, slowAfterMs, onSlow } = this.#options;
    this.#slowTimer = timers.setTimeout(() => {
      this.#end();
      onSlow();
      this.#sink?.destroy();
    }, slowAfterMs);
  }

  #disarm(): void {
    if (this.#slowTimer !== undefined) this.#options.timers.clearTimeout(this.#slowTimer);
    this.#slowTimer = undefined;
  }

  #finish(): void {
    this.#end();
    this.#sink?.end();
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#disarm();
    this.#options.subscription.close();
    this.#options.onEnd();
  }
}

/** The stream as a body that is pulled, for who carries nothing else. `hangUp`: destroys the connection. */
export function pulledBody(
  events: EventStream,
  { signal, hangUp }: { readonly signal: AbortSignal; readonly hangUp: () => void },
): ReadableStream<Uint8Array> {
  let isClosed = false;
  return new ReadableStream<Uint8Array>({
    start(controller) {
      const end = (): void => {
        if (!isClosed) controller.close();
        isClosed = true;
      };
      events.open({
        write: (bytes) => {
          controller.enqueue(bytes);
          return (controller.desiredSize ?? 0) > 0;
        },
        end,
        destroy: () => {
          end();
          hangUp();
        },
      });
      const abort = (): void => {
        events.closed();
        end();
      };
      if (signal.aborted) abort();
      else signal.addEventListener('abort', abort, { once: true });
    },
    pull: () => events.drained(),
    cancel: () => {
      isClosed = true;
      events.closed();
    },
  });
}
