/**
 * The kernel at work: a group of chunks becomes one chaining value, or four chunks that have nothing to do with
 * each other become one each. One for a thread: it keeps nothing of what it hashed.
 */
import { CHUNK_BYTES, FLAGS, IS_LITTLE_ENDIAN } from '../../core/blake3.ts';
import { encodeKernel } from './kernel-code.ts';

/** So many chunks are hashed at a time: few enough to stay in a processor's nearest cache. */
export const GROUP_CHUNKS = 16;
export const GROUP_BYTES: number = GROUP_CHUNKS * CHUNK_BYTES;
export const LANES = 4;
export const BLOCK_BYTES = 64;
export const VALUE_WORDS = 8;
const VALUE_BYTES = 4 * VALUE_WORDS;
/** Behind the group, the chaining values that come of it. */
const VALUES_AT = GROUP_BYTES;
/** Behind those what the lanes differ by, and four chunks that wait, for each number of blocks that a chunk may have. */
const WORDS_AT = VALUES_AT + GROUP_CHUNKS * VALUE_BYTES;
const WORDS = 3 * LANES;
const CHUNKS_AT = 2 * GROUP_BYTES;
const CHUNK_BLOCKS = CHUNK_BYTES / BLOCK_BYTES;
/** Of 64 KiB. */
const PAGES = 2;

type Run = (
  ...args: readonly [
    input: number,
    stride: number,
    blocks: number,
    laneWords: number,
    firstFlags: number,
    output: number,
  ]
) => void;

/** Of one lane. */
export interface LaneChunk {
  /** Of the chunk in its input, below 2^32. */
  readonly counter: number;
  readonly bytes: number;
  /** Beside those of every chunk. */
  readonly flags: number;
}

export class Kernel {
  /** A group's room: what is to be hashed is put here. */
  readonly input: Uint8Array;
  /** Of each lane, when `lanes` has run, the eight words that came of it. */
  readonly values: Int32Array;
  readonly #memory: ArrayBuffer;
  /** Of a group. */
  readonly #lanes: Lanes;
  readonly #run: Run;

  /** Throws where this machine has no vectors. */
  constructor() {
    const module = new WebAssembly.Module(encodeKernel(PAGES));
    const { run, memory } = new WebAssembly.Instance(module).exports;
    if (typeof run !== 'function' || !(memory instanceof WebAssembly.Memory))
      throw new Error('expected the kernel to export run and memory');
    this.#run = run as Run;
    this.#memory = memory.buffer;
    this.input = new Uint8Array(memory.buffer, 0, GROUP_BYTES);
    this.values = new Int32Array(memory.buffer, VALUES_AT, GROUP_CHUNKS * VALUE_WORDS);
    this.#lanes = new Lanes(memory.buffer, 0);
  }

  /** The chaining value over the whole group; `counter`: of its first chunk. */
  group(counter: number): Int32Array {
    this.#chunks(GROUP_CHUNKS, counter);
    for (let parents = GROUP_CHUNKS / 2; parents >= 1; parents /= 2)
      for (let at = 0; at < parents; at += LANES) this.#parents(at);
    return this.values.slice(0, VALUE_WORDS);
  }

  /** Those of the first `count` chunks of the group, each. */
  chunks(count: number, counter: number): readonly Int32Array[] {
    this.#chunks(count, counter);
    return Array.from({ length: count }, (_, i) =>
      this.values.slice(i * VALUE_WORDS, (i + 1) * VALUE_WORDS),
    );
  }

  /** Four chunks of `blocks` blocks each, 1 to 16: there is one room for each number. */
  lanes(blocks: number): Lanes {
    return new Lanes(this.#memory, blocks);
  }

  /** The four chunks in the room of `lanes`, padded with zeros. */
  run({ blocks, room, wordsAt }: Lanes): void {
    const stride = BLOCK_BYTES * blocks;
    this.#run(room.byteOffset, stride, blocks, wordsAt, FLAGS.chunkStart, VALUES_AT);
  }

  #chunks(count: number, counter: number): void {
    for (let at = 0; at < count; at += LANES) {
      for (let lane = 0; lane < LANES; lane++)
        this.#lanes.set(lane, { counter: counter + at + lane, bytes: CHUNK_BYTES, flags: 0 });
      this.#run(
        at * CHUNK_BYTES,
        CHUNK_BYTES,
        CHUNK_BLOCKS,
        this.#lanes.wordsAt,
        FLAGS.chunkStart,
        VALUES_AT + at * VALUE_BYTES,
      );
    }
  }

  /** Each pair of values from `2 * at` on becomes one from `at` on: never behind what is still to be read. */
  #parents(at: number): void {
    this.#lanes.clear();
    const input = VALUES_AT + at * 2 * VALUE_BYTES;
    const { wordsAt } = this.#lanes;
    this.#run(input, BLOCK_BYTES, 1, wordsAt, FLAGS.parent, VALUES_AT + at * VALUE_BYTES);
  }
}

/** What four lanes are to hash. */
export class Lanes {
  readonly blocks: number;
  /** Of the chunks, one behind the other. */
  readonly room: Uint8Array;
  readonly wordsAt: number;
  readonly #words: Int32Array;

  constructor(memory: ArrayBuffer, blocks: number) {
    this.blocks = blocks;
    const before = (LANES * BLOCK_BYTES * blocks * (blocks - 1)) / 2;
    this.room = new Uint8Array(memory, CHUNKS_AT + before, LANES * BLOCK_BYTES * blocks);
    this.wordsAt = WORDS_AT + blocks * WORDS * Int32Array.BYTES_PER_ELEMENT;
    this.#words = new Int32Array(memory, this.wordsAt, WORDS);
  }

  set(lane: number, { counter, bytes, flags }: LaneChunk): void {
    this.#words[lane] = counter;
    this.#words[LANES + lane] = bytes === 0 ? BLOCK_BYTES : -bytes & (BLOCK_BYTES - 1);
    this.#words[2 * LANES + lane] = FLAGS.chunkEnd | flags;
  }

  /** Whole blocks, without flags. */
  clear(): void {
    this.#words.fill(0);
  }
}

/** Made when it is first needed, in a few milliseconds; `null`: this machine has no vectors, or another byte order. */
let shared: Kernel | null | undefined;

/** This thread's. */
export function sharedKernel(): Kernel | null {
  if (shared === undefined) shared = openKernel();
  return shared;
}

function openKernel(): Kernel | null {
  if (!IS_LITTLE_ENDIAN) return null;
  try {
    return new Kernel();
  } catch {
    // The library is slow, and right.
    return null;
  }
}
