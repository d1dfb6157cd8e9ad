/** Bytes through a stream of zlib, whose memory is given back piece by piece: see `giveBack`. */
import { pipeline } from 'node:stream/promises';
import type { ZstdCompress, ZstdDecompress } from 'node:zlib';
import { giveBack } from '../give-back.ts';

export interface Zipping {
  /** Each is the stream's, and may be empty when it was read. */
  readonly chunks: AsyncIterable<Uint8Array>;
  readonly zip: (options: { readonly chunkSize: number }) => ZstdCompress | ZstdDecompress;
  /** Gets what comes out; a piece is its own until it resolves. */
  readonly take: (chunk: Uint8Array) => Promise<void>;
  readonly signal?: AbortSignal | undefined;
}

/** So much that it comes from no pool. */
const MEMORY_BYTES = 1024 * 1024;

/** Throws what the chunks, the stream or `take` throws, or what the signal was aborted with. */
export async function throughZip({ chunks, zip, take, signal }: Zipping): Promise<void> {
  const stream = zip({ chunkSize: MEMORY_BYTES });
  const giveAll = async function* (): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      yield chunk;
      // The stream has read all that it was given.
      if (stream.writableLength === 0) giveBack(chunk);
    }
  };
  const takeAll = async (pieces: AsyncIterable<Uint8Array>): Promise<void> => {
    for await (const piece of pieces) {
      await take(piece);
      // It fills its memory from the beginning to the end, and is done with it then.
      if (piece.byteOffset + piece.length === MEMORY_BYTES) giveBack(new Uint8Array(piece.buffer));
    }
  };
  await pipeline(giveAll, stream, takeAll, { signal });
}
