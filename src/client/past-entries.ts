/**
 * Entries before the trusted head, each proven by itself: by the hash that is remembered of it, or by
 * inclusion in the trusted tree. One whose payload was erased, by the entry that erased it as well. Only
 * its place is proven so: one that was accepted by its leaf alone is no verified entry, whoever serves it.
 */
import { RegistryError } from '../core/error.ts';
import { entryHash } from '../core/leaf.ts';
import { isIncluded, recordHash } from '../core/tlog/merkle.ts';
import type { Answers } from './answers.ts';
import type { VerifiedEntry, WholeEntry } from './client.ts';
import type { ServedEntry } from './served-entry.ts';
import type { RequestBounds } from './transport.ts';
import type { TrustedLog } from './trusted-log.ts';
import {
  acceptedGap,
  assertSameEntry,
  readTrustedEntry,
  readTrustedErased,
} from './trusted-state.ts';

export interface PastParts {
  readonly answers: Answers;
  readonly log: Pick<TrustedLog, 'catchUp' | 'hashAt' | 'state'>;
  readonly bounds: RequestBounds;
}

/** Throws what `answers.entry` throws, save `erased`, and what `provePastEntry` throws. */
export async function askPastEntry(version: number, parts: PastParts): Promise<VerifiedEntry> {
  const { answers, bounds } = parts;
  try {
    return await provePastEntry(await answers.entry(version, bounds), parts);
  } catch (error) {
    const isErased = error instanceof RegistryError && error.code === 'erased';
    if (!isErased) throw error;
    const [served] = await answers.entries(version, { ...bounds, limit: 1 });
    if (served === undefined) throw error;
    return provePastEntry(served, parts, error.details.erased_by);
  }
}

/**
 * Throws `fork` (another entry than the one verified before), `invalid_proof` (it is not proven to be
 * in the trusted tree), `invalid_entry` (its parts do not hang together) or `pruned` (nobody verified its
 * approvals, or those of the entry that erased it). `toldBy`: the version of the
 * entry that is said to have erased it.
 */
export async function provePastEntry(
  served: ServedEntry,
  parts: PastParts,
  toldBy?: unknown,
): Promise<VerifiedEntry> {
  const { version, bytes } = served;
  await assertPast(served, parts);
  if (bytes.payload !== null) return readTrustedEntry(bytes);
  const erasedBy = toldBy ?? (await askErasedBy(version, parts));
  const erasure = await readErasure(version, erasedBy, parts);
  const { payload } = erasure.proposal;
  const isNamed =
    payload.type === 'erase' &&
    payload.version === version &&
    payload.erases === entryHash(bytes.leaf);
  if (isNamed) return readTrustedErased(bytes, erasure.version);
  throw notErased(version, `entry ${erasure.version}, which does not erase it`);
}

async function assertPast(served: ServedEntry, parts: PastParts): Promise<void> {
  await assertPlace(served, parts);
  const { version, leaf } = served;
  const gap = acceptedGap(parts.log.state, version);
  // In a gap those that set the governance were verified whole.
  if (gap === undefined || leaf.type === 'genesis' || leaf.type === 'governance') return;
  throw new RegistryError(
    'pruned',
    `expected an entry whose approvals were verified, got version ${version}, which was accepted by its leaf alone, as ${gap.from} to ${gap.to} were: read it from a mirror that still has them, with trusted state that ends before version ${gap.from}`,
    { details: { version, accepted: gap } },
  );
}

async function assertPlace(
  { version, bytes }: ServedEntry,
  { answers, log, bounds }: PastParts,
): Promise<void> {
  const expected = log.hashAt(version);
  const got = entryHash(bytes.leaf);
  if (expected !== undefined) return assertSameEntry({ version, expected, got });
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

/** The server's word: it answers a request for the entry alone with the one that erased it. */
async function askErasedBy(version: number, { answers, bounds }: PastParts): Promise<unknown> {
  try {
    await answers.entry(version, bounds);
  } catch (error) {
    if (error instanceof RegistryError && error.code === 'erased') return error.details.erased_by;
    throw error;
  }
  throw notErased(version, 'its payload after all');
}

/** Every entry of the trusted tree was verified, save those in accepted gaps: that it is one of them is all there is to show. */
async function readErasure(
  erased: number,
  version: unknown,
  parts: PastParts,
): Promise<WholeEntry> {
  const { answers, log, bounds } = parts;
  if (typeof version !== 'number' || !Number.isSafeInteger(version) || version < 1)
    throw notErased(erased, 'no version of one');
  // Erased since the head was trusted.
  if (version >= (log.state?.chain.tree.size ?? 0)) await log.catchUp(bounds);
  const served = await answers.entry(version, bounds);
  await assertPast(served, parts);
  return readTrustedEntry(served.bytes);
}

function notErased(version: number, got: string): RegistryError {
  return new RegistryError(
    'invalid_entry',
    `entry ${version}: expected its payload, or the entry that erases it, got ${got}`,
    { details: { version } },
  );
}
