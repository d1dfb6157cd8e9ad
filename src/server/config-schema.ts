/**
 * Every setting of a server, in one strict schema: how its value is written, its default, what it
 * means and which metric shows it. CONFIG.md is compared with this file by a test. Governance and
 * quorum are not settings: they are committed, never configured.
 */
import { z } from 'zod';
import { ORIGIN } from '../core/check.ts';
import { isHash } from '../core/hash.ts';
import {
  parseAddress,
  parseBytes,
  parseDuration,
  parseHttpUrl,
  parseInteger,
  parseListen,
  parseNetworks,
} from './config-values.ts';
import { parseKeySources } from './key-source.ts';
import { LOG_LEVELS } from './log.ts';
import { parseTokenKeys } from './token-key.ts';

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
  /** Whether a reload takes it up; a text says why it does not. */
  readonly reload: true | string;
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
const APPLIES = true;

export const configSchema = z.strictObject({
  profile: setting({
    ...choice(PROFILES),
    initial: 'macronode',
    meaning:
      'macronode keeps the registry in SQLite under `data`; micronode in memory, gone with the process',
    metric: 'registry_storage_bytes',
    reload: 'where a registry is kept does not change under it',
  }),
  listen: setting({
    expected: 'host:port such as 127.0.0.1:7070 or [::1]:7070, or unix: and a path',
    parse: parseListen,
    initial: '127.0.0.1:7070',
    meaning: 'where the API listens; port 0 takes a free one',
    metric: 'http_requests_total',
    reload: 'a listener keeps its address',
  }),
  socket_mode: setting({
    expected: 'three octal digits such as 660, of which others may have none but 0',
    parse: (text) => (/^[0-7]{2}0$/.test(text) ? Number.parseInt(text, 8) : undefined),
    initial: '660',
    meaning:
      'permissions of the Unix sockets that `listen` names; the operator socket is 600 always',
    metric: 'none: who may not connect is no request',
    reload: 'a listener keeps its address',
  }),
  tls_cert: setting({
    ...pathOrNone(),
    meaning:
      'PEM file with the certificate of the API and its chain; with `tls_key` the API speaks TLS 1.3 only; empty: plain HTTP',
    metric: 'tls_certificate_not_after_timestamp_seconds',
    reload: 'whether a listener speaks TLS does not change under it; the files are read again',
  }),
  tls_key: setting({
    ...pathOrNone(),
    meaning: 'PEM file with the private key of the certificate, not encrypted, for its owner only',
    metric: 'tls_certificate_not_after_timestamp_seconds',
    reload: 'whether a listener speaks TLS does not change under it; the files are read again',
  }),
  trusted_proxies: setting({
    expected: 'empty, or addresses and networks such as 10.0.0.0/8,::1, separated by commas',
    parse: parseNetworks,
    initial: '',
    meaning:
      'proxies whose `X-Forwarded-For` is believed: its rightmost address that is none of them is the client; empty: none',
    metric: 'rejected_total{reason="rate_limited"}',
    reload: APPLIES,
  }),
  metrics_listen: setting({
    expected: 'host:port, or off',
    parse: (text) => (text === 'off' ? 'off' : parseAddress(text)),
    initial: '127.0.0.1:7071',
    meaning: 'where `GET /metrics` listens, apart from the API',
    metric: 'none: the scrape itself shows it',
    reload: 'a listener keeps its address',
  }),
  data: setting({
    expected: 'a path without NUL, not empty',
    parse: (text) => (text === '' || text.includes('\0') ? undefined : text),
    initial: './data',
    meaning:
      'directory of the database, relative to the working directory; made when it is missing',
    metric: 'registry_storage_bytes',
    reload: 'where a registry is kept does not change under it',
  }),
  origin: setting({
    expected: 'empty, or an origin such as registry.example.com/prod',
    parse: (text) => (text === '' || ORIGIN.test(text) ? text : undefined),
    initial: '',
    meaning: 'refuse to start on, or to begin, a registry of another origin; empty: any',
    metric: 'rejected_total{reason="wrong_registry"}',
    reload: 'it is checked at the start',
  }),
  registry: setting({
    expected: 'empty, or b3: and 64 lower-case hex digits',
    parse: (text) => (text === '' || isHash(text) ? text : undefined),
    initial: '',
    meaning:
      'refuse to start on, or to begin, another registry than the one with this genesis hash; empty: any',
    metric: 'rejected_total{reason="wrong_registry"}',
    reload: 'it is checked at the start',
  }),
  log_key: setting({
    expected: 'empty, or paths of private keys and exec:COMMAND, separated by commas',
    parse: parseKeySources,
    initial: '',
    meaning:
      'the keys that sign checkpoints, each where governance names it; empty: `log.pem` in `data`, if it is there',
    metric: 'registry_checkpoint_age_seconds',
    reload: 'a key is opened once',
  }),
  witness_policy: setting({
    ...pathOrNone(),
    meaning:
      'a C2SP tlog-policy file: the witnesses that are asked to cosign each checkpoint, and how many must have before the first write after a start; empty: none',
    metric: 'registry_witness_requests_total',
    reload: 'who cosigns is decided at the start',
  }),
  recosign_interval: setting({
    ...duration({ min: '10s', max: '24h' }),
    initial: '5m',
    meaning:
      'a cosignature is asked for again at this age, so that readers see how fresh the head is',
    metric: 'registry_cosignature_age_seconds',
    reload: 'who cosigns is decided at the start',
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
    reload: 'a key is opened once',
  }),
  clock_name: setting({
    expected: 'empty, or a name without spaces and + such as registry.example.com/clock',
    parse: (text) => (/^[^\s+\p{Cc}]{0,255}$/u.test(text) ? text : undefined),
    initial: '',
    meaning: 'the name of the clock among cosigners; empty: the origin and /clock',
    metric: 'registry_cosignature_age_seconds',
    reload: 'a cosigner keeps its name',
  }),
  clock_interval: setting({
    ...duration({ min: '1s', max: '10m' }),
    initial: '5s',
    meaning: 'how often the clock signs',
    metric: 'registry_cosignature_age_seconds',
    reload: 'who cosigns is decided at the start',
  }),
  high_water: setting({
    ...pathOrNone(),
    meaning:
      'a file outside `data` and its backups that keeps the newest checkpoint, so that a restored older database is not written to; empty: none',
    metric: 'none: the log says when it can not be kept',
    reload: 'it is compared at the start',
  }),
  operator_listen: setting({
    expected: 'auto, off, or the path of a Unix socket',
    parse: (text) => (text === '' || text.includes('\0') ? undefined : text),
    initial: 'auto',
    meaning:
      'where operator acts are taken: freeze, thaw, reload, snapshot, compact; auto: `operator.sock` in `data`, off for a micronode',
    metric: 'audit_records_total',
    reload: 'a listener keeps its address',
  }),
  token_key: setting({
    expected: 'empty, or public keys as `quorate token keygen` prints them, separated by commas',
    parse: parseTokenKeys,
    initial: '',
    meaning:
      'whose access tokens open the write routes; empty: no tokens, and writes are open on loopback and Unix sockets only',
    metric: 'token_checks_total',
    reload: APPLIES,
  }),
  token_revocations: setting({
    ...pathOrNone(),
    meaning:
      'a file of revocation ids, one a line, as `quorate token revoke` writes it; read at the start, at a reload and when it changes; empty: none',
    metric: 'token_checks_total{result="refused"}',
    reload: APPLIES,
  }),
  log_level: setting({
    ...choice(LOG_LEVELS),
    initial: 'info',
    meaning: 'least level of the JSON lines on standard error',
    metric: 'none: the log itself shows it',
    reload: APPLIES,
  }),
  trace_endpoint: setting({
    expected: 'empty, or a URL such as http://127.0.0.1:4318/v1/traces',
    parse: parseHttpUrl,
    initial: '',
    meaning:
      'where spans are sent as OTLP over HTTP; needs the optional OpenTelemetry packages; empty: no tracing',
    metric: 'none: the collector shows it',
    reload: 'the tracer is made at the start',
  }),
  audit_max_size: setting({
    ...bytes({ min: '1MiB', max: '1TiB' }),
    initial: '256MiB',
    meaning:
      'the audit log in `data/audit` is kept to about this size, the oldest records going first; a micronode writes its audit log to standard output and keeps none',
    metric: 'audit_records_total',
    reload: APPLIES,
  }),
  max_pending_proposals: setting({
    ...integer({ min: '1', max: '100000' }),
    initial: '1000',
    meaning: 'proposals in flight',
    metric: 'registry_pending_proposals',
    reload: 'the proposals in flight were counted by it',
  }),
  max_reads_per_minute: setting({
    ...integer({ min: '1', max: '1000000000' }),
    initial: '600000',
    meaning: 'read requests from one address (IPv6: one /64); a stream is one',
    metric: 'rejected_total{reason="rate_limited"}',
    reload: APPLIES,
  }),
  max_writes_per_minute: setting({
    ...integer({ min: '1', max: '1000000000' }),
    initial: '6000',
    meaning: 'write requests from one address (IPv6: one /64)',
    metric: 'rejected_total{reason="rate_limited"}',
    reload: APPLIES,
  }),
  max_token_writes_per_minute: setting({
    ...integer({ min: '1', max: '1000000000' }),
    initial: '6000',
    meaning: 'write requests with one access token, from wherever they come',
    metric: 'rejected_total{reason="rate_limited"}',
    reload: APPLIES,
  }),
  max_inflight: setting({
    ...integer({ min: '2', max: '1000000' }),
    initial: '2000',
    meaning:
      'requests being answered at once, streams and long polls aside; writes are refused from half of it on, reads above it, probes never',
    metric: 'rejected_total{reason="overloaded"}',
    reload: APPLIES,
  }),
  max_connections: setting({
    ...integer({ min: '1', max: '1000000' }),
    initial: '10000',
    meaning: 'open connections',
    metric: 'http_connections_refused_total{reason="total"}',
    reload: APPLIES,
  }),
  max_connections_per_address: setting({
    ...integer({ min: '1', max: '1000000' }),
    initial: '256',
    meaning:
      'open connections from one address (IPv6: one /64); those of trusted proxies and Unix sockets are not counted',
    metric: 'http_connections_refused_total{reason="address"}',
    reload: APPLIES,
  }),
  max_streams: setting({
    ...integer({ min: '1', max: '100000' }),
    initial: '1000',
    meaning: 'open streams',
    metric: 'registry_stream_subscribers',
    reload: APPLIES,
  }),
  max_streams_per_address: setting({
    ...integer({ min: '1', max: '100000' }),
    initial: '8',
    meaning: 'open streams from one address',
    metric: 'rejected_total{reason="too_many_streams"}',
    reload: APPLIES,
  }),
  max_stream_age: setting({
    ...duration({ min: '1s', max: '24h' }),
    initial: '15m',
    meaning: 'a stream is closed at about this age, and its reader resumes by id',
    metric: 'registry_stream_subscribers',
    reload: 'open streams have it already',
  }),
  shed_storage_after: setting({
    ...duration({ min: '10ms', max: '10m' }),
    initial: '1s',
    meaning: 'writes are refused while the store takes this long for one',
    metric: 'rejected_total{reason="storage_slow"}',
    reload: APPLIES,
  }),
  shed_loop_after: setting({
    ...duration({ min: '10ms', max: '10m' }),
    initial: '250ms',
    meaning: 'writes are refused for a moment after the event loop was late by this much',
    metric: 'rejected_total{reason="loop_late"}',
    reload: APPLIES,
  }),
  min_free_space: setting({
    ...bytes({ min: '0B', max: '1PiB' }),
    initial: '64MiB',
    meaning: 'writes are refused while the disk of `data` has less than this left',
    metric: 'rejected_total{reason="read_only"}',
    reload: APPLIES,
  }),
  headers_timeout: setting({
    ...duration({ min: '100ms', max: '10m' }),
    initial: '5s',
    meaning: 'time to receive the headers of a request',
    metric: 'none: such a connection has no request yet',
    reload: 'a listener keeps its timeouts',
  }),
  request_timeout: setting({
    ...duration({ min: '100ms', max: '10m' }),
    initial: '10s',
    meaning: 'time to receive a whole request; does not limit streams',
    metric: 'none: such a connection has no request yet',
    reload: 'a listener keeps its timeouts',
  }),
  keep_alive_timeout: setting({
    ...duration({ min: '1s', max: '10m' }),
    initial: '65s',
    meaning: 'an idle connection is closed after this; keep it above that of a proxy in front',
    metric: 'none: an idle connection has no request',
    reload: 'a listener keeps its timeouts',
  }),
  drain_timeout: setting({
    ...duration({ min: '100ms', max: '10m' }),
    initial: '10s',
    meaning: 'after SIGTERM, time for open requests to end before their connections are cut',
    metric: 'inflight_requests',
    reload: APPLIES,
  }),
  drain_delay: setting({
    ...duration({ min: '0s', max: '10m' }),
    initial: '0s',
    meaning:
      'after SIGTERM, time in which `/readyz` says no and everything is still served, for balancers to notice',
    metric: 'registry_read_ready',
    reload: APPLIES,
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

function bytes(range: Range) {
  return quantity('a size', '64MiB', parseBytes, range);
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
