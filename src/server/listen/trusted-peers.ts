/** Which peers are proxies that the operator trusts. A reload replaces the list. */
import { BlockList, isIPv6 } from 'node:net';
import type { Network } from '../config-values.ts';

/** `undefined`: the peer of a Unix socket. */
export type IsTrustedPeer = (address: string | undefined) => boolean;

/** A Unix socket is this machine, so its peer is trusted where 127.0.0.1 or ::1 is. */
export function createTrustedPeers(networks: () => readonly Network[]): IsTrustedPeer {
  let current: readonly Network[] = [];
  let list = new BlockList();
  const isListed = (address: string) => list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
  return (address) => {
    const next = networks();
    if (next !== current) {
      current = next;
      list = listOf(next);
    }
    return address === undefined ? isListed('127.0.0.1') || isListed('::1') : isListed(address);
  };
}

function listOf(networks: readonly Network[]): BlockList {
  const list = new BlockList();
  for (const { address, bits, family } of networks) list.addSubnet(address, bits, family);
  return list;
}
