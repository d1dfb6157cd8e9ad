/** The seam to blobs: bytes that descriptors name by hash. Where they are kept is `server`'s. */
import type { Hash } from '../core/hash.ts';
import type { ByteRange } from './range.ts';

export interface BlobStore {
  /** To be closed, or read to its end. `undefined`: there is none of this address. Throws `storage_failed`. */
  open(address: Hash): Promise<OpenBlob | undefined>;
  /**
   * Durable when it resolves; `isNew: false` when it was there, and then it is as young as a new one. Throws
   * `hash_mismatch`, `too_large`, `no_room`, `overloaded`, `read_only` or `storage_failed`, and what `parts` throws: then nothing
   * of it is left.
   */
  put(
    address: Hash,
    upload: BlobUpload,
  ): Promise<{ readonly isNew: boolean; readonly bytes: number }>;
}

export interface BlobUpload {
  /** Read once; what is not needed is not read. Each is the store's from then on, and may be emptied. */
  readonly parts: AsyncIterable<Uint8Array>;
  /** As the sender says; `undefined`: it does not. */
  readonly declaredBytes: number | undefined;
}

export interface OpenBlob {
  /** All of it. */
  readonly bytes: number;
  /**
   * Its bytes, or a range of them; closes the blob when that has ended or is cancelled. A whole one is hashed
   * on its way: what does not hash to its address is thrown as `storage_damaged`, or, when some of it has gone
   * out, does not end.
   */
  read(options: ReadBlob): Promise<Uint8Array | ReadableStream<Uint8Array>>;
  close(): Promise<void>;
}

export interface ReadBlob {
  readonly range: ByteRange | undefined;
  /** Once, however it ends. */
  readonly onEnd: () => void;
  /** The stream does not go on, and does not end: its connection must. */
  readonly onBroken: () => void;
}
