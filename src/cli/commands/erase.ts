/** `quorate erase`: the signers have the payload of an earlier entry forgotten, and say why. */
import { type Command, Option } from 'commander';
import { ERASE_REASONS } from '../../core/payload.ts';
import { parseVersion } from '../arguments.ts';
import type { Context } from '../context.ts';
import { draftErase } from '../draft.ts';
import { assertErasableNow, findErasureTarget } from '../erasure-target.ts';
import { explained, verified } from '../failure.ts';
import {
  addEnvelopeOptions,
  type EnvelopeOptions,
  envelopeOf,
  postPayload,
  writePayload,
} from '../proposing.ts';

interface EraseOptions extends EnvelopeOptions {
  readonly reason: (typeof ERASE_REASONS)[number];
  readonly output?: string;
}

export function defineErase(command: Command, context: Context): void {
  addEnvelopeOptions(command.argument('<version>', 'the entry to forget', parseVersion))
    .addOption(new Option('--reason <reason>', 'why').choices(ERASE_REASONS).makeOptionMandatory())
    .option('-o, --output <file>', 'write the payload instead of proposing it')
    .action((version: number, options: EraseOptions) => erase(context, version, options));
}

async function erase(context: Context, version: number, options: EraseOptions): Promise<void> {
  const client = await context.client();
  const head = await verified(client.head());
  const target = await findErasureTarget(client, version);
  // What to do is in its reason; a proposal that lost a race is told something else.
  await explained(assertErasableNow(version, target), []);
  const act = { erases: target.entry.entryHash, version, reason: options.reason };
  const proposal = draftErase(head, act, envelopeOf(context, options));
  if (options.output !== undefined) return writePayload(context, options.output, proposal);
  await postPayload(context, client, proposal);
  await context.say(
    'kinds and ids of what that version put are not erased: `quorate review` shows what is',
  );
}
