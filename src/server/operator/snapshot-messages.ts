/** What the thread that verifies a snapshot says. Plain data: it is cloned on its way. */
import type { ErrorCode } from '../../core/error.ts';
import type { Hash } from '../../core/hash.ts';

/** What a verified copy holds. */
export interface VerifiedCopy {
  readonly version: number;
  readonly entryHash: Hash;
  /** The newest signed one in it, with its root in base64; `undefined`: none was kept yet. */
  readonly checkpoint: { readonly size: number; readonly root: string } | undefined;
}

export type VerifyReport =
  | { readonly type: 'progress'; readonly done: number; readonly total: number }
  | { readonly type: 'verified'; readonly copy: VerifiedCopy }
  | { readonly type: 'failed'; readonly code: ErrorCode; readonly message: string };
