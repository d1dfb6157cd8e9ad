/** What a batch of commits would erase: looked up before it is planned, because planning awaits nobody. */
import type { ErasureTarget } from '../core/erasure.ts';
import type { ErasePayload, Payload } from '../core/payload.ts';
import type { Store } from '../store/store.ts';
import type { FindErasable } from './proposal-view.ts';
import type { Retained } from './retained.ts';
import { assertStoredEntry } from './stored.ts';

interface Sources {
  readonly store: Store;
  readonly retained: Retained;
}

/** Answers by the erasing payload; none where nothing stands at its version. */
export function erasableIn(sources: Sources): FindErasable {
  return (payloads) => findErasable(payloads, sources);
}

async function findErasable(
  payloads: readonly Payload[],
  { store, retained }: Sources,
): Promise<ReadonlyMap<ErasePayload, ErasureTarget>> {
  const found = new Map<ErasePayload, ErasureTarget>();
  for (const payload of payloads) {
    if (payload.type !== 'erase') continue;
    const { version } = payload;
    const entry = await store.entry(version);
    if (entry === undefined) continue;
    const { type } = assertStoredEntry(entry, retained);
    const { entryHash } = entry;
    const isErased = retained.isErased(version);
    const current = await store.currentOf(version);
    found.set(payload, { entryHash, type, isErased, current });
  }
  return found;
}
