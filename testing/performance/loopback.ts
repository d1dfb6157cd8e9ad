/** What any event takes at least: one frame through a connection of this process to itself. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export async function loopbackUs({
  turns,
  bytes,
}: {
  readonly turns: number;
  readonly bytes: number;
}): Promise<readonly number[]> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(createServer().listen(0, '127.0.0.1'));
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const reader = stack.adopt(
    connect(port, '127.0.0.1').setNoDelay(),
    (socket) => void socket.destroy(),
  );
  const [writer] = await accepted;
  stack.defer(() => void writer.destroy());
  const frame = new Uint8Array(bytes).fill(120);
  const times: number[] = [];
  for (let i = 0; i < turns; i++) {
    const read = once(reader, 'data');
    const began = performance.now();
    writer.write(frame);
    await read;
    times.push((performance.now() - began) * 1_000);
  }
  return times;
}
