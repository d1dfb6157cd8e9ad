/** `quorate approve`: show, ask, sign, and post or write the approval. One made offline is posted later. */
import type { Command } from 'commander';
import { type Approval, readApproval } from '../../core/approval.ts';
import { canonicalText } from '../../core/canonical.ts';
import { RegistryError } from '../../core/error.ts';
import { type Hash, isHash } from '../../core/hash.ts';
import { createNativeVerifier } from '../../server/native-verifier.ts';
import { type ApprovalKeyOptions, addKeyOptions, approveWithKey } from '../approval-key.ts';
import type { Context } from '../context.ts';
import { usageError } from '../failure.ts';
import { readJson, readPayload, writeOutput } from '../files.ts';
import { encodeLine, sayNext } from '../proposing.ts';
import { type Review, reviewOffline, reviewOnline } from '../review.ts';
import { showReview } from '../show-review.ts';
import { createStyle } from '../style.ts';
import { assertPinned, findSubject } from '../subject.ts';

interface ApproveOptions extends ApprovalKeyOptions {
  readonly approval?: string;
  readonly output?: string;
  readonly yes?: boolean;
}

export function defineApprove(command: Command, context: Context): void {
  addKeyOptions(command)
    .argument('<id|file>', 'a proposal, or a payload file')
    .option(
      '-o, --output <file>',
      'write the approval instead of posting it; a payload file is then signed offline',
    )
    .option('--approval <file>', 'post this approval, made before, instead of signing')
    .option('-y, --yes', 'do not ask')
    .action((target: string, options: ApproveOptions) => approve(context, target, options));
}

async function approve(context: Context, target: string, options: ApproveOptions): Promise<void> {
  if ((options.approval === undefined) === (options.key === undefined))
    throw usageError('expected either --key to sign with or --approval to post');
  if (options.approval !== undefined) return postWritten(context, target, options.approval);
  const isOffline = options.output !== undefined && !isHash(target);
  const review = await (isOffline ? reviewFile(context, target) : reviewSubject(context, target));
  await assertAgreed(context, review, options);
  const approval = await approveWithKey(context, review, options);
  if (options.output === undefined) return post(context, review.proposal.payloadB3, approval);
  await writeOutput(context.io, options.output, encodeLine(canonicalText(approval)));
  await context.say(
    `wrote ${options.output}: the approval of ${review.proposal.payloadB3} by ${approval.signer_id}`,
  );
}

/** Opens no connection. Only a pin says that the payload is for the registry the signer means. */
async function reviewFile({ io, globals }: Context, path: string): Promise<Review> {
  const proposal = await readPayload(io, path);
  if (proposal.payload.type !== 'genesis' && globals.registry === undefined)
    throw usageError(
      'expected --registry with the registry that is meant: offline nothing else tells',
    );
  if (proposal.payload.type !== 'genesis') assertPinned(proposal, globals.registry);
  return reviewOffline({
    proposal,
    approvals: [],
    verifier: createNativeVerifier(),
    now: io.now(),
  });
}

async function reviewSubject(context: Context, target: string): Promise<Review> {
  const { proposal, posted } = await findSubject(context, target);
  assertPinned(proposal, context.globals.registry);
  if (posted?.state === 'committed')
    throw new RegistryError(
      'replayed',
      `expected a proposal in flight, got one that is committed as version ${posted.version}`,
    );
  return reviewOnline(await context.client(), {
    proposal,
    approvals: posted?.approvals ?? [],
    verifier: createNativeVerifier(),
    now: context.io.now(),
  });
}

async function assertAgreed(
  context: Context,
  review: Review,
  { yes }: ApproveOptions,
): Promise<void> {
  const { io, globals, confirm } = context;
  // What somebody is asked about is shown, quiet or not.
  if (yes !== true || !globals.isQuiet) {
    const style = createStyle(io.stderr, io.env);
    await io.stderr.write(`${showReview(review, { style, now: io.now() })}\n`);
  }
  if (yes === true || (await confirm('sign this payload?'))) return;
  throw new RegistryError('invalid_request', 'expected agreement, got none: nothing was signed');
}

async function postWritten(context: Context, target: string, path: string): Promise<void> {
  const id = isHash(target) ? target : (await readPayload(context.io, target)).payloadB3;
  await post(context, id, readApproval(await readJson(context.io, path)));
}

async function post(context: Context, id: Hash, approval: Approval): Promise<void> {
  const quorum = await (await context.client()).approve(id, approval);
  if (context.globals.isJson) return context.printJson({ proposal_id: id, approval, quorum });
  await context.print(`${id} approved by ${approval.signer_id}`);
  await sayNext(context, { id, quorum });
}
