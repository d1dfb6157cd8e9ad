/** Many open streams of one registry, each read as it comes. What they bring is told to `Arrivals`. */
import {
  type ClientRequest,
  Agent as HttpAgent,
  get as httpGet,
  type IncomingMessage,
} from 'node:http';
import { Agent as HttpsAgent, get as httpsGet } from 'node:https';
import { RegistryError } from '../../core/error.ts';
import type { Arrivals } from './arrivals.ts';
import type { BenchClock } from './clock.ts';
import { type Frame, FrameReader } from './frames.ts';
import { ErrorCounts, faultOf } from './load.ts';

export interface SubscribersOptions {
  /** Base URL of the registry. */
  readonly url: string;
  readonly count: number;
  readonly clock: BenchClock;
  readonly arrivals: Arrivals;
  /** Something came, or a stream ended. */
  readonly onChange: () => void;
}

/** Connections that are being made at once: a listener's backlog is not what is measured. */
const OPENING = 64;
const MAX_REFUSAL_BYTES = 16 * 1024;
const ENDINGS: ReadonlySet<string> = new Set(['registry.closing', 'registry.reset']);

export class Subscribers implements Disposable {
  readonly #options: SubscribersOptions;
  readonly #agent: HttpAgent;
  readonly #requests: ClientRequest[] = [];
  /** Streams that broke or ended, and resets. */
  readonly errors = new ErrorCounts();
  #opened = 0;
  #isClosing = false;

  constructor(options: SubscribersOptions) {
    this.#options = options;
    this.#agent = options.url.startsWith('https:') ? new HttpsAgent() : new HttpAgent();
  }

  /** Resolves when each has its first event; throws the first refusal. */
  async open(onProgress: (done: number, total: number) => void): Promise<void> {
    const { count } = this.#options;
    let next = 0;
    const openOthers = async (): Promise<void> => {
      while (next < count && !this.#isClosing) {
        await this.#openOne(next++);
        onProgress(++this.#opened, count);
      }
    };
    await Promise.all(Array.from({ length: Math.min(OPENING, count) }, openOthers));
  }

  [Symbol.dispose](): void {
    this.#isClosing = true;
    for (const request of this.#requests) request.destroy();
    this.#agent.destroy();
  }

  #openOne(subscriber: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let isEnded = false;
    const onEnd = (cause: string) => {
      if (this.#isClosing || isEnded) return;
      isEnded = true;
      this.errors.add(cause);
      this.#options.arrivals.end(subscriber);
      reject(refusedAfter(this.#opened, cause));
      this.#options.onChange();
    };
    const onAnswer = (message: IncomingMessage) => {
      if (message.statusCode !== 200) return void readRefusal(message).then(onEnd);
      message.on('close', () => onEnd('stream closed'));
      this.#follow(subscriber, message, resolve);
    };
    const url = `${this.#options.url.replace(/\/+$/, '')}/registry/stream`;
    const options = { agent: this.#agent, headers: { accept: 'text/event-stream' } };
    const request = url.startsWith('https:')
      ? httpsGet(url, options, onAnswer)
      : httpGet(url, options, onAnswer);
    this.#requests.push(request);
    request.on('error', (error) => onEnd('code' in error ? String(error.code) : error.message));
    return promise;
  }

  #follow(subscriber: number, message: IncomingMessage, onEvent: () => void): void {
    const { clock, onChange } = this.#options;
    const reader = new FrameReader();
    // One character for each byte: what is read of a frame is ascii, and pieces may end inside a character.
    message.setEncoding('latin1');
    message.on('data', (piece: string) => {
      const at = clock.wallTime();
      for (const frame of reader.add(piece)) if (this.#take(subscriber, frame, at)) onEvent();
      onChange();
    });
  }

  #take(subscriber: number, { event, id, data }: Frame, at: number): boolean {
    if (ENDINGS.has(event)) this.errors.add(event);
    if (event !== 'registry.update' || id === undefined) return false;
    const committedAt = () => committedAtIn(data);
    this.#options.arrivals.add(subscriber, { version: id, at, committedAt });
    return true;
  }
}

function committedAtIn(data: string): number {
  const [, time = ''] = /"committed_at":"([^"]{1,40})"/.exec(data) ?? [];
  return Date.parse(time);
}

async function readRefusal(message: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of message) if (text.length < MAX_REFUSAL_BYTES) text += chunk;
  const { statusCode: status = 0 } = message;
  return faultOf({ status, etag: undefined, isWhole: true, text }, []) ?? '';
}

function refusedAfter(opened: number, cause: string): RegistryError {
  return new RegistryError(
    'unavailable',
    `expected a stream for each subscriber, got ${cause} after ${opened}: the registry bounds them by max_connections_per_address and max_streams_per_address`,
  );
}
