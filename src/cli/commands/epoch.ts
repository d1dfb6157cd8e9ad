/** `quorate epoch`: a new log under a new origin, carried by the quorum of the one that was lost or poisoned. */
import type { Command } from 'commander';
import { type Approval, readApproval } from '../../core/approval.ts';
import { assertAdmitted } from '../../core/approved.ts';
import { parseBundleFile, verifyBundle } from '../../core/bundle.ts';
import { decodeUtf8, encodeUtf8, isEqualBytes } from '../../core/bytes.ts';
import { canonicalBytes } from '../../core/canonical.ts';
import { Check, ORIGIN } from '../../core/check.ts';
import { encodeDescriptor } from '../../core/descriptor.ts';
import { RegistryError } from '../../core/error.ts';
import type { Governance } from '../../core/governance.ts';
import type { Hash } from '../../core/hash.ts';
import { type DecodedPayload, decodePayload, MAX_CHANGES } from '../../core/payload.ts';
import type { Previous } from '../../core/previous.ts';
import { nextGovernance } from '../../core/rules.ts';
import { parseVerifierKey } from '../../core/vkey.ts';
import { parseCount } from '../arguments.ts';
import type { Context } from '../context.ts';
import { draftGenesis } from '../draft.ts';
import { usageError, verified } from '../failure.ts';
import { readInput, readJson, writeOutput } from '../files.ts';
import { createFullVerifier } from '../full-verifier.ts';
import { parseHashOption } from '../globals.ts';
import { assertHandover } from '../handover.ts';
import {
  endOf,
  type OldLog,
  oldLogFromState,
  oldLogInDatabase,
  oldLogOverHttp,
  trustedEndOf,
} from '../old-log.ts';
import {
  addEnvelopeOptions,
  type EnvelopeOptions,
  envelopeOf,
  writeGenesisPayload,
} from '../proposing.ts';
import { showHandover } from '../show-governance.ts';
import { readSigner, readVerifierKey } from '../signer-file.ts';
import { plural } from '../text.ts';

interface EpochOptions extends EnvelopeOptions {
  readonly origin?: string;
  readonly logKey?: readonly string[];
  readonly data?: string;
  readonly fromState?: boolean;
  readonly signer?: readonly string[];
  readonly threshold?: number;
  readonly set?: string;
  readonly output: string;
}

interface VerifyOptions {
  readonly from: Hash;
  readonly bundle?: string;
}

export function defineEpoch(command: Command, context: Context): void {
  addEnvelopeOptions(command)
    .option('--origin <origin>', 'the name of the new log')
    .option('--log-key <vkey|file...>', 'its log keys: new ones, named after it')
    .option(
      '--data <path>',
      'the old log in a database file or data directory, instead of at --url',
    )
    .option('--from-state', 'from trusted state alone: nobody who answers is believed')
    .option('--signer <file...>', 'other signers: NAME.pub.json of each; default: the same')
    .option('--threshold <count>', 'how many must approve; default: as many', parseCount)
    .option('--set <file>', 'write the old descriptor set here, as `propose -f` takes it')
    .option('-o, --output <file>', 'the genesis payload; - is stdout', 'genesis.json')
    .action((options: EpochOptions) => beginEpoch(context, options));
  command
    .command('verify')
    .summary('verify that a genesis is carried by an old quorum')
    .description(
      'Verify that a genesis goes on from a log with the quorum of its signers. Opens no connection.',
    )
    .argument('<genesis>', 'the genesis payload, or the entry as `get 0 --json` prints it')
    .argument('[approval...]', 'the approvals of a payload')
    .requiredOption('--from <hash>', 'the old registry', parseHashOption)
    .option('--bundle <file>', 'what the old log was; default: trusted state of it')
    .action((genesis: string, approvals: readonly string[], options: VerifyOptions) =>
      verifyEpoch(context, { genesis, approvals }, options),
    );
}

async function beginEpoch(context: Context, options: EpochOptions): Promise<void> {
  const { io, globals, say, printJson } = context;
  const { origin, logKey, output, set } = options;
  if (origin === undefined || logKey === undefined)
    throw usageError('expected --origin and --log-key');
  if (!ORIGIN.test(origin)) throw usageError(`expected --origin with ${ORIGIN.expected}`);
  const { previous, descriptors } = await readOldLog(context, options);
  if (set !== undefined && descriptors === undefined)
    throw usageError('expected no --set: trusted state holds the root of the set alone');
  const governance = await nextEpoch(context, previous, { ...options, origin, logKey });
  const proposal = draftGenesis({ origin, governance, previous }, envelopeOf(context, options));
  nextGovernance(null, proposal);
  assertAdmitted(null, proposal, createFullVerifier());
  await say(showHandover(previous).join('\n'));
  await writeGenesisPayload(context, output, proposal);
  if (set !== undefined && descriptors !== undefined) {
    const lines = descriptors.map((item) => `${decodeUtf8(encodeDescriptor(item))}\n`);
    await writeOutput(io, set, encodeUtf8(lines.join('')));
  }
  if (globals.isJson && output !== '-')
    await printJson({ registry: proposal.payloadB3, previous: previous.registry, output });
  await say(nextSteps(proposal, { previous, descriptors, output, set }));
}

function readOldLog(context: Context, { data, fromState }: EpochOptions): Promise<OldLog> {
  if (data !== undefined && fromState === true)
    throw usageError('expected one of --data and --from-state, got both');
  if (data !== undefined) return oldLogInDatabase(context, data);
  return fromState === true ? oldLogFromState(context.globals) : oldLogOverHttp(context);
}

async function nextEpoch(
  { io }: Context,
  { governance, origin }: Previous,
  {
    signer,
    threshold,
    logKey,
    ...options
  }: EpochOptions & Required<Pick<EpochOptions, 'origin' | 'logKey'>>,
): Promise<Governance> {
  if (options.origin === origin)
    throw usageError(`expected --origin with a new name, got that of the old log: ${origin}`);
  const keys = await Promise.all(logKey.map((key) => readVerifierKey(io, key)));
  const used = keys.find((key) => governance.log_keys.some((old) => isSameKey(key, old)));
  // What the old key signed cannot be told from what its thief signs.
  if (used !== undefined)
    throw usageError(`expected --log-key with a new key, got one of the old log: ${used}`);
  const signers =
    signer === undefined
      ? [...governance.signers]
      : await Promise.all(signer.map((file) => readSigner(io, file)));
  return {
    version: 1,
    threshold: threshold ?? governance.threshold,
    signers: signers.sort((a, b) => (a.signer_id < b.signer_id ? -1 : 1)),
    log_keys: keys,
  };
}

function isSameKey(a: string, b: string): boolean {
  const [left, right] = [parseVerifierKey(a), parseVerifierKey(b)];
  return left !== undefined && right !== undefined && isEqualBytes(left.publicKey, right.publicKey);
}

function nextSteps(
  { payloadB3, payload }: DecodedPayload,
  {
    previous,
    descriptors = [],
    output,
    set,
  }: OldLog & { readonly output: string; readonly set: string | undefined },
): string {
  const { threshold, signers } = previous.governance;
  const parts = Math.ceil(descriptors.length / MAX_CHANGES);
  return [
    'next:',
    `  every new signer and ${threshold} of the ${signers.length} old ones: quorate approve ${output} --key FILE -o NAME.approval.json`,
    `  anybody, before the commit: quorate epoch verify ${output} NAME.approval.json ... --from ${previous.registry}`,
    `  the operator, at an empty service or with --data: quorate init commit ${output} NAME.approval.json ...`,
    ...(set === undefined
      ? []
      : [
          `  then the set, ${plural(descriptors.length, 'descriptor')}: quorate propose -f ${set}${parts > 1 ? ` (in ${parts} parts of at most ${MAX_CHANGES})` : ''}`,
        ]),
    `  publish the new pin of ${payload.origin}: --registry ${payloadB3}`,
  ].join('\n');
}

async function verifyEpoch(
  context: Context,
  files: { readonly genesis: string; readonly approvals: readonly string[] },
  options: VerifyOptions,
): Promise<void> {
  const { from } = options;
  const { globals, print, printJson, style } = context;
  const known = await knownEnd(context, options);
  const genesis = await readGenesis(context, files);
  const previous = await verified(
    assertHandover({ ...genesis, from, known }, createFullVerifier()),
  );
  const { payload, payloadB3 } = genesis.proposal;
  const { size } = endOf(previous);
  if (globals.isJson)
    return printJson({ origin: payload.origin, registry: payloadB3, previous: from, size });
  await print(
    [
      style('good', `verified ${payload.origin}`),
      `  ${payloadB3} goes on from ${from}`,
      `  which ends at ${size} entries; its quorum and every new signer approved`,
      ...(size > endOf(known).size
        ? [`  what is known here of the old log ends at ${endOf(known).size} entries`]
        : []),
    ].join('\n'),
  );
}

/** What a bundle from the old registry's own genesis proves, or what was verified here before. */
async function knownEnd(
  { io, globals }: Context,
  { from, bundle }: VerifyOptions,
): Promise<Previous> {
  if (bundle !== undefined) {
    const bytes = encodeUtf8(await readInput(io, bundle));
    const verifying = (async () =>
      verifyBundle(parseBundleFile(bytes), { pin: from, verifier: createFullVerifier() }))();
    const { checkpoint, lineage } = await verified(verifying);
    const { origin, registry, governance } = lineage;
    return { checkpoint: checkpoint.note, governance, origin, registry };
  }
  const trusted = await trustedEndOf(from, globals);
  if (trusted !== undefined) return trusted;
  throw new RegistryError(
    'invalid_request',
    `expected --bundle with a bundle of ${from}, or trusted state of it in --state, got neither: nothing else says who its signers were`,
  );
}

async function readGenesis(
  { io }: Context,
  files: { readonly genesis: string; readonly approvals: readonly string[] },
): Promise<{ readonly proposal: DecodedPayload; readonly approvals: readonly Approval[] }> {
  const check = new Check('malformed');
  const object = check.object(await readJson(io, files.genesis), '');
  const isEntry = Object.hasOwn(object, 'leaf') && Object.hasOwn(object, 'payload');
  const approvals = isEntry
    ? check
        .array(object.approvals, '/approvals', { min: 1, max: 10_000 })
        .map((approval, i) => readApproval(approval, `/approvals/${i}`))
    : await Promise.all(
        files.approvals.map(async (path) => readApproval(await readJson(io, path))),
      );
  return { proposal: decodePayload(canonicalBytes(isEntry ? object.payload : object)), approvals };
}
