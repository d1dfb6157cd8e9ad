/**
 * The entries after the checkpoint, for which no log key has vouched: each replayed by the rules that every reader
 * goes by, from the set that the checkpoint covers.
 */
import { assertApprovals, type Chain, decodeEntry, replayEntry } from '../../core/chain.ts';
import { descriptorPath } from '../../core/descriptor.ts';
import { assertErasable } from '../../core/erasure.ts';
import { parseHash } from '../../core/hash.ts';
import { changesOf, type Payload } from '../../core/payload.ts';
import { SetRows } from '../../core/set-rows.ts';
import { SetTree } from '../../core/set-tree.ts';
import { formatTime, SKEW_MS } from '../../core/time.ts';
import { readSignedCheckpoint } from '../../core/tlog/note-signatures.ts';
import type { Verifier } from '../../core/verifier.ts';
import { verifyErased } from '../../core/without-payload.ts';
import { loadGovernance, makeSet } from '../../registry/load.ts';
import { loadTree } from '../../registry/log-nodes.ts';
import { Retained } from '../../registry/retained.ts';
import { assertStoredEntry, damaged } from '../../registry/stored.ts';
import type { ReadStore } from '../../store/sqlite-read.ts';
import type { StoredEntry } from '../../store/store.ts';
import { atEntry } from './verify-approvals.ts';

const PAGE = 256;

export interface TailOptions {
  readonly verifier: Verifier;
  /** In milliseconds: no entry was committed later. */
  readonly now: number;
}

/** Expects the log to be verified but for what its entries say. Throws what `verifyEntry` throws, with the version, or `storage_damaged`. */
export async function verifyTail(store: ReadStore, options: TailOptions): Promise<void> {
  const note = await store.checkpoint();
  const size = note === undefined ? 0 : readSignedCheckpoint(note).size;
  const retained = new Retained();
  await retained.load(store);
  const chain = await chainOf(store, { size, retained });
  const tail = new Tail(store, { ...options, retained, chain });
  for (let from = size; ; ) {
    const page = await store.entries({ from, limit: PAGE });
    if (page.length === 0) return;
    for (const entry of page) await tail.add(entry);
    from += page.length;
  }
}

/** Of so many entries, its set known by the root that the last of them names. */
async function chainOf(
  store: ReadStore,
  { size, retained }: { readonly size: number; readonly retained: Retained },
): Promise<Chain | null> {
  const entry = await store.entry(size - 1);
  if (entry === undefined) return null;
  const governanceEntries = (await store.governanceEntries()).filter((one) => one.version < size);
  const { registry, governances, signerKeys } = await loadGovernance({
    governanceEntries: async () => governanceEntries,
  });
  const governance = governances.at(-1)?.governance;
  if (governance === undefined) throw damaged('expected a genesis at version 0, got none');
  const leaf = assertStoredEntry(entry, retained);
  return {
    origin: leaf.origin,
    registry,
    version: leaf.version,
    entryHash: entry.entryHash,
    committedAt: leaf.committed_at,
    governance,
    signerKeys,
    set: SetTree.fromRoot({ root: parseHash(leaf.set_root), size: leaf.set_size }),
    tree: await loadTree(store, size),
  };
}

class Tail {
  readonly #store: ReadStore;
  readonly #options: TailOptions & { readonly retained: Retained };
  #chain: Chain | null;
  #isSetKnown: boolean;

  constructor(
    store: ReadStore,
    options: TailOptions & { readonly retained: Retained; readonly chain: Chain | null },
  ) {
    this.#store = store;
    this.#options = options;
    this.#chain = options.chain;
    this.#isSetKnown = options.chain === null;
  }

  async add(entry: StoredEntry): Promise<void> {
    try {
      this.#chain = await this.#next(entry);
      const latest = formatTime(this.#options.now + SKEW_MS);
      if (this.#chain.committedAt > latest)
        throw damaged(
          `expected an entry that was committed by now, got one of ${this.#chain.committedAt}: see that this machine's clock is right`,
        );
    } catch (cause) {
      throw atEntry(entry, cause);
    }
  }

  async #next(entry: StoredEntry): Promise<Chain> {
    const { verifier, retained } = this.#options;
    const before = this.#chain;
    const { leaf, payload, approvals, version } = entry;
    if (payload.length > 0) return this.#replay(entry);
    if (before === null || !retained.isErased(version))
      throw damaged('expected its payload, for no checkpoint covers it, got none');
    this.#isSetKnown = false;
    const bytes = { leaf, payload: null, approvals };
    return (await verifyErased(before, bytes, { verifier, isCommitted })).chain;
  }

  async #replay(entry: StoredEntry): Promise<Chain> {
    const { verifier } = this.#options;
    const read = decodeEntry(entry);
    const { payload } = read.proposal;
    await assertApprovals(this.#chain, { ...read, verifier });
    await this.#assertErasable(payload);
    if (this.#chain !== null && !this.#isSetKnown && changesOf(payload).length > 0) {
      this.#chain = { ...this.#chain, set: await this.#setOf(this.#chain) };
      this.#isSetKnown = true;
    }
    return replayEntry(this.#chain, read, isCommitted).chain;
  }

  async #assertErasable(payload: Payload): Promise<void> {
    if (payload.type !== 'erase') return;
    const target = await this.#store.entry(payload.version);
    const type = target && assertStoredEntry(target, this.#options.retained).type;
    const found = target && type && { entryHash: target.entryHash, type };
    // That none is erased twice, and whether its values still stand, is seen by who holds rows against entries.
    assertErasable(this.#chain, payload, found && { ...found, isErased: false, current: [] });
  }

  /** As its rows have it. */
  async #setOf({ version, set }: Chain): Promise<SetTree> {
    const rows = new SetRows(set.size);
    for await (const page of this.#store.set(version))
      for (const row of page) rows.add(descriptorPath(row), row.valueHash);
    return makeSet(rows.bytes, { version, set_root: set.root, set_size: set.size });
  }
}

/** Two entries of one payload have no room in the index of payloads. */
function isCommitted(): boolean {
  return false;
}
