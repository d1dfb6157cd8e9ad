/** Listeners with caps on connections, and peers that come from more than one address. */
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import type { Address, SocketPath } from '../../src/server/config-values.ts';
import { HttpServer, type HttpServerOptions } from '../../src/server/http-server.ts';
import { type ConnectionLimits, Connections } from '../../src/server/listen/connections.ts';
import type { IsTrustedPeer } from '../../src/server/listen/trusted-peers.ts';
import { DEFAULT_TIMEOUTS, hello } from './server-listening.ts';

export interface Capped<A> {
  readonly server: HttpServer;
  readonly address: A;
  /** May be replaced, as by a reload. */
  limits: ConnectionLimits;
  readonly open: () => number;
  /** Reasons, in order. */
  readonly refusals: readonly string[];
  /** Resolves when so many are open. */
  untilOpen(count: number): Promise<void>;
}

export interface CappedOptions<A> {
  readonly address: A;
  readonly limits: ConnectionLimits;
  readonly isTrusted?: IsTrustedPeer;
  readonly server?: Partial<HttpServerOptions>;
}

/** Closed when the test ends. */
export async function capped<A extends Address | SocketPath>(
  t: TestContext,
  options: CappedOptions<A>,
): Promise<Capped<A>> {
  const { isTrusted = () => false } = options;
  let open = 0;
  const refusals: string[] = [];
  const waiting: { count: number; resolve: () => void }[] = [];
  const metrics = {
    connections: (change: number) => {
      open += change;
      for (const { count, resolve } of waiting) if (count === open) resolve();
    },
    connectionRefused: (reason: string) => refusals.push(reason),
  };
  const server = new HttpServer({
    timeouts: DEFAULT_TIMEOUTS,
    listener: hello,
    onRefused: () => undefined,
    onError: (error) => assert.fail(error),
    ...options.server,
    connections: new Connections({ limits: () => stage.limits, isTrusted, metrics }),
  });
  t.after(() => server.close(0));
  const stage: Capped<A> = {
    server,
    address: await server.listen(options.address),
    limits: options.limits,
    open: () => open,
    refusals,
    untilOpen: (count) =>
      new Promise((resolve) => {
        if (open === count) resolve();
        else waiting.push({ count, resolve });
      }),
  };
  return stage;
}

export interface Peer {
  readonly socket: Socket;
  /** `false`: closed without an answer. */
  readonly isServed: boolean;
  /** Of the error that it met. */
  readonly code: string | undefined;
}

/** Connects, from a local address if there is one, and asks; what it asked on stays open when it is served. */
export async function ask(to: Address | SocketPath, localAddress?: string): Promise<Peer> {
  const from = localAddress === undefined ? {} : { localAddress };
  return request(connect({ ...to, ...from }));
}

/** The same on a connection of any kind. */
export async function request(socket: Socket): Promise<Peer> {
  let answer = '';
  let code: string | undefined;
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.on('error', (error: NodeJS.ErrnoException) => {
    code = error.code;
  });
  socket.once('close', resolve).on('data', (bytes) => {
    answer += bytes.toString('latin1');
    if (answer.includes('hello /')) resolve();
  });
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await promise;
  assert.ok(answer === '' || answer.startsWith('HTTP/1.1 200 '), answer);
  return { socket, isServed: answer !== '', code };
}
