/** A stream of events on a connection of node:http, which writes its head and its end. */
import type { HttpBindings } from '@hono/node-server';
import type { SendEvents } from '../http/deps.ts';
import { socketSink } from './front/socket-sink.ts';
import { alreadySent } from './listen/fetch-listener.ts';

export const sendEvents: SendEvents = (c, events, headers) => {
  const { outgoing }: HttpBindings = c.env;
  outgoing.writeHead(200, [...headers].flat());
  outgoing.flushHeaders();
  const { socket, chunkedEncoding } = outgoing;
  if (socket === null || socket.destroyed) {
    events.closed();
    return alreadySent();
  }
  outgoing.once('close', () => events.closed());
  const end = () => void outgoing.end();
  events.open(socketSink(socket, events, { isChunked: chunkedEncoding, end }));
  return alreadySent();
};
