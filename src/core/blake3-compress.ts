/** The compression function of BLAKE3. */

/** The first words of the square roots of the first primes, as in SHA-256. */
export const IV = Int32Array.of(
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
export const SCHEDULE: Uint8Array = Uint8Array.from(schedule());

function* schedule(): Generator<number> {
  let order = PERMUTATION.map((_, i) => i);
  for (let round = 0; round < 7; round++) {
    yield* order;
    order = PERMUTATION.map((from) => order[from] as number);
  }
}

export interface Block {
  /** Of its first word in the words given beside it. */
  readonly at: number;
  /** Bytes in it, without padding. */
  readonly length: number;
  /** Of the chunk it is in, below 2^32; 0 for a parent. */
  readonly counter: number;
  readonly flags: number;
}

/**
 * Compresses one block of 16 words into the eight of `chaining`. Written out: sixteen words in variables
 * are three times as fast as sixteen in an array.
 */
export function compress(
  chaining: Int32Array,
  words: Int32Array,
  { at, length, counter, flags }: Block,
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
  let v12 = counter | 0;
  let v13 = 0;
  let v14 = length;
  let v15 = flags;
  let x = 0;
  let y = 0;
  for (let s = 0; s < SCHEDULE.length; s += 16) {
    x = words[at + (SCHEDULE[s + 0] as number)] as number;
    y = words[at + (SCHEDULE[s + 1] as number)] as number;
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

    x = words[at + (SCHEDULE[s + 2] as number)] as number;
    y = words[at + (SCHEDULE[s + 3] as number)] as number;
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

    x = words[at + (SCHEDULE[s + 4] as number)] as number;
    y = words[at + (SCHEDULE[s + 5] as number)] as number;
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

    x = words[at + (SCHEDULE[s + 6] as number)] as number;
    y = words[at + (SCHEDULE[s + 7] as number)] as number;
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

    x = words[at + (SCHEDULE[s + 8] as number)] as number;
    y = words[at + (SCHEDULE[s + 9] as number)] as number;
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

    x = words[at + (SCHEDULE[s + 10] as number)] as number;
    y = words[at + (SCHEDULE[s + 11] as number)] as number;
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

    x = words[at + (SCHEDULE[s + 12] as number)] as number;
    y = words[at + (SCHEDULE[s + 13] as number)] as number;
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

    x = words[at + (SCHEDULE[s + 14] as number)] as number;
    y = words[at + (SCHEDULE[s + 15] as number)] as number;
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
