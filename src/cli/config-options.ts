/** Every setting of the server as an option, and the sources a configuration is made of. */
import type { Command } from 'commander';
import { type ConfigSources, readConfigFile } from '../server/config.ts';
import { SETTINGS } from '../server/config-schema.ts';
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
  return command;
}

/** Throws `invalid_request` when the file cannot be read. */
export async function readSources(options: ConfigOptions, env: Io['env']): Promise<ConfigSources> {
  const path = options.config ?? (env.QUORATE_CONFIG || undefined);
  return {
    flags: Object.fromEntries(SETTINGS.map(({ key }) => [key, options[camelCase(key)]])),
    env,
    file: path === undefined ? undefined : await readConfigFile(path),
  };
}

function camelCase(key: string): string {
  return key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
