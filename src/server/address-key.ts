/** One key for one customer of the network: what limits per address count by. */
import { isIPv6 } from 'node:net';

// The first 96 bits of an IPv4 address that is mapped into IPv6 (RFC 4291 2.5.5.2).
const MAPPED = '0:0:0:0:0:ffff';

/** IPv4 as it is, also when mapped into IPv6; IPv6 by its /64, because a household has all of one. */
export function addressKey(address: string | undefined): string {
  if (address === undefined) return 'local';
  const [plain = ''] = address.split('%');
  if (!isIPv6(plain)) return plain;
  const groups = groupsOf(plain);
  const texts = groups.map((group) => group.toString(16));
  if (texts.slice(0, 6).join(':') === MAPPED) return dotted(groups);
  return `${texts.slice(0, 4).join(':')}::/64`;
}

/** All eight, however it is written. */
function groupsOf(address: string): number[] {
  const [left = '', right] = address.split('::');
  const head = partsOf(left);
  const tail = right === undefined ? [] : partsOf(right);
  const zeros = new Array<number>(Math.max(0, 8 - head.length - tail.length)).fill(0);
  return [...head, ...zeros, ...tail];
}

function partsOf(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
    return [a * 256 + b, c * 256 + d];
  });
}

function dotted(groups: readonly number[]): string {
  return groups
    .slice(6)
    .flatMap((group) => [Math.floor(group / 256), group % 256])
    .join('.');
}
