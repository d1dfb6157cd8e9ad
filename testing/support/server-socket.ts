/** Raw bytes to a listener and back: for what no well-behaved HTTP client sends. */
import { connect, type Socket } from 'node:net';
import type { Address } from '../../src/server/config-values.ts';

/** Sends `text` and resolves with everything that comes until the server closes. */
export async function exchange(address: Address, text: string): Promise<string> {
  const socket = await connected(address);
  socket.write(text);
  return untilClosed(socket);
}

export async function connected({ host, port }: Address): Promise<Socket> {
  const socket = connect({ host, port });
  await new Promise<void>((resolve, reject) =>
    socket.once('connect', resolve).once('error', reject),
  );
  return socket;
}

/** A reset counts as closed: what came before it is the answer. */
export async function untilClosed(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => socket.destroy());
  await new Promise<void>((resolve) => socket.once('close', () => resolve()));
  return Buffer.concat(chunks).toString('latin1');
}

/** The status codes of the answers in a stretch of raw bytes. */
export function statuses(text: string): number[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, code]) => Number(code));
}
