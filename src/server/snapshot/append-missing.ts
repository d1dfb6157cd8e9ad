/** Entries that a log lacks, appended one page after the other, each verified like a stranger's. */
import { verifyEntry } from '../../core/chain.ts';
import { assertErasable } from '../../core/erasure.ts';
import { RegistryError } from '../../core/error.ts';
import type { Hash } from '../../core/hash.ts';
import { decodeLeaf, type EntryBytes } from '../../core/leaf.ts';
import { decodePayload, type Payload } from '../../core/payload.ts';
import type { Chain } from '../../core/rules.ts';
import { formatTime } from '../../core/time.ts';
import type { Verifier } from '../../core/verifier.ts';
import { erasableIn } from '../../registry/erasing.ts';
import { loadChain } from '../../registry/load.ts';
import { Retained } from '../../registry/retained.ts';
import { toAppendEntry } from '../../registry/sequencer.ts';
import { openSqliteStore } from '../../store/sqlite.ts';
import { type AppendEntry, EMPTY_VERSION, type Store } from '../../store/store.ts';

export interface Missing extends AsyncDisposable {
  /** `null`: nothing is there yet. */
  readonly chain: Chain | null;
  /** The next entries. Throws what `verifyEntry` throws, with nothing of them appended. */
  append(entries: readonly EntryBytes[]): Promise<void>;
  /** A checkpoint of the chain as it stands, which the caller has verified. */
  keepCheckpoint(note: string): Promise<void>;
  /** How large the database is, once its write-ahead log was folded. */
  bytes(): Promise<number>;
}

/** Over a database that nobody else has open, and that was verified; made when there is none. */
export async function openMissing(path: string, verifier: Verifier): Promise<Missing> {
  const metrics = { fsync: () => undefined, checkpointed: () => undefined };
  // What is fatal to a write rejects it too, and so ends the restore.
  const store = await openSqliteStore({ path, metrics, onFatal: () => undefined });
  try {
    const loaded = await loadChain(store);
    return new MissingEntries(store, verifier, loaded?.chain ?? null);
  } catch (error) {
    await store[Symbol.asyncDispose]();
    throw error;
  }
}

class MissingEntries implements Missing {
  readonly #store: Store;
  readonly #verifier: Verifier;
  #chain: Chain | null;

  constructor(store: Store, verifier: Verifier, chain: Chain | null) {
    this.#store = store;
    this.#verifier = verifier;
    this.#chain = chain;
  }

  get chain(): Chain | null {
    return this.#chain;
  }

  async append(page: readonly EntryBytes[]): Promise<void> {
    let batch: EntryBytes[] = [];
    for (const entry of page) {
      // What it erases must stand in the store to be judged.
      if (isErasing(entry)) {
        await this.#appendBatch(batch);
        batch = [];
        await this.#appendBatch([entry]);
      } else batch.push(entry);
    }
    await this.#appendBatch(batch);
  }

  async #appendBatch(batch: readonly EntryBytes[]): Promise<void> {
    const committed = new Set<Hash>();
    const entries: AppendEntry[] = [];
    let chain = this.#chain;
    for (const entry of batch) {
      const proposal = decodePayload(entry.payload);
      const { payloadB3 } = proposal;
      const isCommitted =
        committed.has(payloadB3) || (await this.#store.committedVersion(payloadB3)) !== undefined;
      const appended = await verifyEntry(chain, entry, {
        verifier: this.#verifier,
        isCommitted: () => isCommitted,
      });
      await this.#assertErasable(chain, proposal.payload);
      committed.add(payloadB3);
      entries.push(toAppendEntry(proposal, appended));
      chain = appended.chain;
    }
    if (entries.length === 0) return;
    const expected = this.#chain?.version ?? EMPTY_VERSION;
    const { outcome } = await this.#store.append({ expected, entries });
    if (outcome !== 'appended')
      throw new RegistryError('internal', `expected the entries to be appended, got ${outcome}`);
    this.#chain = chain;
  }

  async #assertErasable(chain: Chain | null, payload: Payload): Promise<void> {
    if (payload.type !== 'erase' || chain === null) return;
    const retained = new Retained();
    await retained.load(this.#store);
    const found = await erasableIn({ store: this.#store, retained })([payload]);
    assertErasable(chain, payload, found.get(payload));
  }

  keepCheckpoint(note: string): Promise<void> {
    return this.#store.putCheckpoint(note);
  }

  async bytes(): Promise<number> {
    const { after } = await this.#store.compact({ expiredBefore: NOTHING_EXPIRED });
    return after.mainBytes + after.logBytes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#store[Symbol.asyncDispose]();
  }
}

const NOTHING_EXPIRED = formatTime(0);

/** By its leaf, which need not be true: `verifyEntry` finds that out. */
function isErasing({ leaf }: EntryBytes): boolean {
  return decodeLeaf(leaf).type === 'erase';
}
