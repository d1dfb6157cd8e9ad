/**
 * BLAKE3-256 of at most one chunk (1,024 bytes), which is what nearly every hash of a registry is: set
 * nodes, leaves, descriptors, most payloads. The library's general form costs four times as much for
 * these; longer input is its own. Both are held to the published vectors, and to each other.
 */

export const CHUNK_BYTES = 1024;
const BLOCK_BYTES = 64;
const [CHUNK_START, CHUNK_END, ROOT] = [1, 2, 8];

/** Words are read and written in the machine's own order, which must be BLAKE3's. */
export const IS_LITTLE_ENDIAN: boolean = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

/** The first words of the square roots of the first primes, as in SHA-256. */
const IV = Int32Array.of(
  0x6a09e667,
  0xbb67ae85,
  0x3c6ef372,
  0xa54ff53a,
  0x510e527f,
  0x9b05688c,
  0x1f83d9ab,
  0x5be0cd19,
);
const PERMUTATION = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];
/** Which word of the block goes where, for each of the seven rounds. */
const SCHEDULE = Uint8Array.from(schedule());

function* schedule(): Generator<number> {
  let order = PERMUTATION.map((_, i) => i);
  for (let round = 0; round < 7; round++) {
    yield* order;
    order = PERMUTATION.map((from) => order[from] as number);
  }
}

/** Scratch: nothing runs between a hash's beginning and its end, and it says nothing after it. */
const block = new Int32Array(BLOCK_BYTES / 4);
const bytes = new Uint8Array(block.buffer);

/** `input`: at most 1,024 bytes. Answers 32. Only where `IS_LITTLE_ENDIAN`. */
export function hashChunk(input: Uint8Array): Uint8Array {
  const chaining = Int32Array.from(IV);
  const last = Math.max(0, Math.ceil(input.length / BLOCK_BYTES) - 1);
  for (let i = 0; i <= last; i++) {
    const begin = i * BLOCK_BYTES;
    const length = Math.min(BLOCK_BYTES, input.length - begin);
    for (let at = 0; at < length; at++) bytes[at] = input[begin + at] as number;
    bytes.fill(0, length);
    const flags = (i === 0 ? CHUNK_START : 0) | (i === last ? CHUNK_END | ROOT : 0);
    compress(chaining, block, { length, flags });
  }
  return new Uint8Array(chaining.buffer);
}

/** Written out: sixteen words in variables are three times as fast as sixteen in an array. */
function compress(
  chaining: Int32Array,
  m: Int32Array,
  { length, flags }: { readonly length: number; readonly flags: number },
): void {
  let v0 = chaining[0] as number;
  let v1 = chaining[1] as number;
  let v2 = chaining[2] as number;
  let v3 = chaining[3] as number;
  let v4 = chaining[4] as number;
  let v5 = chaining[5] as number;
  let v6 = chaining[6] as number;
  let v7 = chaining[7] as number;
  let v8 = IV[0] as number;
  let v9 = IV[1] as number;
  let v10 = IV[2] as number;
  let v11 = IV[3] as number;
  // One chunk: its counter is 0.
  let v12 = 0;
  let v13 = 0;
  let v14 = length;
  let v15 = flags;
  let x = 0;
  let y = 0;
  for (let s = 0; s < SCHEDULE.length; s += 16) {
    x = m[SCHEDULE[s + 0] as number] as number;
    y = m[SCHEDULE[s + 1] as number] as number;
    v0 = (v0 + v4 + x) | 0;
    v12 ^= v0;
    v12 = (v12 >>> 16) | (v12 << 16);
    v8 = (v8 + v12) | 0;
    v4 ^= v8;
    v4 = (v4 >>> 12) | (v4 << 20);
    v0 = (v0 + v4 + y) | 0;
    v12 ^= v0;
    v12 = (v12 >>> 8) | (v12 << 24);
    v8 = (v8 + v12) | 0;
    v4 ^= v8;
    v4 = (v4 >>> 7) | (v4 << 25);

    x = m[SCHEDULE[s + 2] as number] as number;
    y = m[SCHEDULE[s + 3] as number] as number;
    v1 = (v1 + v5 + x) | 0;
    v13 ^= v1;
    v13 = (v13 >>> 16) | (v13 << 16);
    v9 = (v9 + v13) | 0;
    v5 ^= v9;
    v5 = (v5 >>> 12) | (v5 << 20);
    v1 = (v1 + v5 + y) | 0;
    v13 ^= v1;
    v13 = (v13 >>> 8) | (v13 << 24);
    v9 = (v9 + v13) | 0;
    v5 ^= v9;
    v5 = (v5 >>> 7) | (v5 << 25);

    x = m[SCHEDULE[s + 4] as number] as number;
    y = m[SCHEDULE[s + 5] as number] as number;
    v2 = (v2 + v6 + x) | 0;
    v14 ^= v2;
    v14 = (v14 >>> 16) | (v14 << 16);
    v10 = (v10 + v14) | 0;
    v6 ^= v10;
    v6 = (v6 >>> 12) | (v6 << 20);
    v2 = (v2 + v6 + y) | 0;
    v14 ^= v2;
    v14 = (v14 >>> 8) | (v14 << 24);
    v10 = (v10 + v14) | 0;
    v6 ^= v10;
    v6 = (v6 >>> 7) | (v6 << 25);

    x = m[SCHEDULE[s + 6] as number] as number;
    y = m[SCHEDULE[s + 7] as number] as number;
    v3 = (v3 + v7 + x) | 0;
    v15 ^= v3;
    v15 = (v15 >>> 16) | (v15 << 16);
    v11 = (v11 + v15) | 0;
    v7 ^= v11;
    v7 = (v7 >>> 12) | (v7 << 20);
    v3 = (v3 + v7 + y) | 0;
    v15 ^= v3;
    v15 = (v15 >>> 8) | (v15 << 24);
    v11 = (v11 + v15) | 0;
    v7 ^= v11;
    v7 = (v7 >>> 7) | (v7 << 25);

    x = m[SCHEDULE[s + 8] as number] as number;
    y = m[SCHEDULE[s + 9] as number] as number;
    v0 = (v0 + v5 + x) | 0;
    v15 ^= v0;
    v15 = (v15 >>> 16) | (v15 << 16);
    v10 = (v10 + v15) | 0;
    v5 ^= v10;
    v5 = (v5 >>> 12) | (v5 << 20);
    v0 = (v0 + v5 + y) | 0;
    v15 ^= v0;
    v15 = (v15 >>> 8) | (v15 << 24);
    v10 = (v10 + v15) | 0;
    v5 ^= v10;
    v5 = (v5 >>> 7) | (v5 << 25);

    x = m[SCHEDULE[s + 10] as number] as number;
    y = m[SCHEDULE[s + 11] as number] as number;
    v1 = (v1 + v6 + x) | 0;
    v12 ^= v1;
    v12 = (v12 >>> 16) | (v12 << 16);
    v11 = (v11 + v12) | 0;
    v6 ^= v11;
    v6 = (v6 >>> 12) | (v6 << 20);
    v1 = (v1 + v6 + y) | 0;
    v12 ^= v1;
    v12 = (v12 >>> 8) | (v12 << 24);
    v11 = (v11 + v12) | 0;
    v6 ^= v11;
    v6 = (v6 >>> 7) | (v6 << 25);

    x = m[SCHEDULE[s + 12] as number] as number;
    y = m[SCHEDULE[s + 13] as number] as number;
    v2 = (v2 + v7 + x) | 0;
    v13 ^= v2;
    v13 = (v13 >>> 16) | (v13 << 16);
    v8 = (v8 + v13) | 0;
    v7 ^= v8;
    v7 = (v7 >>> 12) | (v7 << 20);
    v2 = (v2 + v7 + y) | 0;
    v13 ^= v2;
    v13 = (v13 >>> 8) | (v13 << 24);
    v8 = (v8 + v13) | 0;
    v7 ^= v8;
    v7 = (v7 >>> 7) | (v7 << 25);

    x = m[SCHEDULE[s + 14] as number] as number;
    y = m[SCHEDULE[s + 15] as number] as number;
    v3 = (v3 + v4 + x) | 0;
    v14 ^= v3;
    v14 = (v14 >>> 16) | (v14 << 16);
    v9 = (v9 + v14) | 0;
    v4 ^= v9;
    v4 = (v4 >>> 12) | (v4 << 20);
    v3 = (v3 + v4 + y) | 0;
    v14 ^= v3;
    v14 = (v14 >>> 8) | (v14 << 24);
    v9 = (v9 + v14) | 0;
    v4 ^= v9;
    v4 = (v4 >>> 7) | (v4 << 25);
  }
  chaining[0] = v0 ^ v8;
  chaining[1] = v1 ^ v9;
  chaining[2] = v2 ^ v10;
  chaining[3] = v3 ^ v11;
  chaining[4] = v4 ^ v12;
  chaining[5] = v5 ^ v13;
  chaining[6] = v6 ^ v14;
  chaining[7] = v7 ^ v15;
}
