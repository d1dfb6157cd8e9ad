/**
 * Stands before node:http on a connection and answers the plain reads that are ready. The first request
 * that is anything else goes to node:http with the connection, untouched, and the connection stays there:
 * so do silence, pieces of requests, and whatever must be refused.
 */
import type { Socket } from 'node:net';
import type { EventStream } from '../../http/event-stream.ts';
import type { PlainRead, ReadyReads, StreamAnswer } from '../../http/ready-reads.ts';
import { addressKey } from '../address-key.ts';
import { readPlainGet } from './plain-get.ts';
import { type EndReading, readShared } from './shared-room.ts';
import { socketSink } from './socket-sink.ts';
import { Wire } from './wire.ts';

// Who connects to ask does so at once; node:http knows best what to do with the others.
const FIRST_REQUEST_MS = 500;
// As node:http: a client that takes its time meets an open connection at the announced end.
const KEEP_ALIVE_GRACE_MS = 1000;
// A timer for each connection would be moved at every request.
const TICK_MS = 250;

export interface FrontOptions {
  readonly readyReads: ReadyReads;
  /** Whether another client may stand behind this peer: its requests need their headers read. */
  readonly isProxy: (address: string | undefined) => boolean;
  readonly timeouts: { readonly keepAliveMs: number; readonly stalledMs: number };
}

/** Gives the connection to node:http, with every byte that was not answered. `isUsed`: some were. */
export type HandOver = (state: { readonly isUsed: boolean }) => void;

export class Front {
  readonly #options: FrontOptions;
  readonly #wire: Wire;
  readonly #connections = new Set<FrontConnection>();
  readonly #clock: NodeJS.Timeout;
  /** Counted, so that a connection notes when it was used without asking a clock. */
  #tick = 0;

  constructor(options: FrontOptions) {
    this.#options = options;
    this.#wire = new Wire(options.timeouts.keepAliveMs);
    this.#clock = setInterval(() => this.#sweep(), TICK_MS).unref();
  }

  take(socket: Socket, handOver: HandOver): void {
    if (this.#options.isProxy(socket.remoteAddress)) {
      handOver({ isUsed: false });
      return;
    }
    const { readyReads, timeouts } = this.#options;
    const connection = new FrontConnection(socket, {
      readyReads,
      wire: this.#wire,
      tick: () => this.#tick,
      stalledMs: timeouts.stalledMs,
      handOver,
      onLeave: () => this.#connections.delete(connection),
    });
    this.#connections.add(connection);
  }

  /** Nothing is under way here but bytes that are already written. */
  close(): void {
    clearInterval(this.#clock);
    for (const connection of this.#connections) connection.end();
  }

  #sweep(): void {
    this.#tick++;
    this.#wire.tellTime();
    const limits = {
      first: ticks(FIRST_REQUEST_MS),
      idle: ticks(this.#options.timeouts.keepAliveMs + KEEP_ALIVE_GRACE_MS),
    };
    for (const connection of this.#connections) connection.check(limits);
  }
}

function ticks(ms: number): number {
  return Math.ceil(ms / TICK_MS);
}

/** In ticks. */
interface Limits {
  readonly first: number;
  /** Since the last answer has gone. */
  readonly idle: number;
}

interface ConnectionOptions {
  readonly readyReads: ReadyReads;
  readonly wire: Wire;
  readonly tick: () => number;
  /** Nothing of an answer has moved for so long; node:http gives a reader as long. */
  readonly stalledMs: number;
  readonly handOver: HandOver;
  readonly onLeave: () => void;
}

const NOTHING = Buffer.alloc(0);
// What programs send is shorter; thousands of connections may keep one each.
const MAX_KEPT_BYTES = 512;
// Far more than a client has to say while it reads a stream.
const MAX_AHEAD_BYTES = 16 * 1024;
const LAST_CHUNK = Buffer.from('0\r\n\r\n');

class FrontConnection {
  readonly #socket: Socket;
  readonly #options: ConnectionOptions;
  readonly #endReading: EndReading;
  readonly #client: string;
  #usedAt: number;
  #isUsed = false;
  #isClosing = false;
  /** The last request that was understood: most clients send the same bytes again. */
  #bytes: Buffer | undefined;
  #read: PlainRead | undefined;
  /** While its events are the answer. */
  #events: EventStream | undefined;
  /** What the client sent meanwhile. */
  #ahead: Buffer = NOTHING;

  constructor(socket: Socket, options: ConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#client = addressKey(socket.remoteAddress);
    this.#usedAt = options.tick();
    this.#endReading = readShared(socket, (chunk) => this.#take(chunk));
    socket.on('end', this.#onEnd);
    socket.on('error', this.#onError);
    socket.on('close', this.#onClose);
    socket.on('timeout', this.#onTimeout);
  }

  check({ first, idle }: Limits): void {
    // A stream has times of its own.
    if (this.#events !== undefined) return;
    if (this.#socket.writableLength > 0) this.#waitForReader();
    else if (this.#unused > (this.#isUsed ? idle : first)) this.#giveUp();
  }

  get #unused(): number {
    return this.#options.tick() - this.#usedAt;
  }

  /** Few answers are still there at a tick, so only theirs get a timer: node's, which sees what moves. */
  #waitForReader(): void {
    const { stalledMs, tick } = this.#options;
    this.#usedAt = tick();
    if (this.#socket.timeout !== stalledMs) this.#socket.setTimeout(stalledMs);
  }

  #giveUp(): void {
    if (this.#isUsed) this.#socket.destroy();
    else this.#leave();
  }

  /** Now, or when its stream has ended. */
  end(): void {
    this.#isClosing = true;
    if (this.#events !== undefined) return;
    if (this.#socket.writableLength > 0) this.#socket.destroySoon();
    else this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    if (this.#events !== undefined) {
      this.#keep(chunk);
      return;
    }
    // A new request must not end the answer that is still on its way.
    if (this.#isClosing) return;
    const read = this.#understand(chunk);
    if (read === undefined || !this.#answer(read)) this.#leave(Buffer.from(chunk));
    else this.#usedAt = this.#options.tick();
  }

  /** `undefined` also while the answer before has not gone: its reader is slow, and node:http paces those. */
  #understand(chunk: Buffer): PlainRead | undefined {
    if (this.#socket.writableLength > 0) return undefined;
    if (this.#bytes?.equals(chunk) === true) return this.#read;
    const read = readPlainGet(chunk);
    if (read === undefined || chunk.length > MAX_KEPT_BYTES) return read;
    this.#bytes = Buffer.from(chunk);
    this.#read = read;
    return read;
  }

  #answer(read: PlainRead): boolean {
    const { readyReads, wire } = this.#options;
    const answer = readyReads.read(read, this.#client);
    const stream = answer === undefined ? readyReads.stream(read, this.#client) : undefined;
    if (answer !== undefined) wire.write(this.#socket, answer);
    else if (stream !== undefined) this.#open(stream);
    else return false;
    this.#isUsed = true;
    return true;
  }

  /** What the client sends from now on waits until the stream has ended. */
  #open(stream: StreamAnswer): void {
    const { events } = stream;
    this.#events = events;
    // Most streams outlive their requests by far.
    this.#bytes = undefined;
    this.#read = undefined;
    this.#options.wire.writeHead(this.#socket, stream);
    events.open(socketSink(this.#socket, events, { isChunked: true, end: this.#onStreamEnd }));
  }

  #keep(chunk: Buffer): void {
    this.#ahead = Buffer.concat([this.#ahead, chunk]);
    if (this.#ahead.length > MAX_AHEAD_BYTES) this.#socket.destroy();
  }

  readonly #onStreamEnd = (): void => {
    this.#events = undefined;
    this.#socket.write(LAST_CHUNK);
    this.#usedAt = this.#options.tick();
    if (this.#isClosing) this.end();
    else if (this.#ahead.length > 0) this.#leave(this.#ahead);
  };

  readonly #onEnd = (): void => {
    this.#events?.closed();
    this.#socket.end();
  };

  readonly #onError = (): void => {
    this.#socket.destroy();
  };

  readonly #onTimeout = (): void => {
    if (this.#events === undefined && this.#socket.writableLength > 0) this.#socket.destroy();
  };

  readonly #onClose = (): void => {
    this.#events?.closed();
    this.#options.onLeave();
  };

  #leave(chunk?: Buffer): void {
    const socket = this.#socket;
    socket.pause();
    this.#endReading();
    socket.off('end', this.#onEnd);
    socket.off('error', this.#onError);
    socket.off('close', this.#onClose);
    socket.off('timeout', this.#onTimeout);
    this.#options.onLeave();
    if (chunk !== undefined) socket.unshift(chunk);
    this.#options.handOver({ isUsed: this.#isUsed });
    socket.resume();
  }
}
