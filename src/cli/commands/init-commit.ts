/** `quorate init commit`: begin a registry with its genesis, in a fresh database or at a running empty service. */
import type { Command } from 'commander';
import { type Approval, readApproval } from '../../core/approval.ts';
import { RegistryError } from '../../core/error.ts';
import type { DecodedPayload } from '../../core/payload.ts';
import { assertQuorum } from '../../core/quorum.ts';
import { createNativeVerifier } from '../../server/native-verifier.ts';
import { connectWith } from '../connect.ts';
import type { Context } from '../context.ts';
import { usageError, verified } from '../failure.ts';
import { readJson, readPayload } from '../files.ts';
import { reviewOffline } from '../review.ts';
import { assertPinned } from '../subject.ts';

interface Genesis {
  readonly proposal: DecodedPayload;
  readonly approvals: readonly Approval[];
}

export function defineInitCommit(command: Command, context: Context): void {
  command
    .summary('commit the genesis: --data into a database, else to the service at --url')
    .description(
      'Commit the genesis: with --data into a fresh database, else to the empty service at --url.',
    )
    .argument('<genesis>', 'the genesis payload')
    .argument('<approval...>', 'the approvals, one of each signer')
    .option('--data <dir>', 'the data directory of a service that does not run')
    .action((genesis: string, approvals: readonly string[], options: { data?: string }) =>
      commitFiles(context, { genesis, approvals, data: options.data }),
    );
}

async function commitFiles(
  context: Context,
  files: {
    readonly genesis: string;
    readonly approvals: readonly string[];
    readonly data: string | undefined;
  },
): Promise<void> {
  const genesis = await readGenesis(context, files);
  const registry = genesis.proposal.payloadB3;
  if (files.data === undefined) await commitOverHttp(context, genesis);
  else await commitToDatabase(files.data, genesis, context.io.now);
  const { origin } = genesis.proposal.payload;
  if (context.globals.isJson) return context.printJson({ origin, registry, version: 0 });
  await context.print(registry);
  await context.say(
    `${origin} has begun; publish its hash, so that readers can pin it:\n  --registry ${registry}`,
  );
}

/** Everything that can be known to fail is found before anything is written. */
async function readGenesis(
  { io, globals }: Context,
  files: { readonly genesis: string; readonly approvals: readonly string[] },
): Promise<Genesis> {
  const proposal = await readPayload(io, files.genesis);
  if (proposal.payload.type !== 'genesis')
    throw usageError(
      `expected a genesis payload in ${files.genesis}, got ${proposal.payload.type}`,
    );
  assertPinned(proposal, globals.registry);
  const approvals: Approval[] = [];
  for (const path of files.approvals) approvals.push(readApproval(await readJson(io, path)));
  const review = await reviewOffline({
    proposal,
    approvals,
    verifier: createNativeVerifier(),
    now: io.now(),
  });
  const bad = review.approvals.find(({ verdict }) => verdict !== 'valid');
  if (bad !== undefined)
    throw new RegistryError(
      'invalid_signature',
      `expected approvals of this genesis by its signers, got one by ${bad.approval.signer_id} that is ${bad.verdict}`,
    );
  if (review.quorum !== undefined) assertQuorum(review.quorum);
  return { proposal, approvals };
}

async function commitToDatabase(
  dataDir: string,
  { proposal, approvals }: Genesis,
  now: () => number,
): Promise<void> {
  const { commitGenesis } = await import('../../server/genesis.ts');
  await commitGenesis({ dataDir, payload: proposal.bytes, approvals, now });
}

/** Keeps no trust: until the genesis is committed there is nothing to trust. */
async function commitOverHttp(context: Context, { proposal, approvals }: Genesis): Promise<void> {
  const client = await connectWith(context, { registry: proposal.payloadB3 });
  await client.propose(proposal.bytes);
  for (const approval of approvals) await client.approve(proposal.payloadB3, approval);
  await client.commit(proposal.payloadB3);
  await verified(client.head());
}
