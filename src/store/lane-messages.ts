/** What the main thread and the commit lane say to each other. Plain data: it is cloned on its way. */
import type { Approval } from '../core/approval.ts';
import type { ErrorCode } from '../core/error.ts';
import type { Hash } from '../core/hash.ts';
import type {
  AppendEntry,
  AppendOutcome,
  Compaction,
  PruneProgress,
  StoredProposal,
} from './store.ts';

/** One write of the store's contract. */
export type Write =
  | {
      readonly type: 'append';
      readonly expected: number;
      readonly entries: readonly AppendEntry[];
    }
  | { readonly type: 'put_proposal'; readonly proposal: StoredProposal }
  | {
      readonly type: 'put_approval';
      readonly payloadB3: Hash;
      readonly approval: Approval;
      readonly isReplacing: boolean;
    }
  | { readonly type: 'drop_proposals'; readonly payloadB3s: readonly Hash[] }
  | { readonly type: 'drop_expired'; readonly before: string }
  | { readonly type: 'put_checkpoint'; readonly note: string }
  | { readonly type: 'set_oldest'; readonly oldest: number }
  | { readonly type: 'prune_step' };

/** What each write answers. */
export interface Answers {
  readonly append: AppendOutcome;
  readonly put_proposal: 'added' | 'known';
  readonly put_approval: 'added' | 'known' | 'no_proposal';
  readonly drop_proposals: 'dropped';
  /** How many; 0: none is left. */
  readonly drop_expired: number;
  readonly put_checkpoint: 'kept';
  readonly set_oldest: 'set';
  readonly prune_step: PruneProgress;
}

export type Answer = Answers[Write['type']];

export interface LaneData {
  readonly path: string;
}

/** To the lane; `batch` is one transaction. */
export type LaneRequest =
  | { readonly type: 'batch'; readonly writes: readonly Write[] }
  | { readonly type: 'compact'; readonly expiredBefore: string }
  /** Answered by `checkpointed`, or not at all. */
  | { readonly type: 'catch_up' }
  /** Answered by `checkpointed`, or not at all. */
  | { readonly type: 'fold' }
  | { readonly type: 'close' };

/** An error's class does not survive the way between threads. */
export interface LaneError {
  readonly code: ErrorCode;
  readonly message: string;
}

/**
 * From the lane. Each batch is answered by `done` or `not_written`, and a step of a compaction by `compacting`,
 * `compacted` or `not_written`, in order, unless it `failed`.
 */
export type LaneReport =
  | { readonly type: 'opened' }
  | { readonly type: 'refused'; readonly error: LaneError }
  /** Durable. `fsyncSeconds`: the duration of the commit; `null` when nothing changed. */
  | {
      readonly type: 'done';
      readonly answers: readonly Answer[];
      readonly fsyncSeconds: number | null;
      /** `fold` is to be asked for soon. */
      readonly isFoldDue: boolean;
    }
  | { readonly type: 'not_written'; readonly error: LaneError }
  /** So many proposals were dropped, and more may be left: `compact` is to be asked for again. */
  | {
      readonly type: 'compacting';
      readonly compaction: Pick<Compaction, 'droppedProposals' | 'before'>;
    }
  | { readonly type: 'compacted'; readonly compaction: Compaction }
  | { readonly type: 'checkpointed' }
  /** What was erased may stand on in the main file, which is damaged. Nobody asked for it. */
  | { readonly type: 'not_wiped'; readonly error: LaneError }
  /** The last report: whether the batch was written is unknown, and the lane does nothing more. */
  | { readonly type: 'failed'; readonly error: LaneError }
  | { readonly type: 'closed' };
