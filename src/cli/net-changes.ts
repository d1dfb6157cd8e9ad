/**
 * The net changes between two versions, from verified entries alone. What stood before comes from the
 * first fence on a key, what stands after from the last change: nothing is taken on a server's word.
 */
import type { Client, ErasedEntry } from '../client/client.ts';
import type { Hash } from '../core/hash.ts';
import { changesOf, compareKeys, type Descriptor } from '../core/payload.ts';
import { verified } from './failure.ts';
import { keyOf, valueHashOf } from './plan.ts';

export interface NetChange {
  readonly kind: string;
  readonly id: string;
  /** `null`: absent. */
  readonly before: Hash | null;
  readonly after: Hash | null;
}

export interface NetChanges {
  /** Entries whose payload is gone: what they changed is not among `changes`. */
  readonly erased: readonly ErasedEntry[];
  /** Sorted by kind, then id. */
  readonly changes: readonly NetChange[];
  /** Descriptors that the entries brought, by value hash. */
  readonly brought: ReadonlyMap<Hash, Descriptor>;
}

/** `from` is at most `to`, which is at most the verified head. */
export async function netChanges(
  client: Client,
  {
    from,
    to,
    onProgress,
  }: {
    readonly from: number;
    readonly to: number;
    readonly onProgress: (done: number, total: number) => void;
  },
): Promise<NetChanges> {
  const net = new Map<string, NetChange>();
  const brought = new Map<Hash, Descriptor>();
  const erased: ErasedEntry[] = [];
  for (let version = from + 1; version <= to; version++) {
    const entry = await verified(client.entry(version));
    if (entry.proposal === null) erased.push(entry);
    for (const change of entry.proposal === null ? [] : changesOf(entry.proposal.payload)) {
      const { kind, id, replaces } = change;
      const before = net.get(keyOf(change));
      const after = change.op === 'put' ? valueHashOf(change) : null;
      if (change.op === 'put' && after !== null)
        brought.set(after, { kind, id, spec: change.spec });
      net.set(keyOf(change), {
        kind,
        id,
        before: before === undefined ? replaces : before.before,
        after,
      });
    }
    onProgress(version - from, to - from);
  }
  const changes = [...net.values()].filter(({ before, after }) => before !== after);
  return { changes: changes.sort(compareKeys), brought, erased };
}
