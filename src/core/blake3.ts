/**
 * BLAKE3-256, plain hashing alone: no key, no extended output, no stream. What a registry hashes is either
 * short (nodes, leaves, descriptors) or a payload of up to a megabyte, and the library's general form is
 * five times slower for both. Held to the library, to the published vectors and to b3sum.
 */
import { compress, IV } from './blake3-compress.ts';

export const CHUNK_BYTES = 1024;
const BLOCK_BYTES = 64;
export const FLAGS = { chunkStart: 1, chunkEnd: 2, parent: 4, root: 8 } as const;

/** Words are read and written in the machine's own order, which must be BLAKE3's. */
export const IS_LITTLE_ENDIAN: boolean = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

/** Scratch: nothing runs between a hash's beginning and its end, and it says nothing after it. */
const words = new Int32Array(CHUNK_BYTES / 4);
const bytes = new Uint8Array(words.buffer);
const only = new Int32Array(8);

/** Answers 32 bytes. Only where `IS_LITTLE_ENDIAN`. */
export function hashBlake3(input: Uint8Array): Uint8Array {
  const last = Math.max(0, Math.ceil(input.length / CHUNK_BYTES) - 1);
  if (last === 0) return toBytes(chunkInto(only, input, { counter: 0, flags: FLAGS.root }));
  /** Of whole subtrees that wait for what is on their right, the largest first. */
  const waiting: Int32Array[] = [];
  for (let counter = 0; counter < last; counter++) {
    const begin = counter * CHUNK_BYTES;
    let right = hashChunk(input.subarray(begin, begin + CHUNK_BYTES), { counter, flags: 0 });
    // As many subtrees are whole now as chunks so far can be halved.
    for (let chunks = counter + 1; chunks % 2 === 0; chunks /= 2)
      right = hashParent(waiting.pop() as Int32Array, right, 0);
    waiting.push(right);
  }
  let right = chunkInto(only, input.subarray(last * CHUNK_BYTES), { counter: last, flags: 0 });
  while (waiting.length > 0) {
    const left = waiting.pop() as Int32Array;
    right = hashParent(left, right, waiting.length === 0 ? FLAGS.root : 0);
  }
  return toBytes(right);
}

interface Chunk {
  readonly counter: number;
  /** Beside those of every chunk. */
  readonly flags: number;
}

/** Answers the chaining value. */
export function hashChunk(input: Uint8Array, chunk: Chunk): Int32Array {
  return chunkInto(new Int32Array(8), input, chunk);
}

function chunkInto(chaining: Int32Array, input: Uint8Array, { counter, flags }: Chunk): Int32Array {
  chaining.set(IV);
  const last = Math.max(0, Math.ceil(input.length / BLOCK_BYTES) - 1);
  bytes.set(input);
  bytes.fill(0, input.length, (last + 1) * BLOCK_BYTES);
  for (let i = 0; i <= last; i++) {
    const length = i === last ? input.length - i * BLOCK_BYTES : BLOCK_BYTES;
    const own = (i === 0 ? FLAGS.chunkStart : 0) | (i === last ? FLAGS.chunkEnd | flags : 0);
    compress(chaining, words, { at: i * 16, length, counter, flags: own });
  }
  return chaining;
}

/** Of two chaining values. */
export function hashParent(left: Int32Array, right: Int32Array, flags: number): Int32Array {
  const chaining = IV.slice();
  words.set(left);
  words.set(right, left.length);
  compress(chaining, words, {
    at: 0,
    length: BLOCK_BYTES,
    counter: 0,
    flags: FLAGS.parent | flags,
  });
  return chaining;
}

/** Copied word by word: to ask for the buffer of so few words would cost as much as a block. */
function toBytes(chaining: Int32Array): Uint8Array {
  const hash = new Uint8Array(32);
  for (let i = 0; i < 32; i += 4) {
    const word = chaining[i >> 2] as number;
    hash[i] = word;
    hash[i + 1] = word >>> 8;
    hash[i + 2] = word >>> 16;
    hash[i + 3] = word >>> 24;
  }
  return hash;
}
