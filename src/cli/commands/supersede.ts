/** `quorate supersede`: the signers say, with a reason, that the head is not to be relied on, and what follows it. */
import { type Command, Option } from 'commander';
import { SUPERSEDE_REASONS } from '../../core/payload.ts';
import type { Context } from '../context.ts';
import { addDeclaredOptions, type DeclaredOptions, planFromFiles } from '../declared-plan.ts';
import { draftSupersede } from '../draft.ts';
import { usageError, verified } from '../failure.ts';
import {
  addEnvelopeOptions,
  type EnvelopeOptions,
  envelopeOf,
  postPayload,
  writePayload,
} from '../proposing.ts';

interface SupersedeOptions extends DeclaredOptions, EnvelopeOptions {
  readonly reason: (typeof SUPERSEDE_REASONS)[number];
  /** `false` with --no-changes. */
  readonly changes: boolean;
  readonly output?: string;
}

export function defineSupersede(command: Command, context: Context): void {
  addEnvelopeOptions(addDeclaredOptions(command))
    .addOption(
      new Option('--reason <reason>', 'why').choices(SUPERSEDE_REASONS).makeOptionMandatory(),
    )
    .option('--no-changes', 'supersede the head and leave the set as it is, instead of -f')
    .option('-o, --output <file>', 'write the payload instead of proposing it')
    .action((options: SupersedeOptions) => supersede(context, options));
}

async function supersede(context: Context, options: SupersedeOptions): Promise<void> {
  if (options.changes === (options.file === undefined))
    throw usageError('expected either -f with a declared set or --no-changes');
  const client = await context.client();
  const { head, changes } = options.changes
    ? await planFromFiles(context, options)
    : { head: await verified(client.head()), changes: [] };
  const proposal = draftSupersede(
    head,
    { reason: options.reason, changes },
    envelopeOf(context, options),
  );
  if (options.output !== undefined) return writePayload(context, options.output, proposal);
  await postPayload(context, client, proposal);
}
