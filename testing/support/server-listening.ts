/** A bare listener of the server layer, and the slow clients it must not wait for. */
import assert from 'node:assert/strict';
import type { RequestListener } from 'node:http';
import type { TestContext } from 'node:test';
import type { Address } from '../../src/server/config-values.ts';
import { HttpServer, type HttpServerOptions } from '../../src/server/http-server.ts';
import type { RawProblem } from '../../src/server/raw-problem.ts';
import { connected, statuses, untilClosed } from './server-socket.ts';

export const DEFAULT_TIMEOUTS = { headersMs: 5000, requestMs: 10_000, keepAliveMs: 65_000 };

export interface Listening {
  readonly server: HttpServer;
  readonly address: Address;
  readonly refused: readonly RawProblem[];
}

/** Answers when the request is whole. */
export const hello: RequestListener = (request, response) => {
  request.resume().on('end', () => response.end(`hello ${request.url}`));
};

/** Closed when the test ends. */
export async function listening(
  t: TestContext,
  listener: RequestListener = hello,
  timeouts: HttpServerOptions['timeouts'] = DEFAULT_TIMEOUTS,
): Promise<Listening> {
  const refused: RawProblem[] = [];
  const server = new HttpServer({
    timeouts,
    listener,
    onRefused: (problem) => refused.push(problem),
    onError: (error) => assert.fail(error),
  });
  t.after(() => server.close(0));
  return { server, address: await server.listen({ host: '127.0.0.1', port: 0 }), refused };
}

/** What such a client sends first. */
export const SLOW: Readonly<Record<string, string>> = {
  nothing: '',
  'half of its headers': 'GET / HTTP/1.1\r\nHo',
  'half of its body': 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\nfive.',
  'half of a chunk':
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\nfive.',
};

/** Sends `text`, then a byte now and then, and expects 408 soon after the time that is given. */
export async function assertCutInTime(
  t: TestContext,
  text: string,
  timeouts: { headersMs: number; requestMs: number },
): Promise<void> {
  const { address } = await listening(t, hello, { ...timeouts, keepAliveMs: 65_000 });
  const socket = await connected(address);
  const startedMs = performance.now();
  if (text !== '') {
    socket.write(text);
    const drip = setInterval(() => socket.write('.'), timeouts.headersMs / 4);
    socket.once('close', () => clearInterval(drip));
  }
  assert.deepEqual(statuses(await untilClosed(socket)), [408]);
  const elapsedMs = performance.now() - startedMs;
  // Node looks every second at most; the rest is a slow machine.
  assert.ok(elapsedMs < timeouts.requestMs + 2500, `${elapsedMs} ms`);
}
