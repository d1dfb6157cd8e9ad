/** Many subscribers of one server over plain sockets, thin enough that the client is not what is measured. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { openFilesLimit } from './machine.ts';

/** What a server sends, and where. */
export interface Stream {
  readonly path: string;
  /** In what comes first on a connection, once. */
  readonly hello: string;
  /** In each event, once. */
  readonly event: string;
}

export const REGISTRY_STREAM: Stream = {
  path: '/registry/stream',
  // The newest head.
  hello: 'event: registry.update',
  event: 'event: registry.update',
};

/** An event that is lost ends a run, it does not hold it up. */
const DEADLINE_MS = 60_000;
/** Files of a process that are not its subscribers. */
const OTHER_FILES = 200;
/** Connecting all at once would measure the listen queue. */
const CONNECT_AT_ONCE = 100;
/** Read into by all sockets in turn: a buffer for each read would cost more than the read. */
const ROOM = new Uint8Array(65_536);

/** Throws unless this process, and the server that it starts, may have so many connections. */
export function assertRoomFor(count: number): void {
  const [needed, limit] = [count + OTHER_FILES, openFilesLimit()];
  if (limit < needed)
    throw new Error(`expected ${needed} open files to be allowed, got ${limit}: raise ulimit -n`);
}

export class Subscribers implements AsyncDisposable {
  readonly #url: string;
  readonly #stream: Stream;
  readonly #sockets: Socket[] = [];
  #arrivals: number[] = [];
  #bytes = 0;
  #wanted = Number.POSITIVE_INFINITY;
  #onReached: () => void = () => undefined;
  #failure: Error | undefined;

  private constructor(url: string, stream: Stream) {
    this.#url = url;
    this.#stream = stream;
  }

  /** All connected, each having what a stream begins with: a registry's the newest head. */
  static async open(url: string, count: number, stream = REGISTRY_STREAM): Promise<Subscribers> {
    const subscribers = new Subscribers(url, stream);
    try {
      await subscribers.add(count);
      return subscribers;
    } catch (error) {
      await subscribers[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** So many more. */
  async add(count: number): Promise<void> {
    for (let left = count; left > 0; left -= CONNECT_AT_ONCE) {
      const part = Math.min(left, CONNECT_AT_ONCE);
      const reached = this.reached(part);
      await Promise.all([reached, ...Array.from({ length: part }, () => this.#connect())]);
    }
  }

  get count(): number {
    return this.#sockets.length;
  }

  /** When each event came since `reached` was last called, by `performance.now()`, in their order. */
  get arrivals(): readonly number[] {
    return this.#arrivals;
  }

  /** That came since, framing and all. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Resolves when so many more events have come than had when this was called; rejects when they do not. */
  async reached(events: number): Promise<void> {
    this.#wanted = events;
    this.#arrivals = [];
    this.#bytes = 0;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#onReached = () => (this.#failure === undefined ? resolve() : reject(this.#failure));
    const overdue = setTimeout(() => {
      const came = this.#arrivals.length;
      this.#fail(new Error(`expected ${events} events in ${DEADLINE_MS} ms, got ${came}`));
    }, DEADLINE_MS);
    try {
      if (this.#failure !== undefined) this.#onReached();
      await promise;
    } finally {
      clearTimeout(overdue);
    }
  }

  async #connect(): Promise<void> {
    const { hostname, port } = new URL(this.#url);
    const { path, hello, event } = this.#stream;
    let awaited = Buffer.from(hello);
    const take = (length: number, bytes: Uint8Array) => {
      if (this.#take(Buffer.from(bytes.buffer, 0, length), awaited)) awaited = Buffer.from(event);
      return true;
    };
    const onread = { buffer: ROOM, callback: take };
    const socket = connect({ host: hostname, port: Number(port), onread });
    this.#sockets.push(socket);
    socket.on('error', (error) => this.#fail(error));
    socket.on('end', () => this.#fail(new Error('expected a stream to stay open, it ended')));
    await once(socket, 'connect');
    const lines = [`GET ${path} HTTP/1.1`, 'host: localhost', 'accept: text/event-stream'];
    socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  }

  /** A frame is written whole and is small: over loopback it arrives so. Whether one did. */
  #take(chunk: Buffer, event: Buffer): boolean {
    const before = this.#arrivals.length;
    this.#bytes += chunk.length;
    for (let at = chunk.indexOf(event); at >= 0; at = chunk.indexOf(event, at + event.length))
      this.#arrivals.push(performance.now());
    if (this.#arrivals.length >= this.#wanted) this.#onReached();
    return this.#arrivals.length > before;
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#onReached();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#fail(new Error('expected subscribers to stay, they were closed'));
    const closed = this.#sockets
      .filter((socket) => !socket.closed)
      .map((socket) => once(socket.removeAllListeners('end'), 'close'));
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(closed);
  }
}
