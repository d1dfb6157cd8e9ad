/** The difference between a declared set and the current one, as changes with their fences. Pure. */

import { descriptorValueHash, encodeDescriptor } from '../core/descriptor.ts';
import { formatHash, type Hash } from '../core/hash.ts';
import { type Change, compareKeys, type Descriptor } from '../core/payload.ts';

export interface PlanOptions {
  /** Remove what is current and not declared, of the kinds in `kinds`. */
  readonly prune: boolean;
  /** Default: the kinds that were declared. */
  readonly kind: string | undefined;
}

export interface DescriptorSets {
  readonly declared: readonly Descriptor[];
  readonly current: readonly Descriptor[];
}

/** Sorted by kind, then id; empty when the registry is as declared. */
export function planChanges(
  { declared, current }: DescriptorSets,
  options: PlanOptions,
): readonly Change[] {
  const now = new Map(current.map((item) => [keyOf(item), valueHashOf(item)]));
  const puts = declared.flatMap(({ kind, id, spec }): Change[] => {
    const replaces = now.get(keyOf({ kind, id })) ?? null;
    return replaces === valueHashOf({ kind, id, spec })
      ? []
      : [{ op: 'put', kind, id, spec, replaces }];
  });
  return [...puts, ...removals({ declared, current }, options)].sort(compareKeys);
}

/** How the parts of a plan are counted, and what they are called. */
export function countChanges(changes: readonly Change[]): {
  readonly added: number;
  readonly changed: number;
  readonly removed: number;
} {
  const removed = changes.filter((change) => change.op === 'remove').length;
  const added = changes.filter((change) => change.replaces === null).length;
  return { added, removed, changed: changes.length - added - removed };
}

export function valueHashOf(descriptor: Descriptor): Hash {
  return formatHash(descriptorValueHash(encodeDescriptor(descriptor)));
}

export function keyOf({ kind, id }: { kind: string; id: string }): string {
  return `${kind}/${id}`;
}

function removals({ declared, current }: DescriptorSets, { prune, kind }: PlanOptions): Change[] {
  if (!prune) return [];
  const kinds = new Set(kind === undefined ? declared.map((item) => item.kind) : [kind]);
  const kept = new Set(declared.map(keyOf));
  return current
    .filter((item) => kinds.has(item.kind) && !kept.has(keyOf(item)))
    .map((item) => ({ op: 'remove', kind: item.kind, id: item.id, replaces: valueHashOf(item) }));
}
