/**
 * Entries before the trusted head, proven by hash links: a leaf that leads, link by link, to a version
 * whose hash is trusted is the leaf that was verified. Walks forward, because pages run that way.
 */
import { RegistryError } from '../core/error.ts';
import type { Hash } from '../core/hash.ts';
import { entryHash } from '../core/leaf.ts';
import type { Answers, ServedEntry } from './answers.ts';
import type { VerifiedEntry } from './client.ts';
import type { RequestBounds } from './transport.ts';
import type { TrustedLog } from './trusted-log.ts';
import { assertSameEntry, readTrustedEntry } from './trusted-state.ts';

type Hashes = Pick<TrustedLog, 'hashAt' | 'remember'>;

/** Throws `fork` (another history than the trusted one) or `invalid_entry` (it does not hang together). */
export async function provePastEntry(
  first: ServedEntry,
  { answers, hashes, bounds }: { answers: Answers; hashes: Hashes; bounds: RequestBounds },
): Promise<VerifiedEntry> {
  const walked: { version: number; hash: Hash }[] = [];
  let page: readonly ServedEntry[] = [first];
  while (page.length > 0) {
    for (const { version, leaf, bytes } of page) {
      const before = walked.at(-1);
      if (before !== undefined && leaf.prev_hash !== before.hash)
        throw brokenLink(version, before.hash, leaf.prev_hash);
      const hash = entryHash(bytes.leaf);
      walked.push({ version, hash });
      const expected = hashes.hashAt(version);
      if (expected === undefined) continue;
      assertSameEntry({ version, expected, got: hash });
      for (const link of walked) hashes.remember(link.version, link.hash);
      return readTrustedEntry(first.bytes);
    }
    page = await answers.entries(first.version + walked.length, bounds);
  }
  throw new RegistryError(
    'unexpected_answer',
    `expected entries from ${first.version} up to a trusted one, got only ${walked.length}`,
  );
}

function brokenLink(version: number, expected: Hash, got: Hash | null): RegistryError {
  return new RegistryError(
    'invalid_entry',
    `expected entry ${version} to follow ${expected}, got one that follows ${got ?? 'nothing'}`,
    {
      details: { version },
    },
  );
}
