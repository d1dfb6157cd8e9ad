/** Every setting of the server as an option, and the sources a configuration is made of. */
import type { Command, CommanderError } from 'commander';
import { RegistryError } from '../core/error.ts';
import {
  type Config,
  type ConfigSources,
  type EffectiveSetting,
  effectiveSettings,
  loadConfig,
  readConfigSources,
} from '../server/config.ts';
import { SETTINGS } from '../server/config-schema.ts';
import { governanceRefusal } from '../server/governance-keys.ts';
import { Misconfigured, usageError } from './failure.ts';
import type { Io } from './io.ts';

/** By commander's names of the options, those of every command included. */
export type ConfigOptions = Readonly<Record<string, string | undefined>>;

/** Every command's already: the same registry, the same witnesses. */
const GLOBAL_KEYS: readonly string[] = ['registry', 'witness_policy'];

export function addConfigOptions(command: Command): Command {
  command.option('--config <file>', 'settings in TOML (QUORATE_CONFIG)');
  for (const { key, flag, env, initial, meaning } of SETTINGS)
    if (!GLOBAL_KEYS.includes(key))
      command.option(
        `${flag} <value>`,
        `${meaning} (${env}${initial === '' ? '' : `; ${initial}`})`,
      );
  return command.exitOverride((error) => {
    throw asGovernance(error);
  });
}

/** `isAgain`: for a reload. What cannot be read is told with the other mistakes. */
export async function readSources(
  options: ConfigOptions,
  env: Io['env'],
  { isAgain = false }: { readonly isAgain?: boolean } = {},
): Promise<ConfigSources> {
  return readConfigSources({
    flags: Object.fromEntries(SETTINGS.map(({ key }) => [key, options[camelCase(key)]])),
    env,
    path: options.config ?? (env.QUORATE_CONFIG || undefined),
    isAgain,
  });
}

/** Throws `Misconfigured` with every mistake. */
export async function readConfig(options: ConfigOptions, env: Io['env']): Promise<Config> {
  const sources = await readSources(options, env);
  return checked(() => loadConfig(sources));
}

/** Throws `Misconfigured` with every mistake. */
export async function readSettings(
  options: ConfigOptions,
  env: Io['env'],
): Promise<readonly EffectiveSetting[]> {
  const sources = await readSources(options, env);
  return checked(() => effectiveSettings(sources));
}

function checked<T>(load: () => T): T {
  try {
    return load();
  } catch (error) {
    throw error instanceof RegistryError ? new Misconfigured(error) : error;
  }
}

/** Who looks for a flag of governance is told where it is. */
function asGovernance(error: CommanderError): CommanderError {
  const [, flag] = /'(--[^']*)'/.exec(error.message) ?? [];
  if (error.code !== 'commander.unknownOption' || flag === undefined) return error;
  const refusal = governanceRefusal(flag.slice(2));
  return refusal === undefined ? error : usageError(`${flag}: ${refusal}`);
}

function camelCase(key: string): string {
  return key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
