/** `quorate init`: the genesis ceremony. Files go from hand to hand; nothing is asked of a network until the commit. */
import type { Command } from 'commander';
import { assertAdmitted } from '../../core/chain.ts';
import { ORIGIN } from '../../core/check.ts';
import type { Governance } from '../../core/governance.ts';
import { nextGovernance } from '../../core/rules.ts';
import { createNativeVerifier } from '../../server/native-verifier.ts';
import { parseCount } from '../arguments.ts';
import type { Context } from '../context.ts';
import { draftGenesis } from '../draft.ts';
import { usageError } from '../failure.ts';
import {
  addEnvelopeOptions,
  type EnvelopeOptions,
  envelopeOf,
  writeGenesisPayload,
} from '../proposing.ts';
import { readSigner, readVerifierKey } from '../signer-file.ts';
import { payloadWarnings } from '../warnings.ts';
import { defineInitCommit } from './init-commit.ts';

interface InitOptions extends EnvelopeOptions {
  readonly origin?: string;
  readonly threshold?: number;
  readonly signer?: readonly string[];
  readonly logKey?: readonly string[];
  readonly output?: string;
}

export function defineInit(command: Command, context: Context): void {
  addEnvelopeOptions(command)
    .option(
      '--origin <origin>',
      'the name of the registry for ever, such as registry.example.com/prod',
    )
    .option('--threshold <count>', 'how many signers must approve each change', parseCount)
    .option('--signer <file...>', 'the signers: NAME.pub.json of each')
    .option('--log-key <vkey|file...>', 'the keys that sign checkpoints')
    .option('-o, --output <file>', 'the genesis payload; - is stdout', 'genesis.json')
    .action((options: InitOptions) => writeGenesis(context, options));
  defineInitCommit(command.command('commit'), context);
}

async function writeGenesis(context: Context, options: InitOptions): Promise<void> {
  const { io, globals, say } = context;
  const { origin, threshold, signer, logKey, output = 'genesis.json' } = options;
  if (
    origin === undefined ||
    threshold === undefined ||
    signer === undefined ||
    logKey === undefined
  )
    throw usageError('expected --origin, --threshold, --signer and --log-key');
  if (!ORIGIN.test(origin)) throw usageError(`expected --origin with ${ORIGIN.expected}`);
  const signers = await Promise.all(signer.map((file) => readSigner(io, file)));
  const governance: Governance = {
    version: 1,
    threshold,
    signers: signers.sort((a, b) => (a.signer_id < b.signer_id ? -1 : 1)),
    log_keys: await Promise.all(logKey.map((key) => readVerifierKey(io, key))),
  };
  const proposal = draftGenesis({ origin, governance }, envelopeOf(context, options));
  nextGovernance(null, proposal);
  assertAdmitted(null, proposal, createNativeVerifier());
  for (const warning of payloadWarnings(
    proposal,
    { governance: undefined, setSize: undefined },
    io.now(),
  ))
    await say(`warning: ${warning}`);
  await writeGenesisPayload(context, output, proposal);
  if (globals.isJson && output !== '-')
    await context.printJson({ registry: proposal.payloadB3, output });
  await say(`next, each signer: quorate approve ${output} --key FILE -o NAME.approval.json`);
}
