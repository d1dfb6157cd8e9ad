/** `quorate head`: the newest entry, after everything up to it was verified. */
import type { Command } from 'commander';
import type { PrunedGap, VerifiedHead } from '../../client/client.ts';
import { formatTime } from '../../core/time.ts';
import { readSignedCheckpoint } from '../../core/tlog/note-signatures.ts';
import { parsePolicy } from '../../core/tlog/policy.ts';
import { assertWitnessed } from '../../core/tlog/witnessed.ts';
import { createNoteVerifier } from '../../server/note-verifier.ts';
import type { Context } from '../context.ts';
import { verified } from '../failure.ts';
import { readInput } from '../files.ts';
import { relativeTime, table } from '../text.ts';

export function defineHead(command: Command, context: Context): void {
  command.action(() => showHead(context));
}

async function showHead(context: Context): Promise<void> {
  const client = await context.client();
  const head = await verified(client.head());
  const cosigners = await cosignersOf(context, head);
  if (context.globals.isJson)
    return context.printJson({
      ...headJson(head),
      accepted: head.accepted,
      checkpoint: checkpointJson(head, cosigners),
    });
  const { governance, checkpoint, accepted } = head;
  await context.print(
    table([
      ['origin', head.origin],
      ['registry', head.registry],
      ['version', String(head.version)],
      ['entry hash', head.entryHash],
      ['committed at', head.committedAt],
      ['set root', head.setRoot],
      ['descriptors', String(head.setSize)],
      [
        'governance',
        `version ${governance.version}, ${governance.threshold} of ${governance.signers.length}`,
      ],
      ['checkpoint', `${checkpoint.size} leaves, root ${checkpoint.root}`],
      ['cosigners', showCosigners(cosigners)],
      ['fresh at', showFreshness(checkpoint.freshAt, context.io.now())],
      ...accepted.map((gap) => ['not verified', showGap(gap)]),
    ]),
  );
}

/** Those of the policy, by name; `null` where none was given: then nobody was asked about. */
async function cosignersOf(
  { io, globals }: Context,
  { checkpoint }: VerifiedHead,
): Promise<readonly string[] | null> {
  if (globals.witnessPolicy === undefined) return null;
  const policy = parsePolicy(await readInput(io, globals.witnessPolicy));
  const note = readSignedCheckpoint(checkpoint.note);
  return (await assertWitnessed(note, policy, createNoteVerifier())).cosigned;
}

function showCosigners(names: readonly string[] | null): string {
  if (names === null) return 'not asked about: --witness-policy demands them';
  return names.length === 0 ? 'none demanded by the policy' : names.join(', ');
}

/** Told for ever: what was not verified once is not verified later. */
function showGap({ from, to }: PrunedGap): string {
  return `versions ${from} to ${to}: pruned, and accepted by their leaves`;
}

/** `freshAt`: POSIX seconds. */
function showFreshness(freshAt: number | null, now: number): string {
  if (freshAt === null) return 'nobody says';
  return `${formatTime(freshAt * 1000)}, ${relativeTime(freshAt * 1000, now)}, as witnesses say`;
}

function checkpointJson({ checkpoint }: VerifiedHead, cosigners: readonly string[] | null): object {
  const { size, root, note, freshAt } = checkpoint;
  return { size, root, note, cosigners, fresh_at: freshAt };
}

export function headJson(head: VerifiedHead): object {
  return {
    origin: head.origin,
    registry: head.registry,
    version: head.version,
    entry_hash: head.entryHash,
    committed_at: head.committedAt,
    set_root: head.setRoot,
    set_size: head.setSize,
    governance_version: head.governance.version,
  };
}
