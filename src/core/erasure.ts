/**
 * Which entry an `erase` payload may name. Whoever knows the entry at that version asks here: the server
 * before it commits, an auditor on the way through a log. What is erased, and where, is not core's.
 */
import { RegistryError } from './error.ts';
import type { Hash } from './hash.ts';
import type { Descriptor, ErasePayload, Payload, PayloadType } from './payload.ts';
import { assertErasesEarlier, type Lineage } from './rules.ts';

/** What stands at the version that an `erase` payload names. */
export interface ErasureTarget {
  readonly entryHash: Hash;
  readonly type: PayloadType;
  /** By an entry before. */
  readonly isErased: boolean;
  /** Of the values it put, those that still stand in the set; empty for who cannot know. */
  readonly current: readonly Pick<Descriptor, 'kind' | 'id'>[];
}

/**
 * Throws `fence_broken` unless the payload may erase what it names (`undefined`: nothing stands there).
 * Genesis and governance say who may sign, and an erasure that an earlier entry was meant: both stay.
 */
export function assertErasable(
  chain: Lineage | null,
  payload: Payload,
  target: ErasureTarget | undefined,
): void {
  assertErasesEarlier(chain, payload);
  if (payload.type !== 'erase') return;
  if (target?.entryHash !== payload.erases)
    throw refused(payload, `to be ${payload.erases}`, target?.entryHash ?? 'nothing', {
      entry_hash: target?.entryHash,
    });
  const { type, isErased, current } = target;
  if (!isErasableType(type))
    throw refused(payload, 'of type descriptors or supersede', type, { type });
  if (isErased) throw refused(payload, 'that was not erased before', 'one that was', {});
  const [first] = current;
  if (first !== undefined)
    throw refused(
      payload,
      'whose values were all replaced or removed',
      `${first.kind}/${first.id} as it put it`,
      { current: current.map(({ kind, id }) => ({ kind, id })) },
    );
}

export function isErasableType(type: PayloadType): boolean {
  return type === 'descriptors' || type === 'supersede';
}

function refused(
  { version }: ErasePayload,
  expected: string,
  got: string,
  details: Readonly<Record<string, unknown>>,
): RegistryError {
  return new RegistryError(
    'fence_broken',
    `expected the entry of version ${version} ${expected}, got ${got}`,
    { details: { version, ...details } },
  );
}
