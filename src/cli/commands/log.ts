/** `quorate log`: verified entries, the newest first. */
import type { Command } from 'commander';
import type { Client, VerifiedEntry } from '../../client/client.ts';
import { RegistryError } from '../../core/error.ts';
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
  let pruned: RegistryError | undefined;
  for (let version = newest; version >= oldest && pruned === undefined; version--) {
    const found = await entryOrRefusal(client, version);
    if (found instanceof RegistryError) pruned = found;
    else entries.push(found);
  }
  if (context.globals.isJson)
    for (const entry of entries) await context.printJson(entryJson(entry));
  else await context.print(table(entries.map(entryCells)));
  if (pruned !== undefined) await context.say(`before these: ${pruned.message}`);
}

/** Everything before a version that was pruned was pruned too, save what set the governance. */
async function entryOrRefusal(
  client: Client,
  version: number,
): Promise<VerifiedEntry | RegistryError> {
  try {
    return await verified(client.entry(version));
  } catch (error) {
    if (error instanceof RegistryError && error.code === 'pruned') return error;
    throw error;
  }
}
