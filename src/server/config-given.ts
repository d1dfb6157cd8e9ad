/**
 * Every value that a source gives, the strongest source first, under the name by which mistakes refer to
 * it; and what is given under names that no setting has.
 */
import { parse as parseToml } from 'smol-toml';
import { excerpt } from '../core/error.ts';
import { SETTINGS } from './config-schema.ts';
import type { ConfigFile, ConfigSources, UnreadFile } from './config-sources.ts';
import { governanceRefusal } from './governance-keys.ts';

export interface Given {
  readonly key: string;
  readonly value: unknown;
  readonly place: string;
  /** From a file of its own: it is shown nowhere. */
  readonly isSecret: boolean;
}

/** Names of the program that are no settings: those of its commands, and of its tests. */
const OWN_VARIABLE =
  /^QUORATE_(CONFIG|DEBUG|MAX_STALE|OPERATOR_SOCKET|STATE|TOKEN|TOKEN_FILE|URL|CI|KILL_CYCLES|TEST_[A-Z0-9_]*|UPDATE_DOCS|VECTORS)$/;

/**
 * What Kubernetes gives every container where there is a Service named quorate, or quorate-something:
 * `QUORATE_SERVICE_HOST=10.0.0.7`, `QUORATE_PORT_7070_TCP=tcp://10.0.0.7:7070`.
 */
const SERVICE_VARIABLES: readonly RegExp[] = [
  /^QUORATE_(.*_)?SERVICE_(HOST|PORT(_[^=]*)?)=[0-9a-f.:]+$/,
  /^QUORATE_(.*_)?PORT(_\d+_(TCP|UDP|SCTP))?=(tcp|udp|sctp):\/\//,
  /^QUORATE_(.*_)?PORT_\d+_(TCP|UDP|SCTP)_(PROTO|PORT|ADDR)=/,
];

/** Adds a violation for what is no value at all; the values themselves are not checked here. */
export function givenSettings(sources: ConfigSources, violations: string[]): Given[] {
  const { flags = {}, env = {}, file } = sources;
  const fromFlags = Object.entries(flags).flatMap(([key, value]) =>
    value === undefined
      ? []
      : [{ key, value, place: `--${key.replaceAll('_', '-')}`, isSecret: false }],
  );
  const fromEnv = SETTINGS.flatMap(({ key, env: name }) => {
    const value = env[name];
    return value === undefined || value === ''
      ? []
      : [{ key, value, place: name, isSecret: false }];
  });
  const fromEnvFiles = envFileSettings(sources, violations);
  violations.push(...strangeVariables(env));
  const fromFile = file === undefined ? [] : fileSettings(file, violations);
  return [...fromFlags, ...fromEnv, ...fromEnvFiles, ...fromFile];
}

function envFileSettings(
  { env = {}, envFiles = {} }: ConfigSources,
  violations: string[],
): Given[] {
  return SETTINGS.flatMap(({ key, env: name, envFile: place }) => {
    if ((env[place] ?? '') === '') return [];
    const file = envFiles[place];
    const value = file !== undefined && 'text' in file ? file.text.replace(/\r?\n$/, '') : '';
    const problem = envFileProblem({ file, value, isTwice: (env[name] ?? '') !== '', name });
    if (problem !== undefined) violations.push(`${place}: ${problem}`);
    return value === '' ? [] : [{ key, value, place, isSecret: true }];
  });
}

function envFileProblem({
  file,
  value,
  isTwice,
  name,
}: {
  readonly file: ConfigFile | UnreadFile | undefined;
  readonly value: string;
  readonly isTwice: boolean;
  readonly name: string;
}): string | undefined {
  if (isTwice) return `expected nothing beside ${name}, got both: leave one out`;
  if (file === undefined) return 'expected its file to be read: readConfigSources does';
  if ('problem' in file) return `${file.name}: ${file.problem}`;
  return value === '' ? `expected a value in ${file.name}, got none` : undefined;
}

/** A variable that is almost the name of a setting would change nothing, and nobody would notice. */
function strangeVariables(env: Readonly<Record<string, string | undefined>>): string[] {
  const known = new Set(SETTINGS.flatMap((setting) => [setting.env, setting.envFile]));
  return Object.entries(env).flatMap(([name, value]) => {
    if (!name.startsWith('QUORATE_') || (value ?? '') === '' || known.has(name)) return [];
    const isService = SERVICE_VARIABLES.some((pattern) => pattern.test(`${name}=${value}`));
    if (isService || OWN_VARIABLE.test(name)) return [];
    const key = name.slice('QUORATE_'.length).toLowerCase();
    const expected = 'expected the variable of a setting in CONFIG.md';
    return [
      `${name}: ${governanceRefusal(key) ?? `${expected}, got ${excerpt(name)}: correct it, or unset it`}`,
    ];
  });
}

function fileSettings(file: ConfigFile | UnreadFile, violations: string[]): Given[] {
  const { name } = file;
  if ('problem' in file) {
    violations.push(`${name}: ${file.problem}`);
    return [];
  }
  try {
    return Object.entries(parseToml(file.text)).map(([key, value]) => ({
      key,
      value: typeof value === 'number' ? String(value) : value,
      place: `${name}: ${key}`,
      isSecret: false,
    }));
  } catch (error) {
    // smol-toml's message ends with a picture of the line: its first line says what, `line` says where.
    const [what = 'not toml'] = error instanceof Error ? error.message.split('\n') : [];
    const line = error instanceof Error && 'line' in error ? error.line : '?';
    violations.push(`${name}: line ${line}: expected toml, got ${what}`);
    return [];
  }
}
