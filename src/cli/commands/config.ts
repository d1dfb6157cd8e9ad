/** `quorate config`: what `serve` would run with, and whether it would run at all. */
import type { Command } from 'commander';
import { addConfigOptions, type ConfigOptions, readSettings } from '../config-options.ts';
import type { Context } from '../context.ts';

export function defineConfig(command: Command, context: Context): void {
  addConfigOptions(
    command.command('check').description('find every mistake, and start nothing'),
  ).action((_options: object, self: Command) => check(context, self.optsWithGlobals()));
  addConfigOptions(
    command
      .command('print')
      .description('print each setting in force, as TOML, and where it stands'),
  ).action((_options: object, self: Command) => printSettings(context, self.optsWithGlobals()));
}

async function check({ io, say }: Context, options: ConfigOptions): Promise<void> {
  const settings = await readSettings(options, io.env);
  const given = settings.filter(({ place }) => place !== 'default');
  await say(`the configuration is valid: ${given.length} of ${settings.length} settings are given`);
}

/** A secret is masked; what is printed is a configuration where there is none. */
async function printSettings(
  { io, globals, print, printJson }: Context,
  options: ConfigOptions,
): Promise<void> {
  for (const { setting, shown, place } of await readSettings(options, io.env))
    await (globals.isJson
      ? printJson({ key: setting.key, value: shown, place })
      : print(`${setting.key} = ${JSON.stringify(shown)} # ${place}`));
}
