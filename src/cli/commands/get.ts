/** `quorate get`: one entry, verified by its place in the chain. */
import type { Command } from 'commander';
import { parseVersion } from '../arguments.ts';
import type { Context } from '../context.ts';
import { verified } from '../failure.ts';
import { entryText, showEntry } from '../show-entry.ts';

export function defineGet(command: Command, context: Context): void {
  command
    .argument('<version>', 'a version, or head', (text) =>
      text === 'head' ? text : parseVersion(text),
    )
    .action((version: number | 'head') => get(context, version));
}

async function get(
  { client, globals, print, printJsonText, style }: Context,
  version: number | 'head',
): Promise<void> {
  const reader = await client();
  const head = await verified(reader.head());
  const entry = await verified(reader.entry(version === 'head' ? head.version : version));
  await (globals.isJson ? printJsonText(entryText(entry)) : print(showEntry(entry, style)));
}
