import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { createBenchClock } from '../../../src/cli/bench/clock.ts';
import { HttpSender, type Outcome, type Sent } from '../../../src/cli/bench/http-sender.ts';
import { runReads } from '../../../src/cli/bench/read-load.ts';

interface Fake {
  readonly port: number;
  readonly connections: () => number;
  send(sent: Partial<Sent>, url?: string): Promise<Outcome>;
  readonly sender: HttpSender;
}

async function open(
  t: TestContext,
  listener: (request: IncomingMessage, response: ServerResponse) => void,
  { host = '127.0.0.1', timeoutMs = 10_000 } = {},
): Promise<Fake> {
  let connections = 0;
  const server = createServer(listener);
  server.on('connection', () => connections++);
  server.listen(0, host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const name = host.includes(':') ? `[${host}]` : host;
  const sender = new HttpSender({ url: `http://${name}:${port}/base/`, connections: 2, timeoutMs });
  t.after(() => {
    sender[Symbol.dispose]();
    server.close();
    server.closeAllConnections();
  });
  const send = (sent: Partial<Sent>) => ask(sender, sent);
  return { port, connections: () => connections, send, sender };
}

/** Rejects when it is told twice. */
function ask(sender: HttpSender, sent: Partial<Sent>): Promise<Outcome> {
  let told = 0;
  return new Promise((resolve, reject) =>
    sender.send({ method: 'GET', path: '/x', ...sent }, (outcome) => {
      if (++told === 1) setImmediate(() => (told === 1 ? resolve(outcome) : reject(outcome)));
    }),
  );
}

test('an answer is told with its status, its etag and whether it is whole', async (t) => {
  const { send } = await open(t, (request, response) => {
    assert.equal(request.url, '/base/x');
    response.writeHead(200, { etag: '"a"' }).end('hello');
  });
  assert.deepEqual(await send({}), { status: 200, etag: '"a"', isWhole: true, text: '' });
});

test('the length that a 304 tells is not missing from it', async (t) => {
  const { send } = await open(t, (_request, response) => {
    response.writeHead(304, { 'content-length': '500' }).end();
  });
  assert.deepEqual(await send({}), { status: 304, etag: undefined, isWhole: true, text: '' });
});

test('a refusal is told with its text, and not with all of a long one', async (t) => {
  const { send } = await open(t, (request, response) => {
    const text = request.url === '/base/long' ? 'x'.repeat(5_000_000) : '{"code":"not_found"}';
    response.writeHead(404).end(text);
  });
  const short = await send({});
  assert.ok('text' in short && short.text === '{"code":"not_found"}');
  const long = await send({ path: '/long' });
  assert.ok('text' in long && long.text.length > 0 && long.text.length < 1_000_000);
});

test('connections are kept and used again', async (t) => {
  const { send, connections } = await open(t, (_request, response) => response.end('ok'));
  for (let i = 0; i < 20; i++) await send({});
  assert.equal(connections(), 1);
  await Promise.all(Array.from({ length: 20 }, () => send({})));
  assert.equal(connections(), 2);
});

test('a body is sent whole with its length, and a post without one says that it is empty', async (t) => {
  const seen: unknown[] = [];
  const { send } = await open(t, async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const { authorization, 'content-length': length } = request.headers;
    seen.push([request.method, Buffer.concat(chunks).toString(), length, authorization]);
    response.end();
  });
  const headers = { authorization: 'Bearer t' };
  await send({ method: 'POST', body: new TextEncoder().encode('{"a":1}'), headers });
  await send({ method: 'POST' });
  await send({});
  assert.deepEqual(seen, [
    ['POST', '{"a":1}', '7', 'Bearer t'],
    ['POST', '', '0', undefined],
    ['GET', '', undefined, undefined],
  ]);
});

test('an answer that breaks off, and a connection that is not taken, are told by their cause', async (t) => {
  const { send, sender } = await open(t, (_request, response) => {
    response.writeHead(200, { 'content-length': '10' });
    response.write('12345', () => response.destroy());
  });
  assert.deepEqual(await send({}), { cause: 'ECONNRESET' });
  sender[Symbol.dispose]();
  const free = createServer().listen(0, '127.0.0.1');
  await once(free, 'listening');
  const { port } = free.address() as AddressInfo;
  free.close();
  await once(free, 'close');
  using other = new HttpSender({
    url: `http://127.0.0.1:${port}`,
    connections: 1,
    timeoutMs: 1_000,
  });
  assert.deepEqual(await ask(other, {}), { cause: 'ECONNREFUSED' });
});

test('silence ends with a timeout', async (t) => {
  const { send } = await open(t, () => {}, { timeoutMs: 20 });
  assert.deepEqual(await send({}), { cause: 'timeout' });
});

test('an address of IPv6 is reached', async (t) => {
  const { send } = await open(t, (_request, response) => response.end('ok'), { host: '::1' });
  assert.ok('status' in (await send({})));
});

test('reads take their paths in turn, and a page that changed is no fault where one that did not is', async (t) => {
  const asked: string[] = [];
  const etags = new Map([['/base/stale', '"same"']]);
  const { sender } = await open(t, (request, response) => {
    const { url = '' } = request;
    asked.push(url);
    if (url === '/base/bare') return void response.end('x');
    const etag = etags.get(url) ?? `"${asked.length}"`;
    // `stale` sends its page again though it has not changed; `live` is another page each time.
    response.writeHead(200, { etag }).end('x');
  });
  const read = (paths: readonly string[], isConditional: boolean) =>
    runReads({
      sender,
      paths,
      isConditional,
      clock: createBenchClock(),
      warmupMs: 0,
      durationMs: 10_000,
      rate: undefined,
      count: 6,
      connections: 1,
      signal: new AbortController().signal,
    });
  assert.deepEqual((await read(['/live'], true)).errors, {});
  assert.deepEqual((await read(['/stale'], true)).errors, {
    '200 for an etag that still holds': 6,
  });
  assert.deepEqual((await read(['/bare'], true)).errors, { '200 without an etag': 6 });
  asked.length = 0;
  const plain = await read(['/stale', '/bare', '/live'], false);
  assert.deepEqual([plain.requests, plain.failed, plain.not_modified], [6, 0, 0]);
  const turn = ['/base/stale', '/base/bare', '/base/live'];
  assert.deepEqual(asked, [...turn, ...turn]);
});
