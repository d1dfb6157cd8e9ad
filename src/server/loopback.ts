/**
 * Who may write while there are no tokens: a process on this machine that means this server. The peer's
 * address alone is not enough, because a browser here sends what any page tells it to, and a page whose
 * own name was made to resolve to 127.0.0.1 shows in `Host`.
 */

export interface Caller {
  /** `undefined` on a Unix socket, and when the peer has gone. */
  readonly address: string | undefined;
  /** The listener is a Unix socket: its mode has decided who may connect. */
  readonly isUnixSocket: boolean;
  /** The `Host` header. */
  readonly host: string | undefined;
}

const LOOPBACK_ADDRESS = /^(?:::1|(?:::ffff:)?127(?:\.\d{1,3}){3})$/i;
const LOOPBACK_HOST = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i;

export function isLoopbackCaller({ address, isUnixSocket, host }: Caller): boolean {
  if (host === undefined || !LOOPBACK_HOST.test(host)) return false;
  return isUnixSocket || (address !== undefined && LOOPBACK_ADDRESS.test(address));
}
