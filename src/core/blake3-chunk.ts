/**
 * BLAKE3-256 of at most one chunk (1,024 bytes), which is what nearly every hash of a registry is: set
 * nodes, leaves, descriptors, most payloads. The library's general form costs several times as much for
 * these; longer input is its own. Both are held to the published vectors, and to each other.
 */

export const CHUNK_BYTES = 1024;
const BLOCK_BYTES = 64;
const [CHUNK_START, CHUNK_END, ROOT] = [1, 2, 8];

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
    order = PERMUTATION.map((from) => order[from] ?? 0);
  }
}

/** `input`: at most 1,024 bytes. Answers 32. */
export function hashChunk(input: Uint8Array): Uint8Array {
  const chaining = Int32Array.from(IV);
  const block = new Int32Array(16);
  const state = new Int32Array(16);
  const last = Math.max(0, Math.ceil(input.length / BLOCK_BYTES) - 1);
  for (let i = 0; i <= last; i++) {
    const begin = i * BLOCK_BYTES;
    const length = Math.min(BLOCK_BYTES, input.length - begin);
    readWords(block, input, begin, length);
    const flags = (i === 0 ? CHUNK_START : 0) | (i === last ? CHUNK_END | ROOT : 0);
    compress(state, chaining, block, length, flags);
    for (let word = 0; word < 8; word++) chaining[word] = state[word]! ^ state[word + 8]!;
  }
  const digest = new Uint8Array(32);
  for (let i = 0; i < 32; i++) digest[i] = chaining[i >> 2]! >>> ((i & 3) * 8);
  return digest;
}

/** Little-endian; zero where the input has ended. */
function readWords(block: Int32Array, input: Uint8Array, begin: number, length: number): void {
  const whole = length >> 2;
  for (let word = 0; word < whole; word++) {
    const at = begin + word * 4;
    block[word] =
      input[at]! | (input[at + 1]! << 8) | (input[at + 2]! << 16) | (input[at + 3]! << 24);
  }
  block.fill(0, whole);
  for (let i = whole * 4; i < length; i++)
    block[i >> 2] = block[i >> 2]! | (input[begin + i]! << ((i & 3) * 8));
}

function compress(
  v: Int32Array,
  chaining: Int32Array,
  block: Int32Array,
  length: number,
  flags: number,
): void {
  v.set(chaining);
  for (let i = 0; i < 4; i++) v[8 + i] = IV[i]!;
  // One chunk: its counter is 0.
  v[12] = 0;
  v[13] = 0;
  v[14] = length;
  v[15] = flags;
  for (let s = 0; s < SCHEDULE.length; s += 16) {
    mix(v, 0, 4, 8, 12, block[SCHEDULE[s]!]!, block[SCHEDULE[s + 1]!]!);
    mix(v, 1, 5, 9, 13, block[SCHEDULE[s + 2]!]!, block[SCHEDULE[s + 3]!]!);
    mix(v, 2, 6, 10, 14, block[SCHEDULE[s + 4]!]!, block[SCHEDULE[s + 5]!]!);
    mix(v, 3, 7, 11, 15, block[SCHEDULE[s + 6]!]!, block[SCHEDULE[s + 7]!]!);
    mix(v, 0, 5, 10, 15, block[SCHEDULE[s + 8]!]!, block[SCHEDULE[s + 9]!]!);
    mix(v, 1, 6, 11, 12, block[SCHEDULE[s + 10]!]!, block[SCHEDULE[s + 11]!]!);
    mix(v, 2, 7, 8, 13, block[SCHEDULE[s + 12]!]!, block[SCHEDULE[s + 13]!]!);
    mix(v, 3, 4, 9, 14, block[SCHEDULE[s + 14]!]!, block[SCHEDULE[s + 15]!]!);
  }
}

function mix(
  v: Int32Array,
  a: number,
  b: number,
  c: number,
  d: number,
  x: number,
  y: number,
): void {
  let [va, vb, vc, vd] = [0, 0, 0, 0];
  va = (v[a]! + v[b]! + x) | 0;
  vd = v[d]! ^ va;
  vd = (vd >>> 16) | (vd << 16);
  vc = (v[c]! + vd) | 0;
  vb = v[b]! ^ vc;
  vb = (vb >>> 12) | (vb << 20);
  va = (va + vb + y) | 0;
  vd ^= va;
  vd = (vd >>> 8) | (vd << 24);
  vc = (vc + vd) | 0;
  vb ^= vc;
  vb = (vb >>> 7) | (vb << 25);
  v[a] = va;
  v[b] = vb;
  v[c] = vc;
  v[d] = vd;
}
