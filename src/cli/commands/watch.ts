/** `quorate watch`: each new version, verified and remembered before it is printed; goes on where it ended. */
import type { Command } from 'commander';
import { parseCount } from '../arguments.ts';
import type { Context } from '../context.ts';
import { asFinding } from '../failure.ts';
import { entryCells, entryJson } from '../show-entry.ts';

export function defineWatch(command: Command, context: Context): void {
  command
    .option('-n, --number <count>', 'end after so many versions', parseCount)
    .action((options: { number?: number }) => watch(context, options.number));
}

async function watch(context: Context, count = Number.POSITIVE_INFINITY): Promise<void> {
  const client = await context.client();
  await context.say(`watching ${context.globals.url}`);
  let left = count;
  try {
    for await (const { entry } of client.follow({ signal: context.io.interrupt })) {
      if (context.globals.isJson) await context.printJson(entryJson(entry));
      else await context.print(entryCells(entry).join('  '));
      if (--left === 0) return;
    }
  } catch (error) {
    throw asFinding(error);
  }
}
