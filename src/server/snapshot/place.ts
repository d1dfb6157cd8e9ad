/**
 * Where snapshots are kept: a directory here, or elsewhere. A place keeps bytes under names and judges
 * nothing; who reads from it verifies.
 */
import type { Chunks } from './unpack.ts';

export interface PlacedFile {
  readonly name: string;
  readonly bytes: number;
}

export type CheckWritten = (written: Chunks) => Promise<void>;

/** Rejects with `storage_failed`, `read_only` (no room), `forbidden`, or `unavailable` (a place elsewhere). */
export interface SnapshotPlace {
  /** As people know it. */
  readonly description: string;
  /** What has a snapshot's name, in any order; nothing of a write that did not end. */
  list(): Promise<readonly PlacedFile[]>;
  /** From `offset` on; to be read once, or ended. Rejects, or throws on its way, `not_found`. */
  read(name: string, options: { readonly offset: number }): Promise<Chunks>;
  /**
   * Whole and durable when it resolves, with how many bytes; a name that is taken is replaced, or refused with
   * `conflict`. Before that nothing that is not whole stands under the name, and when it rejects nothing new, save what
   * is only not known to be durable. `check` gets what was written: where that can be read without a name before it has
   * one, else after, and what fails is taken away again; where that is not allowed the error says that it is still there.
   */
  write(name: string, chunks: Chunks, check?: CheckWritten): Promise<number>;
  /** Resolves also when there is nothing of that name. */
  remove(name: string): Promise<void>;
}
