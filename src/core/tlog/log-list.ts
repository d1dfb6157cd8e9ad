/**
 * The logs that a witness is to watch, in the line format that witness operators exchange (`logs/v0`),
 * and the name under which a witness serves what it saw last of a log.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { encodeUtf8 } from '../bytes.ts';
import { RegistryError } from '../error.ts';
import { parseVerifierKey, type VerifierKey } from '../vkey.ts';

export interface ListedLog {
  /** As written. */
  readonly vkey: string;
  readonly key: VerifierKey;
  readonly origin: string;
  /** Requests for cosignatures in a day; `null`: not said. */
  readonly requestsPerDay: number | null;
  /** How to reach who runs it; `null`: not said. */
  readonly contact: string | null;
}

const HEADER = 'logs/v0';
/** Of each log beside its key; `bastion` is how some witnesses are reached, and nothing to a witness without one. */
const MEMBERS = ['origin', 'bastion', 'qpd', 'contact'];

/** Throws `malformed`, with the line. */
export function parseLogList(text: string): readonly ListedLog[] {
  const lines = text
    .split('\n')
    .map((line, i) => ({ number: i + 1, words: line.trim() }))
    .filter(({ words }) => words !== '' && !words.startsWith('#'));
  const [header, ...rest] = lines;
  if (header?.words !== HEADER) throw refused(header?.number ?? 1, HEADER, header?.words);
  const logs: ListedLog[] = [];
  for (const { number, words } of rest) {
    const [keyword = '', value = ''] = splitOnce(words);
    const log = logs.pop();
    if (keyword === 'vkey') {
      if (log !== undefined) logs.push(log);
      logs.push(beginLog(number, value));
    } else if (log === undefined || !MEMBERS.includes(keyword))
      throw refused(number, `vkey${log === undefined ? '' : `, ${MEMBERS.join(', ')}`}`, words);
    else logs.push(addMember(number, log, { keyword, value }));
  }
  return logs;
}

export function encodeLogList(logs: readonly Omit<ListedLog, 'key'>[]): string {
  const stanzas = logs.map(({ vkey, origin, requestsPerDay, contact }) => [
    `vkey ${vkey}`,
    ...(vkey.startsWith(`${origin}+`) ? [] : [`origin ${origin}`]),
    ...(requestsPerDay === null ? [] : [`qpd ${requestsPerDay}`]),
    ...(contact === null ? [] : [`contact ${contact}`]),
  ]);
  return [[HEADER], ...stanzas].map((lines) => `${lines.join('\n')}\n`).join('\n');
}

/** Hex of the SHA-256 of the origin: a log in the paths of who watches or mirrors many. */
export function originHash(origin: string): string {
  return bytesToHex(sha256(encodeUtf8(origin)));
}

function beginLog(line: number, vkey: string): ListedLog {
  const key = parseVerifierKey(vkey);
  if (key === undefined || key.type === 'cosigner')
    throw refused(line, "a log's c2sp verifier key", vkey);
  return { vkey, key, origin: key.name, requestsPerDay: null, contact: null };
}

function addMember(
  line: number,
  log: ListedLog,
  { keyword, value }: { keyword: string; value: string },
): ListedLog {
  if (value === '') throw refused(line, `a value after ${keyword}`, 'none');
  if (keyword === 'origin') return value === 'none' ? log : { ...log, origin: value };
  if (keyword === 'contact') return { ...log, contact: value };
  if (keyword !== 'qpd') return log;
  if (!/^[0-9]{1,9}$/.test(value)) throw refused(line, 'requests per day', value);
  return { ...log, requestsPerDay: Number(value) };
}

function splitOnce(words: string): readonly string[] {
  const [keyword = ''] = words.split(/[ \t]/, 1);
  return [keyword, words.slice(keyword.length).trim()];
}

function refused(line: number, expected: string, got: string | undefined): RegistryError {
  return new RegistryError(
    'malformed',
    `expected ${expected} in line ${line} of the log list, got ${JSON.stringify(got ?? 'nothing')}`,
    { details: { line } },
  );
}
