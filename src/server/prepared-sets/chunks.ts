/**
 * A file in chunks of one size, each with its SHA-256: hashed before it is written, and again when it is
 * read, so that no byte the disk has changed is sent. The hashes are kept in memory, never in a file.
 */
import { hash } from 'node:crypto';
import { writeSync } from 'node:fs';

/** Large enough that a read costs little beside its bytes, small enough to be hashed between two requests. */
export const CHUNK_BYTES: number = 256 * 1024;
const HASH_BYTES = 32;

export interface WrittenFile {
  readonly bytes: number;
  /** Of the chunks, one after the other. */
  readonly hashes: Uint8Array;
}

/** Writes to a file that is open, from its beginning on. For a thread that may wait for the disk. */
export class ChunkWriter {
  readonly #fd: number;
  readonly #chunk = Buffer.alloc(CHUNK_BYTES);
  readonly #hashes: Uint8Array[] = [];
  #filled = 0;
  #bytes = 0;

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** Given so far. */
  get bytes(): number {
    return this.#bytes;
  }

  write(part: Uint8Array): void {
    for (let at = 0; at < part.length; ) {
      const taken = part.subarray(at, at + CHUNK_BYTES - this.#filled);
      this.#chunk.set(taken, this.#filled);
      this.#filled += taken.length;
      at += taken.length;
      if (this.#filled === CHUNK_BYTES) this.#flush();
    }
    this.#bytes += part.length;
  }

  end(): WrittenFile {
    if (this.#filled > 0) this.#flush();
    return { bytes: this.#bytes, hashes: Buffer.concat(this.#hashes) };
  }

  #flush(): void {
    const chunk = this.#chunk.subarray(0, this.#filled);
    this.#hashes.push(hash('sha256', chunk, 'buffer'));
    for (let at = 0; at < chunk.length; ) at += writeSync(this.#fd, chunk, at);
    this.#filled = 0;
  }
}

/** Where a chunk stands; `undefined` past the last. */
export function placeOfChunk(
  { bytes }: Pick<WrittenFile, 'bytes'>,
  index: number,
): { readonly at: number; readonly length: number } | undefined {
  const at = index * CHUNK_BYTES;
  return at >= bytes ? undefined : { at, length: Math.min(CHUNK_BYTES, bytes - at) };
}

export function isChunk(chunk: Uint8Array, index: number, { hashes }: WrittenFile): boolean {
  const expected = hashes.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES);
  return hash('sha256', chunk, 'buffer').equals(expected);
}
