/**
 * Reads sockets into one buffer that they share. Node allocates 64 KiB for every read of an accepted socket;
 * with those a collection under heads took 1.0 ms and not 0.4. A socket that connects may bring a buffer
 * (`onread` of node:net); an accepted one gets here what node gives that. Where this node keeps it in other
 * places than a socket that brought one shows, the socket is read as any other.
 */
import { Socket } from 'node:net';

/** Bytes that arrived. They are the callee's until it returns: then the next ones take their place. */
export type OnBytes = (chunk: Buffer) => void;

/** Ends the reading: the socket emits `data` from then on, as any other. */
export type EndReading = () => void;

// What node allocates, so that what it would read at once is.
const ROOM = Buffer.allocUnsafeSlow(64 * 1024);
const PLACES = placesOf();

/** Calls `onBytes` with what arrives on `socket`, which must be accepted and not read from yet. */
export function readShared(socket: Socket, onBytes: OnBytes): EndReading {
  const handle: unknown = Reflect.get(socket, '_handle');
  if (PLACES === undefined || !takesBuffer(handle)) {
    socket.on('data', onBytes);
    return () => socket.off('data', onBytes);
  }
  const { buffer, callback } = PLACES;
  const read = (take: (chunk: Buffer) => boolean): void => {
    Reflect.set(socket, callback, (length: number) => take(viewOf(length)));
  };
  Reflect.set(socket, buffer, ROOM);
  read((chunk) => {
    onBytes(chunk);
    return true;
  });
  handle.useUserBuffer(ROOM);
  socket.resume();
  return () => read((chunk) => socket.push(Buffer.from(chunk)));
}

/** Of the length before, mostly: a view is garbage too. */
let view = ROOM;

function viewOf(length: number): Buffer {
  if (view.length !== length) view = ROOM.subarray(0, length);
  return view;
}

interface Places {
  readonly buffer: string | symbol;
  readonly callback: string | symbol;
}

/** Where a socket keeps what it was given to read into. */
function placesOf(): Places | undefined {
  const given = () => true;
  const socket = new Socket({ onread: { buffer: ROOM, callback: given } });
  const keyOf = (value: unknown) =>
    Reflect.ownKeys(socket).find((key) => Reflect.get(socket, key) === value);
  const buffer = keyOf(ROOM);
  const callback = keyOf(given);
  return buffer === undefined || callback === undefined ? undefined : { buffer, callback };
}

interface BufferTaker {
  useUserBuffer(room: Uint8Array): void;
}

function takesBuffer(handle: unknown): handle is BufferTaker {
  return (
    typeof handle === 'object' &&
    handle !== null &&
    typeof Reflect.get(handle, 'useUserBuffer') === 'function'
  );
}
