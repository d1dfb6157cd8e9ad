/** Random configurations: values that are right and wrong for every setting, in every source, and what must come of them. */
import type { ConfigFile, ConfigSources } from '../../src/server/config.ts';
import { type NamedSetting, SETTINGS, type SettingKey } from '../../src/server/config-schema.ts';

type Samples = Readonly<Record<SettingKey, readonly string[]>>;

const PATHS = ['', 'a/b', '/etc/quorate/x'];
const NO_PATHS = ['a\0b'];
const COUNTS = ['1', '7', '1000'];
const NO_COUNTS = ['0', '-1', '1.5', '01', ' 1', '1e9999', 'many', '99999999999999999999'];
const TIMES = ['1s', '999s', '1m'];
const NO_TIMES = ['0', '5', '1.5s', '5 s', '-5s', '99h', '5sec', '5S'];

export const RIGHT: Samples = {
  profile: ['macronode', 'micronode'],
  listen: ['127.0.0.1:0', '[::1]:65535', 'unix:/run/q', 'registry.example.com:443'],
  socket_mode: ['600', '660', '770'],
  tls_cert: PATHS,
  tls_key: PATHS,
  trusted_proxies: ['', '10.0.0.0/8', '::1, 127.0.0.1'],
  metrics_listen: ['off', '127.0.0.1:0', '[::1]:9'],
  data: ['data', '/var/lib/quorate'],
  origin: ['', 'registry.example.com/prod'],
  registry: ['', `b3:${'0f'.repeat(32)}`],
  log_key: ['', 'log.pem', 'log.pem,exec:sign --slot 2'],
  witness_policy: PATHS,
  recosign_interval: ['10s', '24h'],
  clock_key: ['', 'clock.pem', 'exec:sign'],
  clock_name: ['', 'registry.example.com/clock'],
  clock_interval: TIMES.slice(0, 1),
  high_water: PATHS,
  operator_listen: ['auto', 'off', '/run/o', './o'],
  token_key: ['', `ed25519/${'0f'.repeat(32)}`],
  token_revocations: PATHS,
  log_level: ['debug', 'info', 'warn', 'error', 'silent'],
  trace_endpoint: ['', 'http://127.0.0.1:4318/v1/traces'],
  audit_max_size: ['1MiB', '1TiB'],
  blobs: ['off', 'on'],
  max_blob_bytes: ['1KiB', '1TiB'],
  blob_quota: ['1KiB', '1PiB'],
  blob_grace: ['1m', '10000h'],
  max_pending_proposals: COUNTS,
  max_reads_per_minute: COUNTS,
  max_writes_per_minute: COUNTS,
  max_token_writes_per_minute: COUNTS,
  max_inflight: ['2', '1000000'],
  max_connections: COUNTS,
  max_connections_per_address: COUNTS,
  max_streams: COUNTS,
  max_streams_per_address: COUNTS,
  max_stream_age: ['1s', '24h'],
  max_prepared_sets: ['0B', '1PiB'],
  shed_storage_after: TIMES.slice(0, 1),
  shed_loop_after: ['10ms', '10m'],
  min_free_space: ['0B', '1PiB'],
  warn_free_space: ['0B', '1MiB', '1PiB'],
  ballast: ['0B', '1TiB'],
  headers_timeout: ['100ms', '10m'],
  request_timeout: ['100ms', '10m'],
  keep_alive_timeout: TIMES.slice(0, 1),
  drain_timeout: ['100ms', '10m'],
  drain_delay: ['0s', '10m'],
  retention_age: ['0s', '365d', '36500d'],
  retention_entries: ['0', ...COUNTS],
  retention_size: ['0B', '1GiB'],
  archive: ['', 'https://mirror.example.com'],
};

export const WRONG: Samples = {
  profile: ['Macronode', 'node', ' micronode'],
  listen: ['7070', ':7070', '1.2.3.4:65536', 'http://a:1', '::1:7070', 'unix:', 'unix:a\0'],
  socket_mode: ['0660', '666', '888', 'rw'],
  tls_cert: NO_PATHS,
  tls_key: NO_PATHS,
  trusted_proxies: ['10.0.0.0/33', 'proxy', '10.0.0.0/8;::1', ','],
  metrics_listen: ['on', '127.0.0.1', 'unix:/run/m'],
  data: NO_PATHS,
  origin: ['https://x.example', 'UPPER', 'a b'],
  registry: ['b3:0', 'B3:', '0f'.repeat(32)],
  log_key: [',', 'a.pem,', 'exec:', 'a\0'],
  witness_policy: NO_PATHS,
  recosign_interval: ['9s', '25h', ...NO_TIMES],
  clock_key: ['a,b', 'exec:', 'a\0'],
  clock_name: ['a b', 'a+b', 'x'.repeat(256)],
  clock_interval: ['999ms', '11m', ...NO_TIMES],
  high_water: NO_PATHS,
  operator_listen: ['none', '127.0.0.1:7072', 'false', ...NO_PATHS],
  token_key: ['ed25519/0', '0f'.repeat(32), `ed25519/${'0F'.repeat(32)}`],
  token_revocations: NO_PATHS,
  log_level: ['trace', 'INFO', '30'],
  trace_endpoint: ['collector:4318', 'ftp://a/', 'http://user:secret@a/'],
  audit_max_size: ['1023KiB', '2TiB', '1MB', '5'],
  blobs: ['yes', 'ON', ''],
  max_blob_bytes: ['1023B', '2TiB', '1MB', '5'],
  blob_quota: ['1023B', '2PiB', '1MB', '5'],
  blob_grace: ['59s', '10001h', ...NO_TIMES.filter((text) => text !== '99h')],
  max_pending_proposals: ['100001', ...NO_COUNTS],
  max_reads_per_minute: NO_COUNTS,
  max_writes_per_minute: NO_COUNTS,
  max_token_writes_per_minute: NO_COUNTS,
  max_inflight: ['1', ...NO_COUNTS],
  max_connections: ['1000001', ...NO_COUNTS],
  max_connections_per_address: ['1000001', ...NO_COUNTS],
  max_streams: ['100001', ...NO_COUNTS],
  max_streams_per_address: ['100001', ...NO_COUNTS],
  max_stream_age: ['999ms', '25h', ...NO_TIMES],
  max_prepared_sets: ['0', '2PiB', '-1B', '64MB'],
  shed_storage_after: ['9ms', '11m', ...NO_TIMES],
  shed_loop_after: ['9ms', '11m', ...NO_TIMES],
  min_free_space: ['0', '2PiB', '-1B', '64MB'],
  warn_free_space: ['0', '2PiB', '-1B', '64MB'],
  ballast: ['0', '2TiB', '-1B', '64MB'],
  headers_timeout: ['99ms', '11m', ...NO_TIMES],
  request_timeout: ['99ms', '11m', ...NO_TIMES],
  keep_alive_timeout: ['999ms', '11m', ...NO_TIMES],
  drain_timeout: ['99ms', '11m', ...NO_TIMES],
  drain_delay: ['11m', ...NO_TIMES],
  retention_age: ['36501d', '1y', '-1d'],
  retention_entries: ['-1', '1.5', 'many'],
  retention_size: ['1', '1EiB', '-1B'],
  archive: ['a\nb', 'é', 'x'.repeat(257)],
};

export interface Draw {
  readonly sources: ConfigSources;
  /** Where a mistake was planted. */
  readonly planted: ReadonlySet<string>;
  /** Of the settings that were given, the text that is in force if nothing was planted. */
  readonly texts: ReadonlyMap<SettingKey, string>;
}

/** The strongest first. */
const SOURCES = ['flag', 'env', 'envFile', 'toml'] as const;
type Source = (typeof SOURCES)[number];

/** A draw as it is made. */
class Drawing {
  readonly planted = new Set<string>();
  readonly texts = new Map<SettingKey, string>();
  readonly flags: Record<string, string> = {};
  readonly env: Record<string, string> = {};
  readonly envFiles: Record<string, ConfigFile> = {};
  readonly toml: string[] = [];
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  chance(probability: number): boolean {
    return this.#random() < probability;
  }

  pick<T>(values: readonly T[]): T {
    const value = values[Math.floor(this.#random() * values.length)];
    if (value === undefined) throw new Error('expected something to pick from');
    return value;
  }

  /** The text of a setting, right or wrong, at one source. */
  give(setting: NamedSetting, source: Source, isRight: boolean): void {
    const { key, env, envFile, flag } = setting;
    const text = this.pick((isRight ? RIGHT : WRONG)[key]);
    const isNothing = text === '' && (source === 'env' || source === 'envFile');
    if (isNothing && source === 'env') return;
    if (!isNothing && !this.texts.has(key)) this.texts.set(key, text);
    if (source === 'flag') this.flags[key] = text;
    if (source === 'env') this.env[env] = text;
    if (source === 'envFile') {
      this.env[envFile] = `/run/secrets/${key}`;
      this.envFiles[envFile] = { name: `/run/secrets/${key}`, text: `${text}\n` };
    }
    if (source === 'toml') this.toml.push(`${key} = ${JSON.stringify(text)}`);
    const place = { flag, env, envFile, toml: `quorate.toml: ${key}` }[source];
    if (!isRight || isNothing || (source === 'envFile' && env in this.env)) this.planted.add(place);
  }
}

/** Mistakes that are in no value. */
const PLANTS: readonly ((drawing: Drawing) => string)[] = [
  (drawing) => {
    drawing.toml.push('max_stream = "7"');
    return 'quorate.toml: max_stream';
  },
  (drawing) => {
    drawing.toml.push('threshold = 1');
    return 'quorate.toml: threshold';
  },
  (drawing) => {
    drawing.env.QUORATE_MAX_STREAM = '7';
    return 'QUORATE_MAX_STREAM';
  },
  (drawing) => {
    drawing.env.QUORATE_SIGNERS = 'alice';
    return 'QUORATE_SIGNERS';
  },
  (drawing) => {
    drawing.flags.quorum = '1';
    return '--quorum';
  },
];

export function drawConfig(random: () => number): Draw {
  const drawing = new Drawing(random);
  const wrongness = drawing.pick([0, 0, 0.05, 0.5]);
  for (const setting of SETTINGS.filter(() => drawing.chance(0.3)))
    for (const source of SOURCES.filter(() => drawing.chance(0.3)))
      drawing.give(setting, source, !drawing.chance(wrongness));
  for (const plant of PLANTS.filter(() => drawing.chance(wrongness / 2)))
    drawing.planted.add(plant(drawing));
  if (drawing.chance(wrongness / 2)) spoil(drawing);
  const { flags, env, envFiles, planted, texts } = drawing;
  const isMemory = drawing.chance(0.5);
  const file = { name: 'quorate.toml', text: drawing.toml.join('\n') };
  return { sources: { flags, env, envFiles, file, isInMemory: () => isMemory }, planted, texts };
}

/** A file that is no TOML hides what else is wrong in it. */
function spoil(drawing: Drawing): void {
  drawing.toml.push(drawing.pick(['= = =', '[', 'data = ', '"', 'data = "a"\ndata = "b"']));
  for (const place of drawing.planted)
    if (place.startsWith('quorate.toml')) drawing.planted.delete(place);
  drawing.planted.add('quorate.toml: line ');
}
