/** Why a listener could not start, and what to do about it. */
import { RegistryError } from '../core/error.ts';
import { type Address, formatListen, type SocketPath } from './config-values.ts';

const ADVICE: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process listens there: stop it, or choose another address',
  EACCES: 'this user may not listen there: choose a port from 1024 up',
  EADDRNOTAVAIL: 'this machine has no such address: choose one it has',
  ENOTFOUND: 'there is no such host name: choose an address of this machine',
};

export function listenError(
  cause: NodeJS.ErrnoException,
  address: Address | SocketPath,
): RegistryError {
  const { code = cause.message } = cause;
  return new RegistryError(
    'invalid_request',
    `expected to listen on ${formatListen(address)}, got ${code}: ${ADVICE[code] ?? 'choose another address'}`,
    { cause },
  );
}
