/**
 * One subscription as the body of an answer. Pulled: the next event is read when the last one is on
 * its way, so at most one waits here for a reader that does not drain, and that one is timed.
 */
import { encodeUtf8 } from '../core/bytes.ts';
import type { FeedEvent, Subscription } from '../registry/registry.ts';
import type { HttpTimers } from './deps.ts';

export interface EventBodyOptions {
  readonly subscription: Subscription;
  readonly timers: HttpTimers;
  readonly slowAfterMs: number;
  /** How long a client waits before it reconnects; sent first. */
  readonly retryMs: number;
  /** Of the request: aborted when the client is gone. */
  readonly signal: AbortSignal;
  /** Called exactly once, however the stream ends. */
  readonly onEnd: () => void;
  /** An event has waited for `slowAfterMs`: the connection must go. */
  readonly onSlow: () => void;
  /** The next event could not be read: the stream ends, and the client resumes. */
  readonly onFailure: (cause: unknown) => void;
}

export class EventBody implements UnderlyingDefaultSource<Uint8Array> {
  readonly #options: EventBodyOptions;
  readonly #onAbort = (): void => this.#close();
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #slowTimer: unknown;
  #isOver = false;

  constructor(options: EventBodyOptions) {
    this.#options = options;
  }

  start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    const { retryMs, signal } = this.#options;
    this.#controller = controller;
    controller.enqueue(encodeUtf8(`retry: ${retryMs}\n\n`));
    if (signal.aborted) this.#close();
    else signal.addEventListener('abort', this.#onAbort);
  }

  /** Called when the queue is empty: what was in it has been taken. */
  async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    this.#disarm();
    const event = await this.#next();
    if (this.#isOver) return;
    if (event !== undefined && event.frame.length > 0) controller.enqueue(event.frame);
    if (event === undefined || event.type === 'end') this.#close();
    else if ((controller.desiredSize ?? 0) <= 0) this.#arm();
  }

  cancel(): void {
    this.#end();
  }

  async #next(): Promise<FeedEvent | undefined> {
    try {
      return await this.#options.subscription.next();
    } catch (cause) {
      this.#options.onFailure(cause);
      return undefined;
    }
  }

  #arm(): void {
    const { timers, slowAfterMs, onSlow } = this.#options;
    this.#slowTimer = timers.setTimeout(() => {
      this.#close();
      onSlow();
    }, slowAfterMs);
  }

  #disarm(): void {
    if (this.#slowTimer !== undefined) this.#options.timers.clearTimeout(this.#slowTimer);
    this.#slowTimer = undefined;
  }

  /** What was enqueued can still be read; then the stream is done. */
  #close(): void {
    if (this.#isOver) return;
    this.#end();
    this.#controller?.close();
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#disarm();
    this.#options.signal.removeEventListener('abort', this.#onAbort);
    this.#options.subscription.close();
    this.#options.onEnd();
  }
}
