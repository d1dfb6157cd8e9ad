/** A stream of pieces on a connection of node:http: each is written when the one before has gone, and then given back. */
import type { ServerResponse } from 'node:http';
import type { HttpBindings } from '@hono/node-server';
import type { SendPieces } from '../http/deps.ts';
import { giveBack } from './give-back.ts';
import { alreadySent } from './listen/fetch-listener.ts';

export const sendPieces: SendPieces = (c, pieces, { status, headers }) => {
  const { outgoing }: HttpBindings = c.env;
  const reader = pieces.getReader();
  const leave = () => void reader.cancel().catch(() => undefined);
  if (outgoing.destroyed) {
    leave();
    return alreadySent();
  }
  // Whoever hangs up is noticed also while a piece is being read.
  outgoing.once('close', leave);
  outgoing.writeHead(status, [...headers].flat());
  // A piece that cannot be read or written ends the connection: its reader must not take the rest for all.
  send(reader, outgoing).catch(() => outgoing.destroy());
  return alreadySent();
};

async function send(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  outgoing: ServerResponse,
): Promise<void> {
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    await new Promise<void>((resolve, reject) => {
      outgoing.write(value, (error) => (error ? reject(error) : resolve()));
    });
    giveBack(value);
  }
  outgoing.end();
}
