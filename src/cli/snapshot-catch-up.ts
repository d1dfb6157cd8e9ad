/** A restored log brought up to what a replica or mirror serves: each entry verified like a stranger's, then its checkpoint. */
import { Answers } from '../client/answers.ts';
import type { Transport } from '../client/transport.ts';
import { excerpt, RegistryError } from '../core/error.ts';
import { readSignedCheckpoint } from '../core/tlog/note-signatures.ts';
import { TILE_WIDTH } from '../core/tlog/tiles.ts';
import { openMissing } from '../server/snapshot/append-missing.ts';
import { assertCheckpointOf } from './audit-checkpoint.ts';
import { wholeBytes } from './audit-entry.ts';
import type { AuditParts } from './audit-parts.ts';
import { ServedLog } from './served-log.ts';

export interface CatchUpOptions {
  /** Of the database. */
  readonly path: string;
  readonly transport: Transport;
  readonly parts: Pick<AuditParts, 'verifier' | 'witnesses'>;
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, total: number) => void;
}

/** How many were appended. Throws `erased` for an entry that came without its payload, what `verifyEntry` and `assertCheckpointOf` throw; then the database is to be thrown away. */
export async function catchUpFrom({
  path,
  transport,
  parts,
  signal,
  onProgress,
}: CatchUpOptions): Promise<number> {
  const checkpoint = readSignedCheckpoint(
    await new Answers(transport).checkpoint({ isFresh: true, signal }),
  );
  await using missing = await openMissing(path, parts.verifier);
  const sizeHere = () => missing.chain?.tree.size ?? 0;
  const start = sizeHere();
  if (checkpoint.size <= start) return 0;
  const served = new ServedLog({
    transport,
    signal,
    isPrunedAccepted: false,
    neededFrom: start,
  });
  const from = start - (start % TILE_WIDTH);
  try {
    for await (const page of served.pages({ from, size: checkpoint.size })) {
      await missing.append(page.entries.slice(Math.max(0, start - page.from)).map(wholeBytes));
      onProgress(sizeHere() - start, checkpoint.size - start);
    }
  } catch (error) {
    throw prunedThere(error);
  }
  if (missing.chain === null)
    throw new RegistryError('internal', 'expected a chain after entries were appended, got none');
  await assertCheckpointOf(missing.chain, checkpoint, parts);
  await missing.keepCheckpoint(checkpoint.note);
  return sizeHere() - start;
}

/** Leaves alone make no registry: nobody is asked to accept them. */
function prunedThere(error: unknown): unknown {
  if (!(error instanceof RegistryError) || error.code !== 'pruned') return error;
  const { version, oldest, archive } = error.details;
  const where = typeof archive === 'string' ? ` (it says: ${excerpt(archive)})` : '';
  return new RegistryError(
    'pruned',
    `expected the entries from version ${version} on to catch up with, got word that those before ${oldest} were pruned there: restore a newer snapshot, or catch up from a mirror that has them${where}`,
    { cause: error, details: error.details },
  );
}
