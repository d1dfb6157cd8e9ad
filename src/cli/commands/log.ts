/** `quorate log`: verified entries, the newest first. */
import type { Command } from 'commander';
import type { VerifiedEntry } from '../../client/client.ts';
import { parseCount } from '../arguments.ts';
import type { Context } from '../context.ts';
import { verified } from '../failure.ts';
import { entryCells, entryJson } from '../show-entry.ts';
import { table } from '../text.ts';

export function defineLog(command: Command, context: Context): void {
  command
    .option('-n, --number <count>', 'how many entries', parseCount, 10)
    .action((options: { number: number }) => showLog(context, options.number));
}

async function showLog(context: Context, count: number): Promise<void> {
  const client = await context.client();
  const { version: newest } = await verified(client.head());
  const oldest = Math.max(0, newest + 1 - count);
  const entries: VerifiedEntry[] = [];
  for (let version = newest; version >= oldest; version--)
    entries.push(await verified(client.entry(version)));
  if (!context.globals.isJson) return context.print(table(entries.map(entryCells)));
  for (const entry of entries) await context.printJson(entryJson(entry));
}
