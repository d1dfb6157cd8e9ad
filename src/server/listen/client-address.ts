/**
 * Who a request comes from, for caps, limits and the audit log. A header can say anything: it is read
 * from its end, and only as far as trusted proxies wrote it.
 */
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { addressKey } from '../address-key.ts';
import type { Network } from '../config-values.ts';
import { createTrustedPeers, type IsTrustedPeer } from './trusted-peers.ts';

/**
 * The peer, as `addressKey` counts it; behind trusted proxies the rightmost address in `X-Forwarded-For`
 * that is none of them. Where a proxy wrote something else than an address, that proxy is the client.
 */
export function createClientAddress(
  trusted: () => readonly Network[],
): (request: IncomingMessage) => string {
  const isTrusted = createTrustedPeers(trusted);
  return (request) => addressKey(originOf(request, isTrusted));
}

function originOf(
  { socket, headersDistinct }: IncomingMessage,
  isTrusted: IsTrustedPeer,
): string | undefined {
  let origin = socket.remoteAddress;
  const hops = (headersDistinct['x-forwarded-for'] ?? []).join(',').split(',');
  while (isTrusted(origin)) {
    const hop = addressIn(hops.pop() ?? '');
    if (hop === undefined) return origin;
    origin = hop;
  }
  return origin;
}

/** Proxies write ports too: `192.0.2.1:80`, `[2001:db8::1]:80`. */
function addressIn(hop: string): string | undefined {
  const text = hop.trim();
  const [, bracketed, dotted] =
    /^(?:\[([^\]]*)\]|(\d+(?:\.\d+){3}))(?::\d{1,5})?$/.exec(text) ?? [];
  const address = bracketed ?? dotted ?? text;
  return isIP(address) === 0 ? undefined : address;
}
