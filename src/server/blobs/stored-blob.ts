/** A blob that is open to be read. Its bytes are hashed on their way out: what a disk has changed does not go out whole. */
import type { FileHandle } from 'node:fs/promises';
import { RegistryError } from '../../core/error.ts';
import { formatHash, type Hash } from '../../core/hash.ts';
import type { OpenBlob, ReadBlob } from '../../http/blob-store.ts';
import type { ByteRange } from '../../http/range.ts';
import { createHasher } from '../fast-hash/hasher.ts';

/** What is no longer is answered in one piece, which is known to be right before any of it goes out. */
const PIECE_BYTES = 256 * 1024;

export interface StoredBlobParts {
  readonly address: Hash;
  readonly bytes: number;
  /** Owned from now on. */
  readonly file: FileHandle;
  /** Told when it cannot be read: `storage_damaged` when its bytes are not those of its address. */
  readonly onFailure: (cause: unknown) => void;
}

export class StoredBlob implements OpenBlob {
  readonly bytes: number;
  readonly #parts: StoredBlobParts;
  #closed: Promise<void> | undefined;

  constructor(parts: StoredBlobParts) {
    this.bytes = parts.bytes;
    this.#parts = parts;
  }

  async read(options: ReadBlob): Promise<Uint8Array | ReadableStream<Uint8Array>> {
    const { range = { first: 0, last: this.bytes - 1 }, onEnd } = options;
    const pieces = this.#pieces({ ...range, isWhole: options.range === undefined });
    if (range.last - range.first >= PIECE_BYTES) return this.#stream(pieces, options);
    await using _ = { [Symbol.asyncDispose]: () => this.close() };
    try {
      return (await pieces.next()).value ?? new Uint8Array();
    } catch (cause) {
      this.#parts.onFailure(cause);
      throw cause;
    } finally {
      onEnd();
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#parts.file.close();
    return this.#closed;
  }

  /** One piece is read ahead of the reader. */
  #stream(
    pieces: AsyncGenerator<Uint8Array, undefined>,
    { onEnd, onBroken }: ReadBlob,
  ): ReadableStream<Uint8Array> {
    let isOpen = true;
    const end = async () => {
      if (isOpen) onEnd();
      isOpen = false;
      await this.close();
    };
    const pull = async (controller: ReadableStreamDefaultController<Uint8Array>) => {
      const { done, value } = await pieces.next();
      if (value !== undefined) controller.enqueue(value);
      if (!done) return;
      controller.close();
      await end();
    };
    const broken = async (cause: unknown) => {
      // Nobody reads any more, so nothing is wrong with the blob.
      if (isOpen) this.#parts.onFailure(cause);
      onBroken();
      await end();
    };
    return new ReadableStream(
      { pull: (controller) => pull(controller).catch(broken), cancel: end },
      { highWaterMark: 1 },
    );
  }

  /** At least one; the last of a whole blob only when all of them hash to its address. */
  async *#pieces({
    first,
    last,
    isWhole,
  }: ByteRange & { readonly isWhole: boolean }): AsyncGenerator<Uint8Array, undefined> {
    const { file, address } = this.#parts;
    const hasher = createHasher();
    for (let at = first; ; ) {
      const piece = Buffer.allocUnsafeSlow(Math.min(PIECE_BYTES, last + 1 - at));
      const { bytesRead } = await file.read(piece, 0, piece.length, at);
      const bytes = piece.subarray(0, bytesRead);
      at += bytesRead;
      if (isWhole) hasher.update(bytes);
      const isLast = at > last;
      if (
        bytesRead < piece.length ||
        (isLast && isWhole && formatHash(hasher.digest()) !== address)
      )
        throw new RegistryError('storage_damaged', `expected the bytes of ${address}, got others`);
      yield bytes;
      if (isLast) return;
    }
  }
}
