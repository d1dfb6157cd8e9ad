/**
 * From flags, environment and file to one checked `Config`. The first source that names a setting
 * wins, in that order, but every value of every source is checked, and all mistakes are told at once.
 */
import { excerpt, RegistryError } from '../core/error.ts';
import type { Hash } from '../core/hash.ts';
import { type Given, givenSettings } from './config-given.ts';
import { crossViolations, type Draft, isInMemory, operatorSocket } from './config-rules.ts';
import { configSchema, type NamedSetting, SETTINGS, type SettingValues } from './config-schema.ts';
import type { ConfigSources } from './config-sources.ts';
import type { Address, Network, SocketPath } from './config-values.ts';
import { governanceRefusal } from './governance-keys.ts';
import type { KeySource } from './key-source.ts';
import type { LogLevel } from './log.ts';
import type { Profile } from './settings/place.ts';
import type { TokenKey } from './token-key.ts';

export {
  type ConfigFile,
  type ConfigSources,
  readConfigFile,
  readConfigSources,
} from './config-sources.ts';

export interface Config {
  readonly profile: Profile;
  readonly listen: Address | SocketPath;
  /** Of the Unix socket in `listen`. */
  readonly socketMode: number;
  /** `null`: plain HTTP. */
  readonly tls: { readonly certPath: string; readonly keyPath: string } | null;
  readonly trustedProxies: readonly Network[];
  /** `null`: no metrics listener. */
  readonly metricsListen: Address | null;
  readonly dataDir: string;
  /** A store of another registry is refused, and so is another genesis. */
  readonly pins: { readonly origin?: string; readonly registry?: Hash };
  /** Empty: `log.pem` in `dataDir`, if a macronode has it. */
  readonly logKeys: readonly KeySource[];
  /** Who signs checkpoints beside the log, and what its store must not fall behind. */
  readonly cosigners: {
    /** `null`: no witnesses. */
    readonly witnessPolicy: string | null;
    readonly recosignMs: number;
    /** `null`: no clock. */
    readonly clockKey: KeySource | null;
    /** `null`: after the origin. */
    readonly clockName: string | null;
    readonly clockIntervalMs: number;
    /** `null`: no high-water mark. */
    readonly highWater: string | null;
  };
  /** Path of the Unix socket for operator acts; `null`: none. */
  readonly operatorListen: string | null;
  readonly tokens: {
    /** Empty: no tokens, and writes from this machine only. */
    readonly keys: readonly TokenKey[];
    /** `null`: nothing is revoked. */
    readonly revocations: string | null;
  };
  readonly logLevel: LogLevel;
  /** `null`: no tracing. */
  readonly traceEndpoint: string | null;
  readonly auditMaxBytes: number;
  readonly blobs: {
    readonly isOn: boolean;
    readonly maxBytes: number;
    readonly quotaBytes: number;
    readonly graceMs: number;
  };
  readonly limits: {
    readonly maxPendingProposals: number;
    /** From one address. */
    readonly maxReadsPerMinute: number;
    /** From one address. */
    readonly maxWritesPerMinute: number;
    /** With one access token. */
    readonly maxTokenWritesPerMinute: number;
    readonly maxInflight: number;
    readonly maxConnections: number;
    readonly maxConnectionsPerAddress: number;
    readonly maxStreams: number;
    readonly maxStreamsPerAddress: number;
    readonly maxPreparedBytes: number;
    readonly maxStreamAgeMs: number;
  };
  /** When writes are refused so that reads stay quick. */
  readonly shed: {
    readonly storageMs: number;
    readonly loopMs: number;
    readonly minFreeBytes: number;
    /** 0: nobody is warned. */
    readonly warnFreeBytes: number;
    /** 0: none. */
    readonly ballastBytes: number;
  };
  /** 0: no bound. */
  readonly retention: {
    readonly ageMs: number;
    readonly entries: number;
    readonly bytes: number;
  };
  /** Where pruned entries are; `null`: not said. */
  readonly archive: string | null;
  readonly timeouts: {
    readonly headersMs: number;
    readonly requestMs: number;
    readonly keepAliveMs: number;
    readonly drainMs: number;
    readonly drainDelayMs: number;
  };
  /** The same by the keys of settings: what a reload compares. */
  readonly settings: SettingValues;
}

/** A setting in force: its value as written and where that stands. */
export interface EffectiveSetting {
  readonly setting: NamedSetting;
  /** As written, also when it is a secret. */
  readonly text: string;
  /** What of it may be shown. */
  readonly shown: string;
  /** `--max-streams`, `QUORATE_MAX_STREAMS`, `QUORATE_MAX_STREAMS_FILE`, `quorate.toml: max_streams` or `default`. */
  readonly place: string;
}

/** Throws `invalid_request` that names every mistake and its place; `details.violations` lists them. */
export function loadConfig(sources: ConfigSources = {}): Config {
  return configOf(effectiveSettings(sources));
}

/** What `quorate config print` shows. Throws like `loadConfig`. */
export function effectiveSettings(sources: ConfigSources): readonly EffectiveSetting[] {
  const violations: string[] = [];
  const given = givenSettings(sources, violations);
  const strongest = new Map<string, Given>();
  const refused = new Set<string>();
  for (const one of given) {
    const problem = problemOf(one);
    if (problem !== undefined) violations.push(`${one.place}: ${problem}`);
    if (strongest.has(one.key)) continue;
    strongest.set(one.key, one);
    if (problem !== undefined) refused.add(one.key);
  }
  const settings = SETTINGS.map((setting) => effective(setting, strongest.get(setting.key)));
  violations.push(...crossViolations(draftOf({ settings, refused, sources })));
  if (violations.length > 0) throw invalidConfig(violations);
  return settings;
}

function effective(setting: NamedSetting, given: Given | undefined): EffectiveSetting {
  if (given === undefined)
    return { setting, text: setting.initial, shown: setting.initial, place: 'default' };
  const text = String(given.value);
  return { setting, text, shown: shownValue(given), place: given.place };
}

const MASK = '***';

/** A private key in the place of its path would be told as a path that is not there. */
const CONTENTS = /[\r\n]|-----BEGIN/;

/** As it may stand on a screen and in a log. */
function shownValue({ key, value, isSecret }: Given): string {
  const setting = SETTINGS.find((one) => one.key === key);
  return isSecret ? MASK : (setting?.shown?.(String(value)) ?? String(value));
}

/** What is wrong with the value for itself: what was expected, and what came unless that is a secret. */
function problemOf(given: Given): string | undefined {
  const { key, value } = given;
  const issue = configSchema.safeParse({ [key]: value }).error?.issues[0];
  if (issue?.code === 'unrecognized_keys')
    return (
      governanceRefusal(key, value) ??
      `expected one of ${SETTINGS.map((setting) => setting.key).join(', ')}, got ${excerpt(key)}`
    );
  if (typeof value === 'string' && CONTENTS.test(value))
    return 'expected a value of one line, got what looks like the contents of a file: give the path of the file';
  if (issue === undefined) return undefined;
  return `expected ${issue.message}, got ${excerpt(typeof value === 'string' ? shownValue(given) : value)}`;
}

function draftOf({
  settings,
  refused,
  sources,
}: {
  readonly settings: readonly EffectiveSetting[];
  readonly refused: ReadonlySet<string>;
  readonly sources: ConfigSources;
}): Draft {
  const valid = settings.filter(({ setting }) => !refused.has(setting.key));
  const places = new Map(settings.map(({ setting, place }) => [setting.key, place]));
  return {
    values: valuesOf(valid),
    isValid: (key) => !refused.has(key),
    place: (key) => places.get(key) ?? 'default',
    isInMemory: sources.isInMemory ?? isInMemory,
  };
}

function valuesOf(settings: readonly EffectiveSetting[]): SettingValues {
  return configSchema.parse(
    Object.fromEntries(settings.map(({ setting, text }) => [setting.key, text])),
  );
}

function invalidConfig(violations: readonly string[]): RegistryError {
  const mistakes = violations.length === 1 ? '1 mistake' : `${violations.length} mistakes`;
  const lines = violations.map((violation) => `\n  ${violation}`).join('');
  return new RegistryError(
    'invalid_request',
    `expected a valid configuration, got ${mistakes}:${lines}`,
    {
      details: { violations },
    },
  );
}

function configOf(settings: readonly EffectiveSetting[]): Config {
  const parsed = valuesOf(settings);
  const isDataGiven = settings.some(
    ({ setting, place }) => setting.key === 'data' && place !== 'default',
  );
  return {
    profile: parsed.profile,
    listen: parsed.listen,
    socketMode: parsed.socket_mode,
    tls:
      parsed.tls_cert === '' || parsed.tls_key === ''
        ? null
        : { certPath: parsed.tls_cert, keyPath: parsed.tls_key },
    trustedProxies: parsed.trusted_proxies,
    metricsListen: parsed.metrics_listen === 'off' ? null : parsed.metrics_listen,
    dataDir: parsed.data,
    pins: {
      ...(parsed.origin !== '' && { origin: parsed.origin }),
      ...(parsed.registry !== '' && { registry: parsed.registry }),
    },
    logKeys: parsed.log_key,
    cosigners: {
      witnessPolicy: parsed.witness_policy || null,
      recosignMs: parsed.recosign_interval,
      clockKey: parsed.clock_key,
      clockName: parsed.clock_name || null,
      clockIntervalMs: parsed.clock_interval,
      highWater: parsed.high_water || null,
    },
    operatorListen: operatorSocket(parsed, { isDataGiven }),
    tokens: { keys: parsed.token_key, revocations: parsed.token_revocations || null },
    logLevel: parsed.log_level,
    traceEndpoint: parsed.trace_endpoint || null,
    auditMaxBytes: parsed.audit_max_size,
    blobs: {
      isOn: parsed.blobs === 'on',
      maxBytes: parsed.max_blob_bytes,
      quotaBytes: parsed.blob_quota,
      graceMs: parsed.blob_grace,
    },
    limits: {
      maxPendingProposals: parsed.max_pending_proposals,
      maxReadsPerMinute: parsed.max_reads_per_minute,
      maxWritesPerMinute: parsed.max_writes_per_minute,
      maxTokenWritesPerMinute: parsed.max_token_writes_per_minute,
      maxInflight: parsed.max_inflight,
      maxConnections: parsed.max_connections,
      maxConnectionsPerAddress: parsed.max_connections_per_address,
      maxStreams: parsed.max_streams,
      maxStreamsPerAddress: parsed.max_streams_per_address,
      maxPreparedBytes: parsed.max_prepared_sets,
      maxStreamAgeMs: parsed.max_stream_age,
    },
    shed: {
      storageMs: parsed.shed_storage_after,
      loopMs: parsed.shed_loop_after,
      minFreeBytes: parsed.min_free_space,
      warnFreeBytes: parsed.warn_free_space,
      ballastBytes: parsed.ballast,
    },
    retention: {
      ageMs: parsed.retention_age,
      entries: parsed.retention_entries,
      bytes: parsed.retention_size,
    },
    archive: parsed.archive || null,
    timeouts: {
      headersMs: parsed.headers_timeout,
      requestMs: parsed.request_timeout,
      keepAliveMs: parsed.keep_alive_timeout,
      drainMs: parsed.drain_timeout,
      drainDelayMs: parsed.drain_delay,
    },
    settings: parsed,
  };
}
