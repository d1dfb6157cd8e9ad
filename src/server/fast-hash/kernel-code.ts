/**
 * BLAKE3's compression of four inputs at once, one in each lane of a vector, as WebAssembly. This is
 * `src/core/blake3-compress.ts` four times side by side: sixteen vectors of state, sixteen of message.
 */
import { IV, SCHEDULE } from '../../core/blake3-compress.ts';
import {
  ADD,
  type Code,
  encodeModule,
  get,
  I32,
  I32_ADD,
  I32_EQ,
  I32_MUL,
  I32_SUB,
  i32,
  load,
  MUL,
  OR,
  repeat,
  SHIFT_LEFT,
  SHIFT_RIGHT,
  SPLAT,
  SUB,
  SWIZZLE,
  set,
  shuffle,
  store,
  tee,
  V128,
  words,
  XOR,
} from './wasm.ts';

const LANES = 4;
const BLOCK_BYTES = 64;
const WORD_BYTES = 4;

/** The parameters of `run`, in order: addresses in memory, counts, and what BLAKE3 tells the blocks apart by. */
const [INPUT, STRIDE, BLOCKS, LANE_WORDS, FIRST_FLAGS, OUTPUT] = [0, 1, 2, 3, 4, 5];
const PARAMS = 6;
/** In `LANE_WORDS`, of each lane a word: its counter, what its last block lacks to be full, and the flags of that block. */
const [COUNTERS, LACKING, LAST_FLAGS] = [0, LANES * WORD_BYTES, 2 * LANES * WORD_BYTES];
/** Address of the block of lane 0, and blocks that are left. */
const [AT, LEFT] = [PARAMS, PARAMS + 1];
const VECTORS = PARAMS + 2;
/** Chaining values, state, message, a place for what is rotated, and by which bytes of it. */
const h = (i: number): number => VECTORS + i;
const v = (i: number): number => VECTORS + 8 + i;
const m = (i: number): number => VECTORS + 24 + i;
const ROTATED = VECTORS + 40;
const [BY_8, BY_16] = [VECTORS + 41, VECTORS + 42];
const VECTOR_COUNT = 43;

/**
 * `run(input, stride, blocks, laneWords, firstFlags, output)`: lane i hashes `blocks` blocks from
 * `input + i * stride` on, the last of them followed by zeros where it lacks bytes; the 32 bytes that come of it
 * are at `output + i * 32`, which may be where the input was.
 */
export function encodeKernel(pages: number): Uint8Array<ArrayBuffer> {
  return encodeModule({
    params: new Array(PARAMS).fill(I32),
    locals: [
      [2, I32],
      [VECTOR_COUNT, V128],
    ],
    body: [
      each(8, (i) => [words4(IV[i] as number), set(h(i))]),
      [rotatedBytes(8), set(BY_8), rotatedBytes(16), set(BY_16)],
      get(INPUT),
      set(AT),
      get(BLOCKS),
      set(LEFT),
      repeat([compressBlock(), nextBlock()]),
      storeChaining(),
    ],
    pages,
  });
}

function compressBlock(): Code {
  return [
    each(4, (quarter) => loadMessage(quarter)),
    each(8, (i) => [get(h(i)), set(v(i))]),
    each(4, (i) => [words4(IV[i] as number), set(v(8 + i))]),
    laneWords(COUNTERS),
    set(v(12)),
    words4(0),
    set(v(13)),
    [words4(BLOCK_BYTES), inLastBlock(LACKING), SUB],
    set(v(14)),
    [inFirstBlock(), inLastBlock(LAST_FLAGS), OR],
    set(v(15)),
    each(7, (round) => mixRound(round * 16)),
    each(8, (i) => [get(v(i)), get(v(8 + i)), XOR, set(h(i))]),
  ];
}

/** Leaves the blocks that are left, as what `repeat` asks. */
function nextBlock(): Code {
  return [get(AT), i32(BLOCK_BYTES), I32_ADD, set(AT), get(LEFT), i32(1), I32_SUB, tee(LEFT)];
}

function laneWords(offset: number): Code {
  return [get(LANE_WORDS), load(offset)];
}

/** The words of the lanes, in other blocks than the last 0. */
function inLastBlock(offset: number): Code {
  return [laneWords(offset), get(LEFT), i32(1), I32_EQ, SPLAT, MUL];
}

/** The flags of the first block, in other blocks 0. */
function inFirstBlock(): Code {
  return [get(LEFT), get(BLOCKS), I32_EQ, get(FIRST_FLAGS), I32_MUL, SPLAT];
}

/** `from`: where the schedule of the round begins. */
function mixRound(from: number): Code {
  const message = (i: number): number => m(SCHEDULE[from + i] as number);
  const mixed = (i: number, at: readonly [number, number, number, number]): Code =>
    mix(at, message(2 * i), message(2 * i + 1));
  return [
    each(4, (i) => mixed(i, [i, 4 + i, 8 + i, 12 + i])),
    each(4, (i) => mixed(4 + i, [i, 4 + ((i + 1) % 4), 8 + ((i + 2) % 4), 12 + ((i + 3) % 4)])),
  ];
}

function mix([a, b, c, d]: readonly [number, number, number, number], x: number, y: number): Code {
  return [half([a, b, c, d], x, [16, 12]), half([a, b, c, d], y, [8, 7])];
}

/** a += b + message; d = (d ^ a) >>> first; c += d; b = (b ^ c) >>> second. */
function half(
  [a, b, c, d]: readonly [number, number, number, number],
  message: number,
  [first, second]: readonly [number, number],
): Code {
  return [
    get(v(a)),
    get(v(b)),
    ADD,
    get(message),
    ADD,
    tee(v(a)),
    get(v(d)),
    XOR,
    rotate(first),
    tee(v(d)),
    get(v(c)),
    ADD,
    tee(v(c)),
    get(v(b)),
    XOR,
    rotate(second),
    set(v(b)),
  ];
}

/** To the right, each word of the vector on the stack. */
function rotate(bits: number): Code {
  if (bits === 8) return [get(BY_8), SWIZZLE];
  if (bits === 16) return [get(BY_16), SWIZZLE];
  return [tee(ROTATED), i32(bits), SHIFT_RIGHT, get(ROTATED), i32(32 - bits), SHIFT_LEFT, OR];
}

/**
 * Which byte goes where, for `SWIZZLE`. Kept in a local: of a constant shuffle V8 makes the constant anew each time,
 * a tenth of all the time and more.
 */
function rotatedBytes(bits: number): Code {
  const word = (at: number): number =>
    [3, 2, 1, 0].reduce((bytes, i) => bytes * 256 + 4 * at + ((i + bits / 8) & 3), 0);
  return words(word(0), word(1), word(2), word(3));
}

/** Words 4q to 4q+3 of all lanes, from one vector for each lane to one for each word. */
function loadMessage(quarter: number): Code {
  const to = [0, 1, 2, 3].map((i) => m(4 * quarter + i));
  return [
    each(LANES, (lane) => [
      get(AT),
      get(STRIDE),
      i32(lane),
      I32_MUL,
      I32_ADD,
      load(quarter * LANES * WORD_BYTES),
      set(to[lane] as number),
    ]),
    transpose(to),
  ];
}

function storeChaining(): Code {
  return each(2, (half) => {
    const from = [0, 1, 2, 3].map((i) => h(4 * half + i));
    return [
      transpose(from),
      each(LANES, (lane) => [
        get(OUTPUT),
        get(from[lane] as number),
        store(lane * 8 * WORD_BYTES + half * LANES * WORD_BYTES),
      ]),
    ];
  });
}

/** Four vectors of four words, in place: word i of vector j becomes word j of vector i. */
function transpose(locals: readonly number[]): Code {
  const [a = 0, b = 0, c = 0, d = 0] = locals;
  const [LOW, HIGH] = [ofWords([0, 4, 1, 5]), ofWords([2, 6, 3, 7])];
  const [FIRST_HALVES, SECOND_HALVES] = [ofWords([0, 1, 4, 5]), ofWords([2, 3, 6, 7])];
  const both = (x: number, y: number, how: Code): Code => [get(x), get(y), how];
  return [
    // All four are made before one is set, so that none is read too late.
    both(a, b, LOW),
    both(c, d, LOW),
    both(a, b, HIGH),
    both(c, d, HIGH),
    set(d),
    set(c),
    set(b),
    set(a),
    both(a, b, FIRST_HALVES),
    both(a, b, SECOND_HALVES),
    both(c, d, FIRST_HALVES),
    both(c, d, SECOND_HALVES),
    set(d),
    set(c),
    set(b),
    set(a),
  ];
}

/** Words 0 to 3 are of the first vector, 4 to 7 of the second. */
function ofWords(four: readonly number[]): Code {
  return shuffle(four.flatMap((word) => [0, 1, 2, 3].map((byte) => word * WORD_BYTES + byte)));
}

function words4(word: number): Code {
  return words(word, word, word, word);
}

function each(count: number, code: (i: number) => Code): Code {
  return Array.from({ length: count }, (_, i) => code(i));
}
