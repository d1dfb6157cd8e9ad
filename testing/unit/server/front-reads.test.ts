/** How the front reads sockets: all into one room while it holds them, as node does once it has let go. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Front } from '../../../src/server/front/front.ts';
import { readShared } from '../../../src/server/front/shared-room.ts';

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
}

async function connectedPair(t: TestContext): Promise<Pair> {
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'connection');
  const { port } = server.address() as AddressInfo;
  const far = connect(port, '127.0.0.1');
  const [near]: Socket[] = await accepted;
  assert.ok(near !== undefined);
  t.after(() => {
    near.destroy();
    far.destroy();
    server.close();
  });
  return { near, far };
}

/** The next piece that `readShared` hands out after `send`, as it is during the call and the memory it is in. */
async function nextPiece(near: Socket, send: () => void) {
  const { promise, resolve } = Promise.withResolvers<{ text: string; memory: unknown }>();
  const end = readShared(near, (chunk) =>
    resolve({ text: chunk.toString(), memory: chunk.buffer }),
  );
  send();
  return { ...(await promise), end };
}

test('two sockets are read into the same memory', async (t) => {
  const pairs = [await connectedPair(t), await connectedPair(t)];
  const pieces = [];
  for (const { near, far } of pairs) pieces.push(await nextPiece(near, () => far.write('hello')));
  assert.deepEqual(
    pieces.map(({ text }) => text),
    ['hello', 'hello'],
  );
  assert.equal(pieces[0]?.memory, pieces[1]?.memory);
});

test('bytes that come when the reading has ended are the socket’s own, whoever is read next', async (t) => {
  const [first, second] = [await connectedPair(t), await connectedPair(t)];
  const { end } = await nextPiece(first.near, () => first.far.write('one'));
  end();
  const emitted = once(first.near, 'data');
  first.far.write('two');
  const [mine]: Buffer[] = await emitted;
  await nextPiece(second.near, () => second.far.write('not'));
  assert.equal(mine?.toString(), 'two');
});

test('a socket that was let go and is paused is not read', async (t) => {
  const { near, far } = await connectedPair(t);
  const { end } = await nextPiece(near, () => far.write('hello'));
  near.pause();
  end();
  far.write(Buffer.alloc(8 << 20));
  await delay(300);
  assert.ok(near.readableLength <= 256 << 10, `${near.readableLength} bytes kept`);
  let count = 0;
  near.on('data', (chunk: Buffer) => {
    count += chunk.length;
  });
  near.resume();
  while (count < 8 << 20) await once(near, 'data');
  assert.equal(count, 8 << 20);
});

test('the end of a connection comes to a socket that is read so', async (t) => {
  const { near, far } = await connectedPair(t);
  await nextPiece(near, () => far.write('hello'));
  const ended = once(near, 'end');
  far.end();
  await ended;
});

test('a socket that takes no memory of others is read by its events', () => {
  const socket = new Socket();
  const pieces: string[] = [];
  const end = readShared(socket, (chunk) => pieces.push(chunk.toString()));
  socket.emit('data', Buffer.from('one'));
  end();
  socket.emit('data', Buffer.from('two'));
  assert.deepEqual(pieces, ['one']);
});

test('what the front hands over is node’s own, whoever is read next', async (t) => {
  const readyReads = { read: () => undefined, stream: () => undefined };
  const timeouts = { keepAliveMs: 1_000, stalledMs: 1_000 };
  const front = new Front({ readyReads, isProxy: () => false, timeouts });
  t.after(() => front.close());
  const pieces: Buffer[] = [];
  for (const text of ['POST /one', 'POST /two']) {
    const { near, far } = await connectedPair(t);
    const { promise, resolve } = Promise.withResolvers<Buffer>();
    front.take(near, () => near.on('data', resolve));
    far.write(text);
    pieces.push(await promise);
  }
  assert.deepEqual(pieces.map(String), ['POST /one', 'POST /two']);
});
