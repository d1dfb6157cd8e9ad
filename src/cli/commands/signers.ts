/** `quorate signers`: who may sign; and the payloads that change it, each a proposal like any other. */
import type { Command } from 'commander';
import { assertAdmitted } from '../../core/chain.ts';
import { nextGovernance } from '../../core/rules.ts';
import { createNativeVerifier } from '../../server/native-verifier.ts';
import { parseCount } from '../arguments.ts';
import type { Context } from '../context.ts';
import { draftGovernance } from '../draft.ts';
import { usageError, verified } from '../failure.ts';
import {
  addEnvelopeOptions,
  type EnvelopeOptions,
  envelopeOf,
  postPayload,
  writePayload,
} from '../proposing.ts';
import { showGovernance, showSuccession } from '../show-governance.ts';
import { readSigner, readVerifierKey } from '../signer-file.ts';
import { nextAfter } from '../succession.ts';

interface ActOptions extends EnvelopeOptions {
  readonly threshold?: number;
  readonly logKey?: readonly string[];
  readonly output?: string;
  readonly propose?: boolean;
}

/** Files of those who enter, ids of those who leave. */
interface Named {
  readonly enter?: readonly string[];
  readonly leave?: readonly string[];
}

export function defineSigners(command: Command, context: Context): void {
  command.action(() => list(context));
  const act = (name: string, summary: string): Command =>
    addEnvelopeOptions(command.command(name).summary(summary).description(summary))
      .option('--threshold <count>', 'how many must approve from then on', parseCount)
      .option('--log-key <vkey|file...>', 'the log keys from then on, instead of those in force')
      .option('-o, --output <file>', 'write the payload')
      .option('--propose', 'propose the payload');
  act('add', 'let new signers in; each must approve it too')
    .argument('<file...>', 'what `keygen` wrote beside their keys: NAME.pub.json')
    .action((enter: readonly string[], options: ActOptions) => change(context, { enter }, options));
  act('remove', 'let signers go')
    .argument('<id...>', 'signer ids')
    .action((leave: readonly string[], options: ActOptions) => change(context, { leave }, options));
  act('rotate', 'a signer goes on with a new key, under a new id')
    .argument('<id>', 'the signer id that ends')
    .argument('<file>', 'NAME.pub.json of the new key')
    .action((id: string, file: string, options: ActOptions) =>
      change(context, { leave: [id], enter: [file] }, options),
    );
  act('set', 'change the threshold or the log keys alone').action((options: ActOptions) =>
    change(context, {}, options),
  );
}

async function list({ client, globals, print, printJson }: Context): Promise<void> {
  const { governance } = await verified((await client()).head());
  await (globals.isJson ? printJson(governance) : print(showGovernance(governance).join('\n')));
}

async function change(
  context: Context,
  { enter = [], leave = [] }: Named,
  options: ActOptions,
): Promise<void> {
  const { io, say, errorStyle } = context;
  if ((options.output === undefined) === (options.propose !== true))
    throw usageError('expected either -o to write the payload or --propose');
  const client = await context.client();
  const head = await verified(client.head());
  const next = nextAfter(head.governance, {
    add: await Promise.all(enter.map((file) => readSigner(io, file))),
    remove: leave,
    threshold: options.threshold,
    logKeys:
      options.logKey && (await Promise.all(options.logKey.map((key) => readVerifierKey(io, key)))),
  });
  const proposal = draftGovernance(head, next, envelopeOf(context, options));
  // What the registry would refuse at the commit is refused before anybody signs.
  const chain = client.trusted() ?? null;
  nextGovernance(chain, proposal);
  assertAdmitted(chain, proposal, createNativeVerifier());
  await say(showSuccession(head.governance, next, errorStyle).join('\n'));
  if (options.output !== undefined) return writePayload(context, options.output, proposal);
  await postPayload(context, client, proposal);
}
