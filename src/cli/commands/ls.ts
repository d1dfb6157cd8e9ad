/** `quorate ls`: the descriptor set at the head, recomputed to its set root before it is shown. */
import type { Command } from 'commander';
import type { Context } from '../context.ts';
import { verified } from '../failure.ts';
import { keyOf } from '../plan.ts';

export function defineLs(command: Command, context: Context): void {
  command
    .option('--kind <kind>', 'only descriptors of this kind')
    .action((options: { kind?: string }) => list(context, options));
}

async function list(
  { client, globals, print, printJson }: Context,
  { kind }: { kind?: string },
): Promise<void> {
  const { items } = await verified((await client()).set());
  for (const item of items)
    if (kind === undefined || item.kind === kind)
      await (globals.isJson ? printJson(item) : print(keyOf(item)));
}
