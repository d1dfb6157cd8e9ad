/** Why a listener could not start, and what to do about it. */
import { RegistryError } from '../core/error.ts';
import { type Address, formatListen, type SocketPath } from './config-values.ts';

const ADVICE: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process listens there: stop it, or choose another address',
  EACCES: 'this user may not listen there: choose a port from 1024 up',
  EADDRNOTAVAIL: 'this machine has no such address: choose one it has',
  ENOTFOUND: 'there is no such host name: choose an address of this machine',
};

const SOCKET_ADVICE: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process listens there: stop it, or choose another path',
  // What libuv makes of a directory that is not there.
  EACCES: 'its directory is missing, or this user may not write there: make it, or its rights',
  ENOENT: 'its directory is missing: make it',
  ENOTDIR: 'a part of its path is no directory: choose another path',
  EROFS: 'its disk is read-only: choose another path',
  ENOSPC: 'its disk is full: make room',
};

export function listenError(
  cause: NodeJS.ErrnoException,
  address: Address | SocketPath,
): RegistryError {
  if (cause instanceof RegistryError) return cause;
  const { code = cause.message } = cause;
  const advice = 'path' in address ? SOCKET_ADVICE[code] : ADVICE[code];
  return new RegistryError(
    'invalid_request',
    `expected to listen on ${formatListen(address)}, got ${code}: ${advice ?? 'choose another address'}`,
    { cause },
  );
}
