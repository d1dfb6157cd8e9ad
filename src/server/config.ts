/**
 * From flags, environment and file to one checked `Config`. The first source that names a setting
 * wins, in that order, but every value of every source is checked, and all mistakes are told at once.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse as parseToml } from 'smol-toml';
import type { z } from 'zod';
import { excerpt, RegistryError } from '../core/error.ts';
import type { Hash } from '../core/hash.ts';
import { configSchema, type NamedSetting, SETTINGS, type SettingValues } from './config-schema.ts';
import type { Address, Network, SocketPath } from './config-values.ts';
import type { KeySource } from './key-source.ts';
import type { LogLevel } from './log.ts';
import type { Profile } from './settings/place.ts';
import type { TokenKey } from './token-key.ts';

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
    readonly maxStreamAgeMs: number;
  };
  /** When writes are refused so that reads stay quick. */
  readonly shed: {
    readonly storageMs: number;
    readonly loopMs: number;
    readonly minFreeBytes: number;
  };
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

export interface ConfigSources {
  /** Values by setting key (`max_streams`), as written after a flag. */
  readonly flags?: Readonly<Record<string, string | undefined>>;
  /** `process.env`; an empty value is no value. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** TOML; `name` is how mistakes refer to it. */
  readonly file?: ConfigFile | undefined;
}

export interface ConfigFile {
  readonly name: string;
  readonly text: string;
}

/** A setting in force: its value as written and where that stands. */
export interface EffectiveSetting {
  readonly setting: NamedSetting;
  readonly text: string;
  /** `--max-streams`, `QUORATE_MAX_STREAMS`, `quorate.toml: max_streams` or `default`. */
  readonly place: string;
}

interface Given {
  readonly key: string;
  readonly value: unknown;
  readonly place: string;
}

/** Throws `invalid_request` when the file can not be read. */
export async function readConfigFile(path: string): Promise<ConfigFile> {
  try {
    return { name: path, text: await readFile(path, 'utf8') };
  } catch (cause) {
    throw new RegistryError(
      'invalid_request',
      `expected a readable configuration file at ${path}`,
      { cause },
    );
  }
}

/** Throws `invalid_request` that names every mistake and its place; `details.violations` lists them. */
export function loadConfig(sources: ConfigSources = {}): Config {
  return configOf(effectiveSettings(sources));
}

/** What `quorate config print` shows. Throws like `loadConfig`. */
export function effectiveSettings(sources: ConfigSources): readonly EffectiveSetting[] {
  const violations: string[] = [];
  const given = givenSettings(sources, violations);
  for (const { key, value, place } of given) {
    const checked = configSchema.safeParse({ [key]: value });
    if (checked.success) continue;
    violations.push(`${place}: ${describeIssue(checked.error.issues[0], { key, value })}`);
  }
  if (violations.length > 0) throw invalidConfig(violations);
  return SETTINGS.map((setting) => {
    const first = given.find(({ key }) => key === setting.key);
    return {
      setting,
      text: String(first?.value ?? setting.initial),
      place: first?.place ?? 'default',
    };
  });
}

/** Every value of every source, the strongest source first. */
function givenSettings(
  { flags = {}, env = {}, file }: ConfigSources,
  violations: string[],
): Given[] {
  const fromFlags = Object.entries(flags).flatMap(([key, value]) =>
    value === undefined ? [] : [{ key, value, place: `--${key.replaceAll('_', '-')}` }],
  );
  const fromEnv = SETTINGS.flatMap(({ key, env: name }) => {
    const value = env[name];
    return value === undefined || value === '' ? [] : [{ key, value, place: name }];
  });
  return [...fromFlags, ...fromEnv, ...(file === undefined ? [] : fileSettings(file, violations))];
}

function fileSettings({ name, text }: ConfigFile, violations: string[]): Given[] {
  try {
    return Object.entries(parseToml(text)).map(([key, value]) => ({
      key,
      value: typeof value === 'number' ? String(value) : value,
      place: `${name}: ${key}`,
    }));
  } catch (error) {
    // smol-toml's message ends with a picture of the line: its first line says what, `line` says where.
    const [what = 'not toml'] = error instanceof Error ? error.message.split('\n') : [];
    const line = error instanceof Error && 'line' in error ? error.line : '?';
    violations.push(`${name}: line ${line}: expected toml, got ${what}`);
    return [];
  }
}

function describeIssue(
  issue: z.core.$ZodIssue | undefined,
  { key, value }: Omit<Given, 'place'>,
): string {
  if (issue?.code !== 'unrecognized_keys')
    return `expected ${issue?.message}, got ${excerpt(value)}`;
  return `expected one of ${SETTINGS.map((setting) => setting.key).join(', ')}, got ${excerpt(key)}`;
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
  const parsed = configSchema.parse(
    Object.fromEntries(settings.map(({ setting, text }) => [setting.key, text])),
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
    operatorListen: operatorSocket(parsed.operator_listen, parsed),
    tokens: { keys: parsed.token_key, revocations: parsed.token_revocations || null },
    logLevel: parsed.log_level,
    traceEndpoint: parsed.trace_endpoint || null,
    auditMaxBytes: parsed.audit_max_size,
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
      maxStreamAgeMs: parsed.max_stream_age,
    },
    shed: {
      storageMs: parsed.shed_storage_after,
      loopMs: parsed.shed_loop_after,
      minFreeBytes: parsed.min_free_space,
    },
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

function operatorSocket(
  written: string,
  { profile, data }: { readonly profile: Profile; readonly data: string },
): string | null {
  if (written !== 'auto') return written === 'off' ? null : written;
  return profile === 'macronode' ? join(data, 'operator.sock') : null;
}
