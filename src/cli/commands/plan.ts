/** `quorate plan`: the difference between a declared set and the verified head, shown or written as a payload. */
import type { Command } from 'commander';
import type { Context } from '../context.ts';
import { addDeclaredOptions, type DeclaredOptions, planFromFiles } from '../declared-plan.ts';
import { draftDescriptors } from '../draft.ts';
import { countChanges, keyOf } from '../plan.ts';
import {
  addEnvelopeOptions,
  type EnvelopeOptions,
  envelopeOf,
  writePayload,
} from '../proposing.ts';
import { showChanges } from '../show-changes.ts';

interface PlanOptions extends DeclaredOptions, EnvelopeOptions {
  readonly output?: string;
}

export function definePlan(command: Command, context: Context): void {
  addEnvelopeOptions(addDeclaredOptions(command))
    .option('-o, --output <file>', 'write the payload, ready to be proposed or signed')
    .action((options: PlanOptions) => showPlan(context, options));
}

async function showPlan(context: Context, options: PlanOptions): Promise<void> {
  const { head, changes, current } = await planFromFiles(context, options);
  const counts = countChanges(changes);
  if (context.globals.isJson)
    await context.printJson({ base_version: head.version, ...counts, changes });
  // The payload itself may be what goes to standard output.
  else if (options.output !== '-' && changes.length > 0) {
    const before = new Map(current.map((item) => [keyOf(item), item]));
    const lines = showChanges(changes, {
      current: (key) => before.get(keyOf(key)) ?? null,
      style: context.style,
    });
    await context.print(lines.join('\n'));
  }
  await context.say(
    `${counts.added} to add, ${counts.changed} to change, ${counts.removed} to remove at version ${head.version}`,
  );
  if (options.output === undefined) return;
  if (changes.length === 0) return context.say('nothing to propose: no payload was written');
  const proposal = draftDescriptors(head, changes, envelopeOf(context, options));
  await writePayload(context, options.output, proposal);
  await context.say(`next: quorate propose --payload ${options.output}`);
}
