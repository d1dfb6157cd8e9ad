/** `quorate review`: what a proposal would do, from the bytes that are hashed here and what was verified. */
import type { Command } from 'commander';
import { isHash } from '../../core/hash.ts';
import { createNativeVerifier } from '../../server/native-verifier.ts';
import type { Context } from '../context.ts';
import { usageError } from '../failure.ts';
import { readPayload } from '../files.ts';
import { type Review, reviewOffline, reviewOnline } from '../review.ts';
import { reviewJson, showReview } from '../show-review.ts';
import { assertPinned, findSubject } from '../subject.ts';

export function defineReview(command: Command, context: Context): void {
  command
    .argument('<id|file>', 'a proposal, or a payload file')
    .option('--offline', 'judge a file without asking a registry')
    .action((target: string, options: { offline?: boolean }) =>
      review(context, target, options.offline === true),
    );
}

async function review(context: Context, target: string, isOffline: boolean): Promise<void> {
  const { globals, io, print, printJson, say, style } = context;
  const { state, ...found } = await (isOffline
    ? reviewFile(context, target)
    : reviewSubject(context, target));
  if (globals.isJson) return printJson({ ...reviewJson(found), state });
  await print(showReview(found, { style, now: io.now() }));
  if (state !== null) await say(`the registry says: ${state}`);
}

/** `null`: nobody was asked. */
type Reviewed = Review & { readonly state: string | null };

async function reviewFile({ io, globals }: Context, path: string): Promise<Reviewed> {
  if (isHash(path)) throw usageError('expected a payload file with --offline, got an id');
  const proposal = await readPayload(io, path);
  assertPinned(proposal, globals.registry);
  const input = { proposal, approvals: [], verifier: createNativeVerifier(), now: io.now() };
  return { ...(await reviewOffline(input)), state: null };
}

async function reviewSubject(context: Context, target: string): Promise<Reviewed> {
  const { proposal, posted } = await findSubject(context, target);
  assertPinned(proposal, context.globals.registry);
  const approvals = posted?.approvals ?? [];
  const input = { proposal, approvals, verifier: createNativeVerifier(), now: context.io.now() };
  // The set and the governance it was committed on are gone: what it did is in its entry.
  if (posted?.state === 'committed')
    return { ...(await reviewOffline(input)), state: `committed as version ${posted.version}` };
  const review = await reviewOnline(await context.client(), input);
  return { ...review, state: posted?.state ?? 'not proposed yet' };
}
