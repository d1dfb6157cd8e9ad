/**
 * The set that an entry was committed on, whole, for who knows it by its root alone: as it is served for
 * the version before, by hashes where a value in it was erased, or from the set after the entry where the
 * version before was pruned. Nothing is believed beyond the root.
 */
import { RegistryError } from '../core/error.ts';
import { changesOf, type Payload } from '../core/payload.ts';
import type { Chain } from '../core/rules.ts';
import type { SetTree } from '../core/set-tree.ts';
import type { Answers } from './answers.ts';
import { type SetIdentity, treeOf, treeOfHashes, undone } from './known-set.ts';
import type { RequestBounds } from './transport.ts';

export interface CommittedOn {
  readonly chain: Chain;
  readonly payload: Payload;
  /** As the entry's leaf says it is. */
  readonly after: SetIdentity;
}

/** Throws `invalid_proof` for another set than the root's, and `pruned`. */
export async function askSetBefore(
  answers: Answers,
  { chain, payload, after }: CommittedOn,
  bounds: RequestBounds,
): Promise<SetTree> {
  const { version, set: before } = chain;
  const set = await setAt(answers, { version, expected: before }, bounds);
  if (set !== 'pruned') return set;
  const changes = changesOf(payload);
  // Nobody vouched for the leaf yet: what it says of the set may make the answer no larger than it can be.
  const size = Math.min(after.size, before.size + changes.length);
  const expected = { root: after.root, size };
  const later = await setAt(answers, { version: version + 1, expected }, bounds);
  if (later !== 'pruned') return undone(later, changes, before);
  throw new RegistryError(
    'pruned',
    `expected the set at version ${version} or ${version + 1}, got word that both were pruned`,
    { details: { version } },
  );
}

async function setAt(
  answers: Answers,
  { version, expected }: { readonly version: number; readonly expected: SetIdentity },
  bounds: RequestBounds,
): Promise<SetTree | 'pruned'> {
  const question = { version, size: expected.size };
  const items = await orGone(answers.set(question, bounds));
  if (items === 'pruned') return items;
  if (items !== 'erased') return treeOf(items, expected);
  return treeOfHashes(await answers.setHashes(question, bounds), expected);
}

/** What is asked for, or why the server does not have it any more. */
export async function orGone<T>(answer: Promise<T>): Promise<T | 'erased' | 'pruned'> {
  try {
    return await answer;
  } catch (error) {
    const code = error instanceof RegistryError ? error.code : undefined;
    if (code === 'erased' || code === 'pruned') return code;
    throw error;
  }
}
