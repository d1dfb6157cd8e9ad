/** `quorate commit`: make a proposal the next version, and verify that it is. */
import type { Command } from 'commander';
import { RegistryError } from '../../core/error.ts';
import type { Hash } from '../../core/hash.ts';
import type { Context } from '../context.ts';
import { verified } from '../failure.ts';
import { parseHashOption } from '../globals.ts';

export function defineCommit(command: Command, context: Context): void {
  command.argument('<id>', 'a proposal', parseHashOption).action((id: Hash) => commit(context, id));
}

async function commit(context: Context, id: Hash): Promise<void> {
  const client = await context.client();
  const { isNew, version, entry_hash } = await client.commit(id);
  // The answer is a claim until the chain leads to it.
  await verified(client.head());
  const entry = await verified(client.entry(version));
  if (entry.entryHash !== entry_hash || entry.leaf.payload_b3 !== id)
    throw new RegistryError(
      'fork',
      `expected version ${version} to be ${entry_hash} with ${id}, got ${entry.entryHash} with ${entry.leaf.payload_b3}`,
    );
  if (context.globals.isJson)
    return context.printJson({ is_new: isNew, version, entry_hash, payload_b3: id });
  await context.print(`version ${version} ${entry_hash}`);
  await context.say(isNew ? 'committed and verified' : 'committed before; verified');
}
