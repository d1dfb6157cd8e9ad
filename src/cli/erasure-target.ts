/** The entry that is to be erased, verified, and what of it still stands in the set. */
import type { Client, VerifiedEntry } from '../client/client.ts';
import { isErasableType } from '../core/erasure.ts';
import { RegistryError } from '../core/error.ts';
import { changesOf, type Descriptor, type PutChange } from '../core/payload.ts';
import { currentValues } from './current.ts';
import { verified } from './failure.ts';
import { keyOf, valueHashOf } from './plan.ts';

export interface ErasureTarget {
  readonly entry: VerifiedEntry;
  /** Values it put that nothing has replaced or removed. */
  readonly current: readonly Pick<Descriptor, 'kind' | 'id'>[];
}

/** Throws what `client.entry` throws. */
export async function findErasureTarget(client: Client, version: number): Promise<ErasureTarget> {
  const entry = await verified(client.entry(version));
  const changes = entry.proposal === null ? [] : changesOf(entry.proposal.payload);
  const puts = changes.filter((change): change is PutChange => change.op === 'put');
  const standing = await currentValues(client, puts);
  const current = puts.filter((put) => {
    const found = standing(put);
    return found !== null && found !== undefined && valueHashOf(found) === valueHashOf(put);
  });
  return { entry, current };
}

/** Why it cannot be erased now; empty when it can. */
export function reasonsAgainst({ entry, current }: ErasureTarget): readonly string[] {
  const { erasedBy, leaf } = entry;
  return [
    ...(isErasableType(leaf.type) ? [] : [`it is of type ${leaf.type}, which stays for ever`]),
    ...(erasedBy === null ? [] : [`version ${erasedBy} has erased it already`]),
    ...current.map((key) => `${keyOf(key)} still stands as it put it: replace or remove it first`),
  ];
}

/** Rejects `fence_broken`, as the registry would. */
export async function assertErasableNow(version: number, target: ErasureTarget): Promise<void> {
  const [reason] = reasonsAgainst(target);
  if (reason !== undefined)
    throw new RegistryError(
      'fence_broken',
      `expected version ${version} to be one that can be erased, got another: ${reason}`,
      { details: { version } },
    );
}
