/** How the values of a configuration are written: durations and sizes carry their unit. */
import { isIP } from 'node:net';

const MILLISECONDS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

const BYTES: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
  PiB: 1024 ** 5,
};

/** Where a listener stands. */
export interface Address {
  /** A name or an IP address; IPv6 without brackets. */
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
}

/** `5s` to milliseconds; `undefined` for anything else. */
export function parseDuration(text: string): number | undefined {
  const [, digits = '', unit = ''] = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text) ?? [];
  const factor = MILLISECONDS[unit];
  return factor === undefined ? undefined : Number(digits) * factor;
}

/** `64MiB` to bytes; `undefined` for anything else. */
export function parseBytes(text: string): number | undefined {
  const [, digits = '', unit = ''] = /^(\d{1,15})(B|[KMGTP]iB)$/.exec(text) ?? [];
  const factor = BYTES[unit];
  return factor === undefined ? undefined : Number(digits) * factor;
}

export function parseInteger(text: string): number | undefined {
  return /^(0|[1-9]\d{0,15})$/.test(text) ? Number(text) : undefined;
}

/** `127.0.0.1:7070`, `localhost:7070` or `[::1]:7070`. */
export function parseAddress(text: string): Address | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  return host === undefined || port > 65_535 ? undefined : { host, port };
}

export function formatAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** A Unix socket. */
export interface SocketPath {
  readonly path: string;
}

/** An address, or `unix:` and a path. */
export function parseListen(text: string): Address | SocketPath | undefined {
  if (!text.startsWith('unix:')) return parseAddress(text);
  const path = text.slice('unix:'.length);
  return path === '' || path.includes('\0') ? undefined : { path };
}

export function formatListen(listen: Address | SocketPath): string {
  return 'path' in listen ? `unix:${listen.path}` : formatAddress(listen);
}

/** A single address has all bits: 32, or 128. */
export interface Network {
  readonly family: 'ipv4' | 'ipv6';
  readonly address: string;
  readonly bits: number;
}

/** `10.0.0.0/8,::1`; the empty text is none. */
export function parseNetworks(text: string): readonly Network[] | undefined {
  if (text === '') return [];
  const networks = text.split(',').map((part) => parseNetwork(part.trim()));
  return networks.every((network) => network !== undefined) ? networks : undefined;
}

function parseNetwork(text: string): Network | undefined {
  const [, address = '', , digits] = /^([0-9a-fA-F.:]+)(\/(\d{1,3}))?$/.exec(text) ?? [];
  const version = isIP(address);
  if (version === 0) return undefined;
  const most = version === 4 ? 32 : 128;
  const bits = digits === undefined ? most : Number(digits);
  return bits > most ? undefined : { family: version === 4 ? 'ipv4' : 'ipv6', address, bits };
}

/** Without credentials: a URL is shown in logs. The empty text is none. */
export function parseHttpUrl(text: string): string | undefined {
  if (text === '') return '';
  const url = URL.parse(text);
  const isHttp = url?.protocol === 'http:' || url?.protocol === 'https:';
  return url !== null && isHttp && url.username === '' && url.password === '' ? text : undefined;
}
