/**
 * BLAKE3-256 of many short pieces that have nothing to do with each other: whichever four of their chunks have
 * as many blocks go through the kernel side by side, whatever they belong to.
 */
import { CHUNK_BYTES, FLAGS, hashParent } from '../../core/blake3.ts';
import { blake3Bytes } from '../../core/hash.ts';
import { hashBytes } from './hash-bytes.ts';
import {
  BLOCK_BYTES,
  type Kernel,
  LANES,
  type LaneChunk,
  type Lanes,
  sharedKernel,
  VALUE_WORDS,
} from './kernel.ts';

export const HASH_BYTES = 32;
/** Longer ones fill all lanes by themselves. */
const MAX_PIECE_BYTES = 16 * CHUNK_BYTES;
/** Up to here byte by byte is quicker than a view and a call. */
const FEW_BYTES = 80;

/** `lengths`: of the pieces, which follow one another in `bytes` from its beginning. Answers 32 bytes of each, in their order. */
export function hashEach(bytes: Uint8Array, lengths: readonly number[]): Uint8Array {
  const kernel = sharedKernel();
  if (kernel === null) return eachAlone(bytes, lengths);
  const each = new EachHasher(kernel, bytes, lengths);
  return each.digests();
}

/** As a machine without vectors does it. */
export function eachAlone(bytes: Uint8Array, lengths: readonly number[]): Uint8Array {
  const digests = new Uint8Array(lengths.length * HASH_BYTES);
  let at = 0;
  for (const [i, length] of lengths.entries()) {
    digests.set(blake3Bytes(bytes.subarray(at, at + length)), i * HASH_BYTES);
    at += length;
  }
  return digests;
}

class EachHasher {
  readonly #bytes: Uint8Array;
  readonly #lengths: readonly number[];
  /** By the number of blocks, chunks that wait until they are four. */
  readonly #queues: Queue[] = [];
  readonly #kernel: Kernel;
  /** Chaining values: first that of each piece, then those of the chunks of pieces that have several. */
  readonly #values: Int32Array;

  constructor(kernel: Kernel, bytes: Uint8Array, lengths: readonly number[]) {
    this.#bytes = bytes;
    this.#lengths = lengths;
    const chunks = lengths.reduce((total, length) => total + chunksBeside(length), 0);
    this.#values = new Int32Array((lengths.length + chunks) * VALUE_WORDS);
    this.#kernel = kernel;
  }

  digests(): Uint8Array {
    let [at, chunk] = [0, this.#lengths.length];
    for (let i = 0; i < this.#lengths.length; i++) {
      const length = this.#lengths[i] as number;
      if (length <= CHUNK_BYTES) this.#add(i, { at, bytes: length, counter: 0, flags: FLAGS.root });
      else if (length > MAX_PIECE_BYTES) this.#addLong(i, this.#bytes.subarray(at, at + length));
      else this.#addChunks(chunk, { at, length });
      chunk += chunksBeside(length);
      at += length;
    }
    // Lanes that nobody waits for hash what was left there.
    for (const queue of this.#queues) if (queue !== undefined) this.#run(queue);
    this.#joinChunks();
    return new Uint8Array(this.#values.buffer, 0, this.#lengths.length * HASH_BYTES);
  }

  #addLong(piece: number, bytes: Uint8Array): void {
    const digest = hashBytes(bytes);
    new Uint8Array(this.#values.buffer).set(digest, piece * HASH_BYTES);
  }

  #addChunks(first: number, { at, length }: { readonly at: number; readonly length: number }) {
    for (let counter = 0; counter * CHUNK_BYTES < length; counter++) {
      const begin = counter * CHUNK_BYTES;
      const bytes = Math.min(CHUNK_BYTES, length - begin);
      this.#add(first + counter, { at: at + begin, bytes, counter, flags: 0 });
    }
  }

  #add(to: number, chunk: PlacedChunk): void {
    const { bytes } = chunk;
    const blocks = bytes === 0 ? 1 : Math.ceil(bytes / BLOCK_BYTES);
    const queue = this.#queues[blocks] ?? this.#open(blocks);
    const lane = queue.count++;
    fill(queue.lanes, lane, this.#bytes, chunk);
    queue.lanes.set(lane, chunk);
    queue.to[lane] = to;
    if (queue.count === LANES) this.#run(queue);
  }

  #open(blocks: number): Queue {
    const queue = { lanes: this.#kernel.lanes(blocks), count: 0, to: new Int32Array(LANES) };
    this.#queues[blocks] = queue;
    return queue;
  }

  #run(queue: Queue): void {
    const { values } = this.#kernel;
    this.#kernel.run(queue.lanes);
    for (let lane = 0; lane < queue.count; lane++) {
      const at = (queue.to[lane] as number) * VALUE_WORDS;
      for (let word = 0; word < VALUE_WORDS; word++)
        this.#values[at + word] = values[lane * VALUE_WORDS + word] as number;
    }
    queue.count = 0;
  }

  #joinChunks(): void {
    let chunk = this.#lengths.length;
    for (let i = 0; i < this.#lengths.length; i++) {
      const count = chunksBeside(this.#lengths[i] as number);
      if (count > 0) this.#values.set(this.#join(chunk, count, FLAGS.root), i * VALUE_WORDS);
      chunk += count;
    }
  }

  /** On the left as many chunks as are a power of two, and fewer than all. */
  #join(first: number, count: number, flags: number): Int32Array {
    if (count === 1) return this.#values.subarray(first * VALUE_WORDS, (first + 1) * VALUE_WORDS);
    const left = 2 ** (31 - Math.clz32(count - 1));
    return hashParent(this.#join(first, left, 0), this.#join(first + left, count - left, 0), flags);
  }
}

/** Of a piece of several that go through the lanes. */
function chunksBeside(length: number): number {
  return length <= CHUNK_BYTES || length > MAX_PIECE_BYTES ? 0 : Math.ceil(length / CHUNK_BYTES);
}

interface PlacedChunk extends LaneChunk {
  /** Where it begins. */
  readonly at: number;
}

interface Queue {
  readonly lanes: Lanes;
  count: number;
  /** Which chaining value each becomes. */
  readonly to: Int32Array;
}

/** The rest of its last block is zeros. */
function fill({ room, blocks }: Lanes, lane: number, from: Uint8Array, chunk: PlacedChunk): void {
  const { at: begin, bytes } = chunk;
  const at = lane * blocks * BLOCK_BYTES;
  const end = at + blocks * BLOCK_BYTES;
  if (bytes <= FEW_BYTES) for (let i = 0; i < bytes; i++) room[at + i] = from[begin + i] as number;
  else room.set(from.subarray(begin, begin + bytes), at);
  for (let i = at + bytes; i < end; i++) room[i] = 0;
}
