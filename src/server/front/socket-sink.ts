/** A stream's way to its socket: every event is one chunk, the same bytes for all who read it. */
import type { Socket } from 'node:net';
import type { EventSink, EventStream } from '../../http/event-stream.ts';

const NOTHING = new Uint8Array();

/** `end`: what ends the answer. `isChunked`: false for http/1.0, whose bodies end with the connection. */
export function socketSink(
  socket: Socket,
  events: EventStream,
  { isChunked, end }: { readonly isChunked: boolean; readonly end: () => void },
): EventSink {
  return {
    write: (bytes) => {
      socket.write(isChunked ? chunkOf(bytes) : bytes);
      if (socket.writableLength === 0) return true;
      socket.write(NOTHING, () => events.drained());
      return false;
    },
    end,
    destroy: () => socket.destroy(),
  };
}

const chunks = new WeakMap<Uint8Array, Uint8Array>();

function chunkOf(bytes: Uint8Array): Uint8Array {
  const known = chunks.get(bytes);
  if (known !== undefined) return known;
  const size = Buffer.from(`${bytes.length.toString(16)}\r\n`);
  const chunk = Buffer.concat([size, bytes, Buffer.from('\r\n')]);
  chunks.set(bytes, chunk);
  return chunk;
}
