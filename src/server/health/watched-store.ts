/**
 * A store whose writes are timed from outside, whatever it is made of: how long the oldest one is on its
 * way, and how the last one ended. What follows from that is `gates.ts`.
 */
import { RegistryError } from '../../core/error.ts';
import type { Store } from '../../store/store.ts';

export interface EndedWrite {
  readonly tookMs: number;
  /** On the clock that was handed in. */
  readonly endedMs: number;
  /** Certainly nothing was written, for want of space. */
  readonly isRefused: boolean;
}

/** What is known of the writes of a store. */
export interface Writes {
  /** 0 while none is on its way. */
  oldestMs(): number;
  /** `undefined` until one has ended. */
  last(): EndedWrite | undefined;
}

/** `nowMs`: of a clock that never goes back. */
export function watchStore(
  store: Store,
  nowMs: () => number,
): { readonly store: Store; readonly writes: Writes } {
  const watch = new WriteWatch(nowMs);
  return { store: watched(store, watch), writes: watch };
}

class WriteWatch implements Writes {
  readonly #nowMs: () => number;
  /** In the order in which they began. */
  readonly #running = new Set<{ readonly startedMs: number }>();
  #last: EndedWrite | undefined;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  oldestMs(): number {
    for (const { startedMs } of this.#running) return this.#nowMs() - startedMs;
    return 0;
  }

  last(): EndedWrite | undefined {
    return this.#last;
  }

  async time<T>(write: () => Promise<T>): Promise<T> {
    const running = { startedMs: this.#nowMs() };
    this.#running.add(running);
    let isRefused = false;
    try {
      return await write();
    } catch (error) {
      isRefused = error instanceof RegistryError && error.code === 'read_only';
      throw error;
    } finally {
      this.#running.delete(running);
      const endedMs = this.#nowMs();
      this.#last = { tookMs: endedMs - running.startedMs, endedMs, isRefused };
    }
  }
}

/** Named one by one: a write that `Store` gains does not compile until it is timed here. */
function watched(store: Store, watch: WriteWatch): Store {
  return {
    head: () => store.head(),
    entry: (version) => store.entry(version),
    entries: (range) => store.entries(range),
    leaves: (range) => store.leaves(range),
    governanceEntries: () => store.governanceEntries(),
    committedVersion: (payloadB3) => store.committedVersion(payloadB3),
    nodes: (places) => store.nodes(places),
    nodeRun: (range) => store.nodeRun(range),
    checkpoint: () => store.checkpoint(),
    descriptor: (key) => store.descriptor(key),
    set: (version) => store.set(version),
    diff: (range) => store.diff(range),
    history: (query) => store.history(query),
    proposals: () => store.proposals(),
    retention: () => store.retention(),
    currentOf: (version) => store.currentOf(version),
    // In steps of its own, which are short; what they wait for is seen by the writes beside them.
    prune: (options) => store.prune(options),
    snapshot: (target) => store.snapshot(target),
    storageBytes: () => store.storageBytes(),
    append: (batch) => watch.time(() => store.append(batch)),
    putProposal: (proposal) => watch.time(() => store.putProposal(proposal)),
    putApproval: (...put) => watch.time(() => store.putApproval(...put)),
    dropProposals: (payloadB3s) => watch.time(() => store.dropProposals(payloadB3s)),
    putCheckpoint: (note) => watch.time(() => store.putCheckpoint(note)),
    setOldest: (oldest) => watch.time(() => store.setOldest(oldest)),
    compact: (options) => watch.time(() => store.compact(options)),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}
