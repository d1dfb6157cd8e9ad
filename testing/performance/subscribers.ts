/** Many subscribers of one server over plain sockets, thin enough that the client is not what is measured. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

const EVENT = Buffer.from('event: registry.update');
/** Connecting all at once would measure the listen queue. */
const CONNECT_AT_ONCE = 100;

export class Subscribers implements AsyncDisposable {
  readonly #sockets: Socket[] = [];
  /** Events that have come over all sockets. */
  #seen = 0;
  #wanted = Number.POSITIVE_INFINITY;
  #onReached: () => void = () => undefined;
  #failure: Error | undefined;

  /** All connected, each having the head that a stream begins with. */
  static async open(url: string, count: number): Promise<Subscribers> {
    const subscribers = new Subscribers();
    try {
      const { hostname, port } = new URL(url);
      for (let left = count; left > 0; left -= CONNECT_AT_ONCE) {
        const part = Math.min(left, CONNECT_AT_ONCE);
        const reached = subscribers.reached(part);
        await Promise.all(
          Array.from({ length: part }, () => subscribers.#connect(hostname, Number(port))),
        );
        await reached;
      }
      return subscribers;
    } catch (error) {
      await subscribers[Symbol.asyncDispose]();
      throw error;
    }
  }

  get count(): number {
    return this.#sockets.length;
  }

  /** Resolves when so many more events have come than had when this was called. */
  reached(events: number): Promise<void> {
    this.#wanted = this.#seen + events;
    return new Promise((resolve, reject) => {
      this.#onReached = () => (this.#failure === undefined ? resolve() : reject(this.#failure));
      if (this.#failure !== undefined) reject(this.#failure);
    });
  }

  async #connect(host: string, port: number): Promise<void> {
    const socket = connect(port, host);
    this.#sockets.push(socket);
    socket.on('error', (error) => this.#fail(error));
    socket.on('end', () => this.#fail(new Error('expected a stream to stay open, it ended')));
    socket.on('data', (chunk) => this.#take(chunk));
    await once(socket, 'connect');
    socket.write('GET /registry/stream HTTP/1.1\r\nhost: localhost\r\n\r\n');
  }

  /** A frame is written whole and is small: over loopback it arrives so. */
  #take(chunk: Buffer): void {
    for (let at = chunk.indexOf(EVENT); at >= 0; at = chunk.indexOf(EVENT, at + EVENT.length))
      this.#seen++;
    if (this.#seen >= this.#wanted) this.#onReached();
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#onReached();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = this.#sockets
      .filter((socket) => !socket.closed)
      .map((socket) => once(socket.removeAllListeners('end'), 'close'));
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(closed);
  }
}
