/** The kernel at work: a group of chunks becomes one chaining value. One for a thread: it keeps nothing of what it hashed. */
import { CHUNK_BYTES, FLAGS } from '../../core/blake3.ts';
import { encodeKernel } from './kernel-code.ts';

/** So many chunks are hashed at a time: few enough to stay in a processor's nearest cache. */
export const GROUP_CHUNKS = 16;
export const GROUP_BYTES: number = GROUP_CHUNKS * CHUNK_BYTES;

const LANES = 4;
const BLOCK_BYTES = 64;
const VALUE_BYTES = 32;
const VALUE_WORDS = VALUE_BYTES / 4;
/** Behind the group, the chaining values that come of it. */
const VALUES_AT = GROUP_BYTES;

type Run = (
  ...args: readonly [
    input: number,
    stride: number,
    blocks: number,
    counter: number,
    step: number,
    firstFlags: number,
    lastFlags: number,
    output: number,
  ]
) => void;

export class Kernel {
  /** A group's room: what is to be hashed is put here. */
  readonly input: Uint8Array;
  readonly #values: Int32Array;
  readonly #run: Run;

  /** Throws where this machine has no vectors. */
  constructor() {
    const module = new WebAssembly.Module(encodeKernel(1));
    const { run, memory } = new WebAssembly.Instance(module).exports;
    if (typeof run !== 'function' || !(memory instanceof WebAssembly.Memory))
      throw new Error('expected the kernel to export run and memory');
    this.#run = run as Run;
    this.input = new Uint8Array(memory.buffer, 0, GROUP_BYTES);
    this.#values = new Int32Array(memory.buffer, VALUES_AT, GROUP_CHUNKS * VALUE_WORDS);
  }

  /** The chaining value over the whole group; `counter`: of its first chunk. */
  group(counter: number): Int32Array {
    this.#chunks(GROUP_CHUNKS, counter);
    for (let parents = GROUP_CHUNKS / 2; parents >= 1; parents /= 2)
      for (let at = 0; at < parents; at += LANES) this.#parents(at);
    return this.#values.slice(0, VALUE_WORDS);
  }

  /** Those of the first `count` chunks of the group, each. */
  chunks(count: number, counter: number): readonly Int32Array[] {
    this.#chunks(count, counter);
    return Array.from({ length: count }, (_, i) =>
      this.#values.slice(i * VALUE_WORDS, (i + 1) * VALUE_WORDS),
    );
  }

  #chunks(count: number, counter: number): void {
    const blocks = CHUNK_BYTES / BLOCK_BYTES;
    for (let at = 0; at < count; at += LANES)
      this.#run(
        at * CHUNK_BYTES,
        CHUNK_BYTES,
        blocks,
        counter + at,
        1,
        FLAGS.chunkStart,
        FLAGS.chunkEnd,
        VALUES_AT + at * VALUE_BYTES,
      );
  }

  /** Each pair of values from `2 * at` on becomes one from `at` on: never behind what is still to be read. */
  #parents(at: number): void {
    const input = VALUES_AT + at * 2 * VALUE_BYTES;
    this.#run(input, BLOCK_BYTES, 1, 0, 0, FLAGS.parent, 0, VALUES_AT + at * VALUE_BYTES);
  }
}
