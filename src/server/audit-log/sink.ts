/** Where an audit log puts its lines: the seam between what is recorded and what keeps it. */
import type { Draft, Position } from './record.ts';

export interface AuditSink {
  /** The end of what is kept. */
  readonly position: Position;
  /** Which log this is: random, made with its first record. */
  readonly log: string;
  /** A failure left something that `mend` must put right before anything else is written. */
  readonly isSuspect: boolean;
  /**
   * Keeps as many of these as go in one write, at least one, and answers how many. They survive the end
   * of the process; a power failure only after `sync`. When it throws none is kept, and it may be tried again.
   * Throws `storage_damaged` when what is there is not what this wrote: then the log must be opened anew.
   */
  write(drafts: readonly Draft[]): Promise<number>;
  /** May run beside a `write`; when it throws the sink is suspect. */
  sync(): Promise<void>;
  mend(): Promise<void>;
  /** The bound from now on: applied at the next write. */
  setMaxBytes(bytes: number): void;
  /** Syncs first; throws what that throws, and is closed all the same. */
  close(): Promise<void>;
}
