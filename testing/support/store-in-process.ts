/** The SQLite store without its thread: the same lane and the same reads, opened in milliseconds. */
import { RegistryError } from '../../src/core/error.ts';
import { CommitLane } from '../../src/store/commit-lane.ts';
import type { Answers, Write } from '../../src/store/lane-messages.ts';
import { storageError } from '../../src/store/sqlite-errors.ts';
import { openReadOnly } from '../../src/store/sqlite-open.ts';
import { SqliteReader } from '../../src/store/sqlite-read.ts';
import type { Store } from '../../src/store/store.ts';

/** Throws what `openSqliteStore` throws. */
export function openInProcess(path: string): Store {
  const lane = new CommitLane(path);
  try {
    return new InProcessStore(lane, path);
  } catch (error) {
    lane.close();
    throw error;
  }
}

class InProcessStore extends SqliteReader implements Store {
  readonly #lane: CommitLane;
  #isFailed = false;

  constructor(lane: CommitLane, path: string) {
    super(openReadOnly(path), path);
    this.#lane = lane;
  }

  append: Store['append'] = (batch) => this.#write({ type: 'append', ...batch });

  putProposal: Store['putProposal'] = (proposal) => this.#write({ type: 'put_proposal', proposal });

  putApproval: Store['putApproval'] = (
    payloadB3,
    approval,
    { isReplacing } = { isReplacing: false },
  ) => this.#write({ type: 'put_approval', payloadB3, approval, isReplacing });

  dropProposals: Store['dropProposals'] = async (payloadB3s) => {
    await this.#write({ type: 'drop_proposals', payloadB3s });
  };

  putCheckpoint: Store['putCheckpoint'] = async (note) => {
    await this.#write({ type: 'put_checkpoint', note });
  };

  setOldest: Store['setOldest'] = async (oldest) => {
    await this.#write({ type: 'set_oldest', oldest });
  };

  prune: Store['prune'] = async ({ onProgress, signal } = {}) => {
    for (;;) {
      const progress = await this.#write({ type: 'prune_step' });
      onProgress?.(progress);
      if (progress.reached === progress.oldest || signal?.aborted === true) return;
    }
  };

  snapshot: Store['snapshot'] = () => Promise.reject(new Error('no thread copies here'));

  compact: Store['compact'] = async ({ expiredBefore }) => {
    let dropped = 0;
    let report = this.#lane.compact(expiredBefore);
    for (; report.type === 'compacting'; report = this.#lane.compact(expiredBefore))
      dropped += report.compaction.droppedProposals;
    if (report.type === 'compacted') return { ...report.compaction, droppedProposals: dropped };
    throw new RegistryError('read_only', `expected a compaction, got ${report.type}`);
  };

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    // After a failure the lane is left as it is; the test's process ends soon enough.
    if (!this.#isFailed) this.#lane.close();
  }

  async #write<T extends Write>(write: T): Promise<Answers[T['type']]> {
    if (this.#isFailed) throw new RegistryError('outcome_unknown', 'expected a lane, got none');
    try {
      const report = this.#lane.run([write]);
      if (report.type === 'done') return report.answers[0] as Answers[T['type']];
      throw new RegistryError('read_only', `expected a write, got ${report.type}`);
    } catch (cause) {
      if (cause instanceof RegistryError && cause.code === 'read_only') throw cause;
      this.#isFailed = true;
      throw new RegistryError('outcome_unknown', storageError(cause, 'a write').message, { cause });
    }
  }
}
