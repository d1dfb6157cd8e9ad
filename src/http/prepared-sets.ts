/** Whole sets that are kept ready to be sent, by whoever has a disk. `http` asks for them and sends them. */
import type { Hash } from '../core/hash.ts';

/** A set, and all that its bytes depend on. */
export interface WholeSet {
  readonly version: number;
  readonly setRoot: Hash;
  /** Number of descriptors. */
  readonly size: number;
  readonly origin: string;
}

export interface PreparedSet {
  /** Of the whole body. */
  readonly bytes: number;
  /**
   * To be read to its end or cancelled. It breaks off where it could only go on with other bytes. Its pieces are
   * the reader's alone.
   */
  readonly body: ReadableStream<Uint8Array>;
}

export interface PreparedSets {
  /**
   * The body of a set as `streamSet` gives it; made first where it is not there yet and that takes no
   * longer than anybody wants to wait. `undefined`: not now, read it from the registry. Never rejects.
   */
  open(set: WholeSet): Promise<PreparedSet | undefined>;
}
