/**
 * A node:http server that is hard to hold open and hard to confuse: bounded connections, times and
 * headers, one reading of every request, and an end that lets answers finish. What it serves is not its
 * matter.
 */
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, Server as NetServer, Socket } from 'node:net';
import type { Address, SocketPath } from './config-values.ts';
import { framingFault } from './framing.ts';
import { Front, type FrontOptions } from './front/front.ts';
import { watchBody } from './listen/body-clock.ts';
import type { Connections } from './listen/connections.ts';
import type { TlsCertificate } from './listen/tls.ts';
import { Turns } from './listen/turns.ts';
import { listenOnSocket } from './listen/unix-socket.ts';
import { listenError } from './listen-error.ts';
import { endWithProblem, parserProblem, type RawProblem, TOO_LATE } from './raw-problem.ts';

const MAX_HEADER_BYTES = 16 * 1024;
// Node's timeouts are only as fine as the interval at which it looks: 30 s by default.
const CHECK_INTERVAL_MS = 1000;
// Most who close their side have gone; the few who only finished sending get an answer that is quick.
const HALF_CLOSED_GRACE_MS = 1000;
// Longer than the longest silence of an answer that goes well: a long poll waits 60 s, and the kernel
// takes what it sends to a slow reader in bursts.
const STALLED_ANSWER_MS = 120_000;
const OWNER_ONLY = 0o600;
const NO_TUNNELS: RawProblem = { status: 400, detail: 'expected no connect request, got one' };
const TOO_MANY_AT_ONCE: RawProblem = {
  status: 400,
  detail: 'expected at most 16 requests at once on a connection, got more',
};
const NO_EXPECTATIONS: RawProblem = {
  status: 417,
  detail: 'expected no expectation but 100-continue, got another',
};

export interface HttpServerOptions {
  readonly timeouts: {
    readonly headersMs: number;
    readonly requestMs: number;
    readonly keepAliveMs: number;
    /** A connection on which nothing moves for this long, because its reader does not read. Default 2 min. */
    readonly stalledMs?: number;
  };
  readonly listener: RequestListener;
  /** Answers plain reads before node:http sees them; not with TLS. */
  readonly front?: Pick<FrontOptions, 'readyReads' | 'isProxy'>;
  /** Of a request that may take as long as its body keeps coming. Default: none may. */
  readonly isUpload?: (request: IncomingMessage) => boolean;
  /** Told of every request that never reached `listener`. */
  readonly onRefused: (problem: RawProblem, socket: Socket) => void;
  /** A connection could not be accepted, for want of file descriptors for example. */
  readonly onError: (error: Error) => void;
  /** Default: plain HTTP. */
  readonly tls?: TlsCertificate | undefined;
  /** Who may connect, and how often. Default: everybody, without a cap. */
  readonly connections?: Connections;
  /** In all, for a listener that few have business with: one more is closed at once. Default: no cap. */
  readonly maxConnections?: number;
  /** Permissions of a Unix socket. Default: its owner alone. */
  readonly socketMode?: number;
}

export class HttpServer {
  readonly #server: Server;
  readonly #front: Front | undefined;
  readonly #options: HttpServerOptions;
  /** Accepted and not closed; with TLS the connections below it. */
  readonly #sockets = new Set<Socket>();
  /** Connected, and nothing asked yet. */
  readonly #silent = new Set<Socket>();
  readonly #answers = new Set<ServerResponse>();
  /** Refused: what else they sent along is not looked at. */
  readonly #refused = new WeakSet<Socket>();
  readonly #turns = new Turns();
  #isUnixSocket = false;
  #isClosing = false;

  constructor(options: HttpServerOptions) {
    this.#options = options;
    this.#server = createNodeServer(options, (request, response) => this.#serve(request, response));
    this.#front = createFront(options);
    if (options.maxConnections !== undefined) this.#server.maxConnections = options.maxConnections;
    this.#guardConnections();
    this.#server.on('secureConnection', (socket: Socket) => this.#open(socket));
    this.#server.on('connect', (_, socket) => this.#refuse(socket, NO_TUNNELS));
    this.#server.on('timeout', (socket) => this.#endStalled(socket));
    // Node would answer and take the next request, without a look at how this one is framed.
    this.#server.on('checkExpectation', ({ socket }) => this.#refuse(socket, NO_EXPECTATIONS));
    this.#server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
      const problem = parserProblem(error.code);
      if (problem === undefined) socket.destroy();
      else this.#refuse(socket, problem);
    });
  }

  /** Resolves with the address in force; throws `invalid_request` in words an operator can act on. */
  async listen<A extends Address | SocketPath>(address: A): Promise<A> {
    this.#isUnixSocket = 'path' in address;
    try {
      if ('path' in address)
        await listenOnSocket(this.#server, address, this.#options.socketMode ?? OWNER_ONLY);
      else await this.#bind(address);
    } catch (cause) {
      throw cause instanceof Error ? listenError(cause, address) : cause;
    }
    this.#server.on('error', this.#options.onError);
    const bound = this.#server.address();
    return isAddressInfo(bound) ? { ...address, host: bound.address, port: bound.port } : address;
  }

  /** Stops accepting, lets answers end for at most `deadlineMs`, then cuts what is left. */
  async close(deadlineMs: number): Promise<void> {
    this.#isClosing = true;
    for (const socket of this.#silent) socket.destroy();
    this.#front?.close();
    for (const response of this.#answers) announceClose(response);
    const cut = setTimeout(() => this.#cut(), deadlineMs);
    const closed = new Promise<void>((resolve) => this.#server.once('close', () => resolve()));
    // Not the close of node:http, which begins with ending what it thinks is idle.
    NetServer.prototype.close.call(this.#server);
    this.#closeIdle();
    await closed;
    clearTimeout(cut);
    // For what node:http keeps going: the clock of its timeouts.
    this.#server.close();
  }

  /** Waits while an answer is made and not yet taken: to node:http its connection is idle. */
  #closeIdle(): void {
    const isTaken = ({ writableEnded, writableFinished }: ServerResponse) =>
      !writableEnded || writableFinished;
    if ([...this.#answers].every(isTaken)) this.#server.closeIdleConnections();
  }

  #bind(address: Address): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once('error', reject).listen({ ...address }, resolve);
    return promise.finally(() => this.#server.removeListener('error', reject));
  }

  /** In front of node's own listener: what is over a cap costs no parser and no handshake. */
  #guardConnections(): void {
    const serve = this.#server.listeners('connection');
    const toNode = (socket: Socket, { isUsed } = { isUsed: false }) => {
      for (const next of serve) next.call(this.#server, socket);
      // With TLS, what is asked comes on the connection above this one.
      if (this.#options.tls === undefined) this.#open(socket, { isUsed });
    };
    this.#server.removeAllListeners('connection').on('connection', (socket: Socket) => {
      if (!this.#admit(socket)) refuseConnection(socket);
      else if (this.#front === undefined) toNode(socket);
      else this.#front.take(socket, (state) => toNode(socket, state));
    });
  }

  #admit(socket: Socket): boolean {
    if (!this.#isKnown(socket)) return false;
    if (this.#options.connections?.admit(socket) === false) return false;
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    return true;
  }

  /**
   * A socket keeps an address that was asked for once. So without one it is a Unix socket, never a peer
   * that has gone in the meantime, and nobody becomes local by hanging up.
   */
  #isKnown(socket: Socket): boolean {
    return this.#isUnixSocket || socket.remoteAddress !== undefined;
  }

  /** `isUsed`: something was asked and answered on it. */
  #open(socket: Socket, { isUsed } = { isUsed: false }): void {
    if (this.#isClosing || !this.#isKnown(socket)) {
      socket.destroy();
      return;
    }
    if (!isUsed) this.#silent.add(socket);
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
      this.#refuse(socket, fault);
      return;
    }
    this.#silent.delete(socket);
    this.#watchBody(request);
    const answer = () => this.#answer(request, response);
    if (!this.#turns.take(socket, answer)) this.#refuse(socket, TOO_MANY_AT_ONCE);
  }

  #watchBody(request: IncomingMessage): void {
    const { isUpload, timeouts } = this.#options;
    watchBody(request, {
      graceMs: timeouts.requestMs,
      isUpload: isUpload?.(request) ?? false,
      onLate: () => this.#refuse(request.socket, TOO_LATE),
    });
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    this.#answers.add(response);
    response.once('close', () => this.#answered(response));
    if (this.#isClosing) announceClose(response);
    this.#options.listener(request, response);
  }

  #answered(response: ServerResponse): void {
    this.#answers.delete(response);
    this.#turns.next(response.req.socket);
    // `close` ended the connections that were idle then; that of a stream has become so since.
    if (this.#isClosing) setImmediate(() => this.#closeIdle());
  }

  /** Idle, or not reading. An answer that is only long in the making is waited for. */
  #endStalled(socket: Socket): void {
    if (!this.#turns.isUnderWay(socket) || socket.writableLength > 0) socket.destroy();
  }

  /** Also connections that have not finished their handshake, which node's own list does not hold. */
  #cut(): void {
    this.#server.closeAllConnections();
    for (const socket of this.#sockets) socket.destroy();
  }

  #refuse(socket: unknown, problem: RawProblem): void {
    if (!(socket instanceof Socket) || this.#refused.has(socket)) return;
    this.#refused.add(socket);
    this.#options.onRefused(problem, socket);
    // To a client that waits for an answer, these bytes would be that answer, or a part of it.
    const isAwaited = [...this.#answers].some(
      ({ req, headersSent }) => req.socket === socket && (req.complete || headersSent),
    );
    if (isAwaited) socket.destroy();
    else endWithProblem(socket, problem);
  }
}

function createFront({ front, timeouts, tls }: HttpServerOptions): Front | undefined {
  if (front === undefined || tls !== undefined) return undefined;
  const { keepAliveMs, stalledMs = STALLED_ANSWER_MS } = timeouts;
  return new Front({ ...front, timeouts: { keepAliveMs, stalledMs } });
}

function createNodeServer({ timeouts, tls }: HttpServerOptions, serve: RequestListener): Server {
  const { headersMs, requestMs, keepAliveMs, stalledMs = STALLED_ANSWER_MS } = timeouts;
  const receiveHeadersMs = Math.min(headersMs, requestMs);
  const options = {
    headersTimeout: receiveHeadersMs,
    // Node's has no exceptions: bodies have a clock of their own.
    requestTimeout: 0,
    keepAliveTimeout: keepAliveMs,
    connectionsCheckingInterval: Math.min(CHECK_INTERVAL_MS, receiveHeadersMs),
    maxHeaderSize: MAX_HEADER_BYTES,
    // Node answers 400 and then goes on to the next request; `framingFault` does not.
    requireHostHeader: false,
    noDelay: true,
  };
  const server =
    tls === undefined ? createServer(options, serve) : createSecureServer(options, tls, serve);
  return Object.assign(server.setTimeout(stalledMs), { httpAllowHalfOpen: true });
}

function createSecureServer(
  options: ServerOptions & { readonly headersTimeout: number },
  tls: TlsCertificate,
  serve: RequestListener,
): Server {
  const server = createTlsServer(
    {
      ...options,
      ...tls.context,
      allowHalfOpen: true,
      ALPNProtocols: ['http/1.1'],
      handshakeTimeout: options.headersTimeout,
    },
    serve,
  );
  tls.onChange((context) => server.setSecureContext(context));
  return server;
}

/** At once, and without an answer: one costs more than what it is the answer to. */
function refuseConnection(socket: Socket): void {
  socket.on('error', () => undefined);
  if (socket.remoteAddress === undefined) socket.destroy();
  else socket.resetAndDestroy();
}

/** So that the client does not send its next request into a connection that ends. */
function announceClose(response: ServerResponse): void {
  if (!response.headersSent) response.setHeader('connection', 'close');
}

function isAddressInfo(address: AddressInfo | string | null): address is AddressInfo {
  return typeof address === 'object' && address !== null;
}
