/**
 * Entries up to a claimed head, asked for page by page and handed on only once each is known to lead
 * to the next, and the last to that head. The rules of the log cannot see a changed `committed_at`;
 * the links can, and so one tampered answer is refused before anything of it is saved.
 */
import { RegistryError } from '../core/error.ts';
import { entryHash } from '../core/leaf.ts';
import type { ClaimedHead, ServedEntry } from './answers.ts';

export interface LinkedRange {
  readonly from: number;
  readonly claim: ClaimedHead;
  /** The page that begins with a version; empty past the head. */
  readonly ask: (from: number) => Promise<readonly ServedEntry[]>;
}

/** Runs of consecutive entries. Throws `fork`, and `unexpected_answer` when they end before the head. */
export async function* linkedEntries({
  from,
  claim,
  ask,
}: LinkedRange): AsyncGenerator<readonly ServedEntry[], void, void> {
  // The last entry of a page waits for the first of the next one.
  let held: readonly ServedEntry[] = [];
  for (let next = from; next <= claim.version; ) {
    const page = (await ask(next)).filter(({ version }) => version <= claim.version);
    if (page.length === 0)
      throw new RegistryError(
        'unexpected_answer',
        `expected entries up to version ${claim.version}, got none from ${next}`,
        { details: { version: claim.version } },
      );
    const run = [...held, ...page];
    assertLinks(run, claim);
    next += page.length;
    held = next > claim.version ? [] : run.slice(-1);
    if (run.length > held.length) yield run.slice(0, run.length - held.length);
  }
}

function assertLinks(run: readonly ServedEntry[], claim: ClaimedHead): void {
  run.forEach(({ version, bytes }, i) => {
    const follower = run[i + 1];
    const expected = version === claim.version ? claim.entryHash : follower?.leaf.prev_hash;
    const got = entryHash(bytes.leaf);
    if (expected !== undefined && expected !== got)
      throw new RegistryError(
        'fork',
        `expected entry ${version} to be ${expected} as ${follower === undefined ? 'the head' : 'the next entry'} says, got ${got}`,
        { details: { version, expected, got } },
      );
  });
}
