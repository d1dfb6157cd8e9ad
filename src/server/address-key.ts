/** One key for one customer of the network: what limits per address count by. */
import { isIPv6 } from 'node:net';

/** IPv4 as it is, also when mapped into IPv6; IPv6 by its /64, because a household has all of one. */
export function addressKey(address: string | undefined): string {
  if (address === undefined) return 'local';
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped?.[1] !== undefined) return mapped[1];
  const [plain = ''] = address.split('%');
  return isIPv6(plain) ? `${network(plain).join(':')}::/64` : plain;
}

/** The first four of the eight groups, without leading zeros. */
function network(address: string): string[] {
  const [left = '', right] = address.split('::');
  const head = groups(left);
  const tail = right === undefined ? [] : groups(right);
  const zeros = new Array<string>(Math.max(0, 8 - head.length - tail.length)).fill('0');
  return [...head, ...zeros, ...tail]
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16));
}

function groups(text: string): string[] {
  return text === '' ? [] : text.split(':');
}
