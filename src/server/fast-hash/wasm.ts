/**
 * The little of WebAssembly's binary format that one module of one function over its own memory takes:
 * how it is framed, and the instructions that function is made of. No compiler: nothing is checked here.
 * https://webassembly.github.io/spec/core/binary/
 */

/** Instructions in the order they run, each of bytes: it takes its operands from the stack. */
export type Code = readonly (number | Code)[];

export const I32 = 0x7f;
export const V128 = 0x7b;

/** LEB128. */
function unsigned(value: number): Code {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, unsigned(value >>> 7)];
}

function signed(value: number): Code {
  const isLast = value >> 6 === value >> 31;
  return isLast ? [value & 0x7f] : [(value & 0x7f) | 0x80, signed(value >> 7)];
}

export const get = (local: number): Code => [0x20, unsigned(local)];
export const set = (local: number): Code => [0x21, unsigned(local)];
/** Sets, and leaves the value where it was. */
export const tee = (local: number): Code => [0x22, unsigned(local)];
export const i32 = (value: number): Code => [0x41, signed(value)];

export const I32_EQ: Code = [0x46];
export const I32_ADD: Code = [0x6a];
export const I32_SUB: Code = [0x6b];
export const I32_MUL: Code = [0x6c];

/** Runs `body` again as long as it leaves anything but 0. */
export const repeat = (body: Code): Code => [0x03, 0x40, body, 0x0d, 0x00, 0x0b];

const simd = (opcode: number, ...rest: Code): Code => [0xfd, unsigned(opcode), rest];

/** From the address on the stack and `offset` bytes on; any alignment. */
export const load = (offset: number): Code => simd(0, 0, unsigned(offset));
export const store = (offset: number): Code => simd(11, 0, unsigned(offset));
/** Of two vectors, bytes 0 to 15 and 16 to 31. */
export const shuffle = (bytes: readonly number[]): Code => simd(13, bytes);
/** Of the first, the bytes that the second names. */
export const SWIZZLE = simd(14);
export const SPLAT = simd(17);
export const OR = simd(80);
export const XOR = simd(81);
export const SHIFT_LEFT = simd(171);
export const SHIFT_RIGHT = simd(173);
export const ADD = simd(174);
export const SUB = simd(177);
export const MUL = simd(181);

/** Four words. */
export const words = (...four: readonly [number, number, number, number]): Code =>
  simd(12, ...four.flatMap((word) => [0, 8, 16, 24].map((shift) => (word >>> shift) & 0xff)));

export interface ModuleParts {
  /** Of its one function, exported as `run`; it answers nothing. */
  readonly params: readonly number[];
  /** How many of which type, after the parameters. */
  readonly locals: readonly (readonly [count: number, type: number])[];
  readonly body: Code;
  /** Of 64 KiB, exported as `memory`. */
  readonly pages: number;
}

export function encodeModule({
  params,
  locals,
  body,
  pages,
}: ModuleParts): Uint8Array<ArrayBuffer> {
  const type = [0x60, list(params.map((one) => [one])), list([])];
  const code = [list(locals.map(([count, of]) => [unsigned(count), of])), body, 0x0b];
  const bytes = flat([
    [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    section(1, [type]),
    section(3, [[0]]),
    section(5, [[0x01, unsigned(pages), unsigned(pages)]]),
    section(7, [
      [name('run'), 0x00, 0],
      [name('memory'), 0x02, 0],
    ]),
    section(10, [sized(code)]),
  ]);
  return Uint8Array.from(bytes);
}

function section(id: number, parts: readonly Code[]): Code {
  return [id, sized(list(parts))];
}

function list(parts: readonly Code[]): Code {
  return [unsigned(parts.length), parts];
}

function sized(code: Code): Code {
  const bytes = flat(code);
  return [unsigned(bytes.length), bytes];
}

function name(text: string): Code {
  return sized([...new TextEncoder().encode(text)]);
}

function flat(code: Code, bytes: number[] = []): number[] {
  for (const part of code)
    if (typeof part === 'number') bytes.push(part);
    else flat(part, bytes);
  return bytes;
}
