/**
 * Entries before the trusted head, each proven by itself: by the hash that is remembered of it, or by
 * inclusion in the trusted tree.
 */
import { RegistryError } from '../core/error.ts';
import { entryHash } from '../core/leaf.ts';
import { isIncluded, recordHash } from '../core/tlog/merkle.ts';
import type { Answers, ServedEntry } from './answers.ts';
import type { VerifiedEntry } from './client.ts';
import type { RequestBounds } from './transport.ts';
import type { TrustedLog } from './trusted-log.ts';
import { assertSameEntry, readTrustedEntry } from './trusted-state.ts';

/**
 * Throws `fork` (another entry than the one verified before), `invalid_proof` (it is not proven to be
 * in the trusted tree) or `invalid_entry` (its parts do not hang together).
 */
export async function provePastEntry(
  { version, bytes }: ServedEntry,
  {
    answers,
    log,
    bounds,
  }: { answers: Answers; log: Pick<TrustedLog, 'hashAt' | 'state'>; bounds: RequestBounds },
): Promise<VerifiedEntry> {
  const expected = log.hashAt(version);
  const got = entryHash(bytes.leaf);
  if (expected !== undefined) assertSameEntry({ version, expected, got });
  else {
    const tree = log.state?.chain.tree;
    const size = tree?.size ?? 0;
    const proof = await answers.inclusionProof({ version, size }, bounds);
    const claim = { record: recordHash(bytes.leaf), index: version, size, proof };
    if (tree === undefined || !isIncluded({ ...claim, root: tree.root }))
      throw new RegistryError(
        'invalid_proof',
        `expected a proof that ${got} is entry ${version} of the trusted ${size}, got one that fails`,
        { details: { version, size, got } },
      );
  }
  return readTrustedEntry(bytes);
}
