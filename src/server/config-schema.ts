/**
 * Every setting of a server, in one strict schema: how its value is written, its default, what it
 * means and which metric shows it. CONFIG.md is compared with this file by a test. Governance and
 * quorum are not settings: they are committed, never configured.
 */
import { z } from 'zod';
import { ORIGIN } from '../core/check.ts';
import { isHash } from '../core/hash.ts';
import { parseAddress, parseDuration, parseInteger } from './config-values.ts';
import { parseKeySources } from './key-source.ts';
import { LOG_LEVELS } from './log.ts';

export const PROFILES = ['macronode', 'micronode'] as const;
export type Profile = (typeof PROFILES)[number];

export interface SettingInfo {
  /** As written in a file, the environment or a flag. */
  readonly initial: string;
  /** What a value looks like. */
  readonly expected: string;
  readonly meaning: string;
  /** A golden metric, or why there is none. */
  readonly metric: string;
}

interface Setting<T> extends SettingInfo {
  /** `undefined`: not such a value. */
  readonly parse: (text: string) => T | undefined;
}

interface Range {
  readonly min: string;
  readonly max: string;
}

const registered = z.registry<SettingInfo>();

export const configSchema = z.strictObject({
  profile: setting({
    ...choice(PROFILES),
    initial: 'macronode',
    meaning:
      'macronode keeps the registry in SQLite under `data`; micronode in memory, gone with the process',
    metric: 'registry_storage_bytes',
  }),
  listen: setting({
    expected: 'host:port such as 127.0.0.1:7070 or [::1]:7070',
    parse: parseAddress,
    initial: '127.0.0.1:7070',
    meaning: 'where the API listens; port 0 takes a free one',
    metric: 'http_requests_total',
  }),
  metrics_listen: setting({
    expected: 'host:port, or off',
    parse: (text) => (text === 'off' ? 'off' : parseAddress(text)),
    initial: '127.0.0.1:7071',
    meaning: 'where `GET /metrics` listens, apart from the API',
    metric: 'none: the scrape itself shows it',
  }),
  data: setting({
    expected: 'a path without NUL, not empty',
    parse: (text) => (text === '' || text.includes('\0') ? undefined : text),
    initial: './data',
    meaning:
      'directory of the database, relative to the working directory; made when it is missing',
    metric: 'registry_storage_bytes',
  }),
  origin: setting({
    expected: 'empty, or an origin such as registry.example.com/prod',
    parse: (text) => (text === '' || ORIGIN.test(text) ? text : undefined),
    initial: '',
    meaning: 'refuse to start on, or to begin, a registry of another origin; empty: any',
    metric: 'rejected_total{reason="wrong_registry"}',
  }),
  registry: setting({
    expected: 'empty, or b3: and 64 lower-case hex digits',
    parse: (text) => (text === '' || isHash(text) ? text : undefined),
    initial: '',
    meaning:
      'refuse to start on, or to begin, another registry than the one with this genesis hash; empty: any',
    metric: 'rejected_total{reason="wrong_registry"}',
  }),
  log_key: setting({
    expected: 'empty, or paths of private keys and exec:COMMAND, separated by commas',
    parse: parseKeySources,
    initial: '',
    meaning:
      'the keys that sign checkpoints, each where governance names it; empty: `log.pem` in `data`, if it is there',
    metric: 'registry_checkpoint_age_seconds',
  }),
  witness_policy: setting({
    ...pathOrNone(),
    meaning:
      'a C2SP tlog-policy file: the witnesses that are asked to cosign each checkpoint, and how many must have before the first write after a start; empty: none',
    metric: 'registry_witness_requests_total',
  }),
  recosign_interval: setting({
    ...duration({ min: '10s', max: '24h' }),
    initial: '5m',
    meaning:
      'a cosignature is asked for again at this age, so that readers see how fresh the head is',
    metric: 'registry_cosignature_age_seconds',
  }),
  clock_key: setting({
    expected: 'empty, or the path of a private key or exec:COMMAND',
    parse: (text) => {
      const sources = parseKeySources(text);
      return sources === undefined || sources.length > 1 ? undefined : (sources[0] ?? null);
    },
    initial: '',
    meaning:
      'the key of the clock, a cosigner of its own that says every few seconds that the head is still the newest; empty: no clock',
    metric: 'registry_cosignature_age_seconds',
  }),
  clock_name: setting({
    expected: 'empty, or a name without spaces and + such as registry.example.com/clock',
    parse: (text) => (/^[^\s+\p{Cc}]{0,255}$/u.test(text) ? text : undefined),
    initial: '',
    meaning: 'the name of the clock among cosigners; empty: the origin and /clock',
    metric: 'registry_cosignature_age_seconds',
  }),
  clock_interval: setting({
    ...duration({ min: '1s', max: '10m' }),
    initial: '5s',
    meaning: 'how often the clock signs',
    metric: 'registry_cosignature_age_seconds',
  }),
  high_water: setting({
    ...pathOrNone(),
    meaning:
      'a file outside `data` and its backups that keeps the newest checkpoint, so that a restored older database is not written to; empty: none',
    metric: 'none: the log says when it can not be kept',
  }),
  log_level: setting({
    ...choice(LOG_LEVELS),
    initial: 'info',
    meaning: 'least level of the JSON lines on standard error',
    metric: 'none: the log itself shows it',
  }),
  max_pending_proposals: setting({
    ...integer({ min: '1', max: '100000' }),
    initial: '1000',
    meaning: 'proposals in flight',
    metric: 'registry_pending_proposals',
  }),
  max_reads_per_minute: setting({
    ...integer({ min: '1', max: '1000000000' }),
    initial: '600000',
    meaning: 'read requests from one address (IPv6: one /64); a stream is one',
    metric: 'rejected_total{reason="rate_limited"}',
  }),
  max_writes_per_minute: setting({
    ...integer({ min: '1', max: '1000000000' }),
    initial: '6000',
    meaning: 'write requests from one address (IPv6: one /64)',
    metric: 'rejected_total{reason="rate_limited"}',
  }),
  max_streams: setting({
    ...integer({ min: '1', max: '100000' }),
    initial: '1000',
    meaning: 'open streams',
    metric: 'registry_stream_subscribers',
  }),
  max_streams_per_address: setting({
    ...integer({ min: '1', max: '100000' }),
    initial: '8',
    meaning: 'open streams from one address',
    metric: 'rejected_total{reason="too_many_streams"}',
  }),
  max_stream_age: setting({
    ...duration({ min: '1s', max: '24h' }),
    initial: '15m',
    meaning: 'a stream is closed at about this age, and its reader resumes by id',
    metric: 'registry_stream_subscribers',
  }),
  headers_timeout: setting({
    ...duration({ min: '100ms', max: '10m' }),
    initial: '5s',
    meaning: 'time to receive the headers of a request',
    metric: 'none: such a connection has no request yet',
  }),
  request_timeout: setting({
    ...duration({ min: '100ms', max: '10m' }),
    initial: '10s',
    meaning: 'time to receive a whole request; does not limit streams',
    metric: 'none: such a connection has no request yet',
  }),
  keep_alive_timeout: setting({
    ...duration({ min: '1s', max: '10m' }),
    initial: '65s',
    meaning: 'an idle connection is closed after this; keep it above that of a proxy in front',
    metric: 'none: an idle connection has no request',
  }),
  drain_timeout: setting({
    ...duration({ min: '100ms', max: '10m' }),
    initial: '10s',
    meaning: 'after SIGTERM, time for open requests to end before their connections are cut',
    metric: 'inflight_requests',
  }),
});

/** A setting with the names by which each source knows it. */
export interface NamedSetting extends SettingInfo {
  readonly key: string;
  readonly env: string;
  readonly flag: string;
}

/** All settings, in the order of CONFIG.md. */
export const SETTINGS: readonly NamedSetting[] = Object.entries(configSchema.shape).flatMap(
  ([key, schema]) => {
    const info = registered.get(schema);
    const env = `QUORATE_${key.toUpperCase()}`;
    return info === undefined ? [] : [{ ...info, key, env, flag: `--${key.replaceAll('_', '-')}` }];
  },
);

function setting<T>({ parse, ...info }: Setting<T>) {
  const text = z.string({ error: info.expected });
  const schema = text.transform((written, context) => {
    const value = parse(written);
    if (value !== undefined) return value;
    context.addIssue({ code: 'custom', message: info.expected });
    return z.NEVER;
  });
  return schema.prefault(info.initial).register(registered, info);
}

function choice<const T extends string>(values: readonly T[]) {
  return {
    expected: values.join(', ').replace(/, (?=[^,]*$)/, ' or '),
    parse: (text: string) => values.find((value) => value === text),
  };
}

function pathOrNone() {
  return {
    expected: 'empty, or a path without NUL',
    parse: (text: string) => (text.includes('\0') ? undefined : text),
    initial: '',
  };
}

function duration(range: Range) {
  return quantity('a duration', '30s', parseDuration, range);
}

function integer(range: Range) {
  return quantity('an integer', '', parseInteger, range);
}

function quantity(
  what: string,
  example: string,
  parse: (text: string) => number | undefined,
  { min, max }: Range,
) {
  const least = parse(min) ?? 0;
  const most = parse(max) ?? 0;
  return {
    expected: `${what} from ${min} to ${max}${example && ` such as ${example}`}`,
    parse: (text: string) => {
      const value = parse(text);
      return value !== undefined && value >= least && value <= most ? value : undefined;
    },
  };
}
