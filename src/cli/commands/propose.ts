/** `quorate propose`: a declared set or a ready payload becomes a proposal; its id is the payload's hash. */
import type { Command } from 'commander';
import type { Context } from '../context.ts';
import { addDeclaredOptions, type DeclaredOptions, planFromFiles } from '../declared-plan.ts';
import { draftDescriptors } from '../draft.ts';
import { usageError } from '../failure.ts';
import { readPayload } from '../files.ts';
import { countChanges } from '../plan.ts';
import { addEnvelopeOptions, type EnvelopeOptions, envelopeOf, postPayload } from '../proposing.ts';

interface ProposeOptions extends DeclaredOptions, EnvelopeOptions {
  readonly payload?: string;
}

export function definePropose(command: Command, context: Context): void {
  addEnvelopeOptions(addDeclaredOptions(command))
    .option('--payload <file>', 'propose this payload as it is, instead of -f')
    .action((options: ProposeOptions) => propose(context, options));
}

async function propose(context: Context, options: ProposeOptions): Promise<void> {
  if ((options.payload === undefined) === (options.file === undefined))
    throw usageError('expected either -f with a declared set or --payload with a payload');
  if (options.payload !== undefined) {
    const proposal = await readPayload(context.io, options.payload);
    return postPayload(context, await context.client(), proposal);
  }
  const { head, changes } = await planFromFiles(context, options);
  if (changes.length === 0) return context.say('nothing to propose: the registry is as declared');
  const { added, changed, removed } = countChanges(changes);
  await context.say(
    `${added} to add, ${changed} to change, ${removed} to remove at version ${head.version}`,
  );
  const proposal = draftDescriptors(head, changes, envelopeOf(context, options));
  await postPayload(context, await context.client(), proposal);
}
