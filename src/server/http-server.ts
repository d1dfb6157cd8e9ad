/**
 * A node:http server that is hard to hold open and hard to confuse: bounded times and headers, one
 * reading of every request, and an end that lets answers finish. What it serves is not its matter.
 */
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import { type AddressInfo, Socket } from 'node:net';
import type { Address, SocketPath } from './config-values.ts';
import { framingFault } from './framing.ts';
import { listenError } from './listen-error.ts';
import { endWithProblem, parserProblem, type RawProblem } from './raw-problem.ts';

const MAX_HEADER_BYTES = 16 * 1024;
// Node's timeouts are only as fine as the interval at which it looks: 30 s by default.
const CHECK_INTERVAL_MS = 1000;
// Most who close their side have gone; the few who only finished sending get an answer that is quick.
const HALF_CLOSED_GRACE_MS = 1000;
const NO_TUNNELS: RawProblem = { status: 400, detail: 'expected no connect request, got one' };

export interface HttpServerOptions {
  readonly timeouts: {
    readonly headersMs: number;
    readonly requestMs: number;
    readonly keepAliveMs: number;
  };
  readonly listener: RequestListener;
  /** Told of every request that never reached `listener`. */
  readonly onRefused: (problem: RawProblem) => void;
  /** A connection could not be accepted, for want of file descriptors for example. */
  readonly onError: (error: Error) => void;
}

export class HttpServer {
  readonly #server: Server;
  readonly #options: HttpServerOptions;
  /** Connected, and nothing asked yet. */
  readonly #silent = new Set<Socket>();
  readonly #answers = new Set<ServerResponse>();
  /** Refused: what else they sent along is not looked at. */
  readonly #refused = new WeakSet<Socket>();
  #isClosing = false;

  constructor(options: HttpServerOptions) {
    const { headersMs, requestMs, keepAliveMs } = options.timeouts;
    this.#options = options;
    this.#server = createServer(
      {
        headersTimeout: Math.min(headersMs, requestMs),
        requestTimeout: requestMs,
        keepAliveTimeout: keepAliveMs,
        connectionsCheckingInterval: Math.min(CHECK_INTERVAL_MS, headersMs, requestMs),
        maxHeaderSize: MAX_HEADER_BYTES,
        // Node answers 400 and then goes on to the next request; `framingFault` does not.
        requireHostHeader: false,
        noDelay: true,
      },
      (request, response) => this.#serve(request, response),
    );
    Object.assign(this.#server, { httpAllowHalfOpen: true });
    this.#server.on('connection', (socket) => this.#accept(socket));
    this.#server.on('connect', (_, socket) => this.#refuse(socket, NO_TUNNELS));
    this.#server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
      const problem = parserProblem(error.code);
      if (problem === undefined) socket.destroy();
      else this.#refuse(socket, problem);
    });
  }

  /** Resolves with the address in force; throws `invalid_request` in words an operator can act on. */
  async listen<A extends Address | SocketPath>(address: A): Promise<A> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (cause) => reject(listenError(cause, address)));
      this.#server.listen({ ...address }, resolve);
    });
    this.#server.removeAllListeners('error').on('error', this.#options.onError);
    const bound = this.#server.address();
    return isAddressInfo(bound) ? { ...address, host: bound.address, port: bound.port } : address;
  }

  /** Stops accepting, lets answers end for at most `deadlineMs`, then cuts what is left. */
  async close(deadlineMs: number): Promise<void> {
    this.#isClosing = true;
    for (const socket of this.#silent) socket.destroy();
    for (const response of this.#answers) announceClose(response);
    const cut = setTimeout(() => this.#server.closeAllConnections(), deadlineMs);
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
    clearTimeout(cut);
  }

  #accept(socket: Socket): void {
    this.#silent.add(socket);
    socket.once('close', () => this.#silent.delete(socket));
    socket.once('end', () => {
      const grace = setTimeout(() => socket.destroy(), HALF_CLOSED_GRACE_MS);
      socket.once('close', () => clearTimeout(grace));
    });
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request;
    if (this.#refused.has(socket)) return;
    const fault = framingFault(request);
    if (fault !== undefined) {
      this.#refuse(socket, { status: 400, detail: fault });
      return;
    }
    this.#silent.delete(socket);
    this.#answers.add(response);
    response.once('close', () => this.#answered(response));
    if (this.#isClosing) announceClose(response);
    this.#options.listener(request, response);
  }

  #answered(response: ServerResponse): void {
    this.#answers.delete(response);
    // `close` ended the connections that were idle then; that of a stream has become so since.
    if (this.#isClosing) setImmediate(() => this.#server.closeIdleConnections());
  }

  #refuse(socket: unknown, problem: RawProblem): void {
    if (!(socket instanceof Socket) || this.#refused.has(socket)) return;
    this.#refused.add(socket);
    this.#options.onRefused(problem);
    // To a client that waits for an answer, these bytes would be that answer, or a part of it.
    const isAwaited = [...this.#answers].some(
      ({ req, headersSent }) => req.socket === socket && (req.complete || headersSent),
    );
    if (isAwaited) socket.destroy();
    else endWithProblem(socket, problem);
  }
}

/** So that the client does not send its next request into a connection that ends. */
function announceClose(response: ServerResponse): void {
  if (!response.headersSent) response.setHeader('connection', 'close');
}

function isAddressInfo(address: AddressInfo | string | null): address is AddressInfo {
  return typeof address === 'object' && address !== null;
}
