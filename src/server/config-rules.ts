/** What settings say about one another: mistakes that no single value shows. */
import { statfsSync } from 'node:fs';
import { dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { excerpt } from '../core/error.ts';
import type { SettingKey, SettingValues } from './config-schema.ts';
import { type Address, formatAddress } from './config-values.ts';

/** A configuration of which single values may have been refused already. */
export interface Draft {
  readonly values: SettingValues;
  /** No rule looks at a value that was refused. */
  isValid(key: SettingKey): boolean;
  /** Where the value in force stands; `default` when nobody gave it. */
  place(key: SettingKey): string;
  isInMemory(path: string): boolean;
}

interface Rule {
  readonly of: readonly SettingKey[];
  /** With its place in front. */
  readonly violation: (draft: Draft) => string | undefined;
}

// `sun_path` has 108 bytes, one of which ends it.
const MAX_SOCKET_PATH_BYTES = 107;

/** What a micronode has nothing for. */
const NEEDS_DISK = [
  'high_water',
  'max_prepared_sets',
  'min_free_space',
  'warn_free_space',
  'ballast',
  'audit_max_size',
  'blobs',
  'max_blob_bytes',
  'blob_quota',
  'blob_grace',
  'retention_age',
  'retention_entries',
  'retention_size',
] as const;

const RULES: readonly Rule[] = [
  { of: ['tls_cert', 'tls_key'], violation: halfOfTls },
  { of: ['clock_name', 'clock_key'], violation: nameWithoutClock },
  { of: ['listen', 'metrics_listen'], violation: addressTwice },
  { of: ['listen', 'operator_listen', 'data', 'profile'], violation: socketTwice },
  { of: ['listen'], violation: longListenPath },
  { of: ['operator_listen', 'data', 'profile'], violation: longOperatorPath },
  { of: ['profile', 'data'], violation: dataOnDisk },
  { of: ['profile', 'listen'], violation: listenOnDisk },
  { of: ['profile', 'operator_listen'], violation: operatorOnDisk },
  { of: ['min_free_space', 'warn_free_space'], violation: lateWarning },
  { of: ['high_water', 'data', 'profile'], violation: markInData },
  ...NEEDS_DISK.map(
    (key): Rule => ({ of: ['profile', key], violation: (draft) => uselessInMemory(draft, key) }),
  ),
];

/** Every one of them. */
export function crossViolations(draft: Draft): readonly string[] {
  return RULES.flatMap(({ of, violation }) => {
    const found = of.every((key) => draft.isValid(key)) ? violation(draft) : undefined;
    return found === undefined ? [] : [found];
  });
}

/** The path of the operator's socket; `null`: none. */
export function operatorSocket(
  { operator_listen: written, profile, data }: SettingValues,
  { isDataGiven }: { readonly isDataGiven: boolean },
): string | null {
  if (written !== 'auto') return written === 'off' ? null : written;
  // A micronode has a directory only where it was given one in memory.
  return profile === 'macronode' || isDataGiven ? join(data, 'operator.sock') : null;
}

/** Whether a file made at this path is made on tmpfs (or ramfs), where it is gone with the machine. */
export function isInMemory(path: string): boolean {
  const TMPFS = 0x01021994;
  const RAMFS = 0x858458f6;
  for (let at = resolve(path); ; at = dirname(at))
    try {
      const { type } = statfsSync(at);
      return type === TMPFS || type === RAMFS;
    } catch {
      // Not there yet: it will be made where its parent is.
      if (at === dirname(at)) return false;
    }
}

function isGiven(draft: Draft, key: SettingKey): boolean {
  return draft.place(key) !== 'default';
}

function socketOf(draft: Draft): string | null {
  return operatorSocket(draft.values, { isDataGiven: isGiven(draft, 'data') });
}

function halfOfTls({ values, place }: Draft): string | undefined {
  const { tls_cert: cert, tls_key: key } = values;
  if ((cert === '') === (key === '')) return undefined;
  const [given, missing] =
    cert === '' ? (['tls_key', 'tls_cert'] as const) : (['tls_cert', 'tls_key'] as const);
  return `${place(given)}: expected ${missing} beside it, got none`;
}

function nameWithoutClock({ values, place }: Draft): string | undefined {
  if (values.clock_name === '' || values.clock_key !== null) return undefined;
  return `${place('clock_name')}: expected clock_key beside it, got none: there is no clock to name`;
}

function addressTwice(draft: Draft): string | undefined {
  const { listen, metrics_listen: metrics } = draft.values;
  if ('path' in listen || metrics === 'off' || !isSameAddress(listen, metrics)) return undefined;
  const [key, other] = isGiven(draft, 'metrics_listen')
    ? (['metrics_listen', 'listen'] as const)
    : (['listen', 'metrics_listen'] as const);
  return `${draft.place(key)}: expected another address than that of ${other}, got ${formatAddress(key === 'listen' ? listen : metrics)} and ${formatAddress(key === 'listen' ? metrics : listen)}`;
}

function isSameAddress(a: Address, b: Address): boolean {
  const hosts = [a.host.toLowerCase(), b.host.toLowerCase()];
  const isAny = hosts.includes('0.0.0.0') || hosts.includes('::');
  return a.port !== 0 && a.port === b.port && (hosts[0] === hosts[1] || isAny);
}

function socketTwice(draft: Draft): string | undefined {
  const { listen } = draft.values;
  const operator = socketOf(draft);
  if (operator === null || !('path' in listen)) return undefined;
  if (resolve(listen.path) !== resolve(operator)) return undefined;
  return `${draft.place('listen')}: expected another socket than that of operator_listen, got ${excerpt(operator)} for both`;
}

function longListenPath({ values: { listen }, place }: Draft): string | undefined {
  if (!('path' in listen) || !isTooLong(listen.path)) return undefined;
  return `${place('listen')}: ${tooLong(listen.path)}`;
}

function longOperatorPath(draft: Draft): string | undefined {
  const path = socketOf(draft);
  if (path === null || !isTooLong(path)) return undefined;
  const key = draft.values.operator_listen === 'auto' ? 'data' : 'operator_listen';
  return `${draft.place(key)}: ${tooLong(path)} in operator_listen`;
}

function isTooLong(path: string): boolean {
  return Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES;
}

function tooLong(path: string): string {
  return `expected a socket path of at most ${MAX_SOCKET_PATH_BYTES} bytes, got ${excerpt(path)}: name a shorter one`;
}

function dataOnDisk(draft: Draft): string | undefined {
  const { profile, data } = draft.values;
  if (profile === 'macronode' || !isGiven(draft, 'data') || draft.isInMemory(data))
    return undefined;
  return `${draft.place('data')}: expected no directory for a micronode, which writes no file, or one on tmpfs for its operator socket, got ${excerpt(data)}`;
}

function listenOnDisk(draft: Draft): string | undefined {
  const { profile, listen } = draft.values;
  if (profile === 'macronode' || !('path' in listen) || draft.isInMemory(dirname(listen.path)))
    return undefined;
  return `${draft.place('listen')}: ${socketOnDisk(listen.path)}`;
}

function operatorOnDisk(draft: Draft): string | undefined {
  const { profile, operator_listen: path } = draft.values;
  if (profile === 'macronode' || path === 'auto' || path === 'off') return undefined;
  return draft.isInMemory(dirname(path))
    ? undefined
    : `${draft.place('operator_listen')}: ${socketOnDisk(path)}`;
}

function socketOnDisk(path: string): string {
  return `expected the socket of a micronode, which writes no file, on tmpfs, got ${excerpt(path)}`;
}

/** The default gives way: a larger `min_free_space` alone was right before there were warnings. */
function lateWarning(draft: Draft): string | undefined {
  const { min_free_space: min, warn_free_space: warn } = draft.values;
  if (warn === 0 || warn >= min || !isGiven(draft, 'warn_free_space')) return undefined;
  return `${draft.place('warn_free_space')}: expected at least min_free_space, or 0B, got ${warn} bytes and ${min}: writes would be refused before anybody is warned`;
}

/** In the same directory it would be restored together with what it is to be compared with. */
function markInData({ values: { high_water: mark, data, profile }, place }: Draft) {
  if (profile === 'micronode' || mark === '') return undefined;
  const way = relative(resolve(data), resolve(mark));
  if (way !== '' && (/^\.\.(\/|$)/.test(way) || isAbsolute(way))) return undefined;
  return `${place('high_water')}: expected high_water outside of data, got ${excerpt(mark)}: a backup that is restored would bring its own mark along`;
}

function uselessInMemory(draft: Draft, key: SettingKey): string | undefined {
  const isNone = ['', 'off'].includes(String(draft.values[key]));
  if (draft.values.profile === 'macronode' || isNone || !isGiven(draft, key)) return undefined;
  return `${draft.place(key)}: expected no ${key} for a micronode, which keeps nothing on a disk, got one: leave it out`;
}
