/** What events are timed by: when they became durable, and when they came. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { DurableTimes, formatDurable, parseDurable } from './durable.ts';
import { Subscribers } from './subscribers.ts';

const STREAM = { path: '/events', hello: 'event: hello', event: 'event: said' };

test("another process's time is told in this one's", () => {
  const before = performance.now();
  const told = parseDurable(formatDurable(process.hrtime.bigint())) ?? Number.NaN;
  const after = performance.now();
  // To a few microseconds: two clocks were read one after the other.
  assert.ok(told > before - 0.1 && told < after + 0.1, `${before} < ${told} < ${after}`);
  assert.equal(parseDurable('http://127.0.0.1:1'), undefined);
});

test('of what became durable the first after a moment is told, also when its line comes late', async () => {
  const times = new DurableTimes();
  const now = process.hrtime.bigint();
  times.take(formatDurable(now - 50_000_000n));
  const sinceMs = performance.now() - 25;
  const awaited = times.firstAfter(sinceMs);
  times.take('something else');
  times.take(formatDurable(now));
  times.take(formatDurable(now + 1_000_000n));
  const found = await awaited;
  assert.equal(found, parseDurable(formatDurable(now)));
  assert.equal(await times.firstAfter(sinceMs), found);
});

/** A server of streams that says hello; answers the sockets of those who came. */
async function listen(stack: AsyncDisposableStack): Promise<{ url: string; sockets: Socket[] }> {
  const sockets: Socket[] = [];
  const server = stack.use(createServer().listen(0, '127.0.0.1'));
  server.on('connection', (socket) => {
    sockets.push(socket);
    stack.defer(() => void socket.destroy());
    socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\n\r\nevent: hello\n\n'));
  });
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, sockets };
}

test('each event of each subscriber is counted with its time and its bytes, and hellos are none', async () => {
  await using stack = new AsyncDisposableStack();
  const { url, sockets } = await listen(stack);
  await using subscribers = await Subscribers.open(url, 3, STREAM);
  const reached = subscribers.reached(4);
  const before = performance.now();
  const [first, second, third] = sockets;
  first?.write('event: said\ndata: a\n\nevent: said\ndata: b\n\n');
  second?.write('event: other\n\nevent: said\n\n');
  third?.write('event: said\n\n');
  await reached;
  assert.equal(subscribers.count, 3);
  assert.equal(subscribers.arrivals.length, 4);
  assert.ok(subscribers.arrivals.every((ms) => ms > before && ms <= performance.now()));
  assert.equal(subscribers.bytes, 42 + 27 + 13);
  await subscribers.add(2);
  assert.equal(subscribers.count, 5);
});

test('a stream that ends, or subscribers that are closed, leave nobody waiting', async () => {
  await using stack = new AsyncDisposableStack();
  const { url, sockets } = await listen(stack);
  {
    await using subscribers = await Subscribers.open(url, 2, STREAM);
    const reached = subscribers.reached(2);
    sockets[0]?.end();
    await assert.rejects(reached, /expected a stream to stay open, it ended/);
    await assert.rejects(subscribers.reached(1), /it ended/);
  }
  const closed = await Subscribers.open(url, 1, STREAM);
  const reached = assert.rejects(closed.reached(1), /expected subscribers to stay/);
  await closed[Symbol.asyncDispose]();
  await reached;
});
