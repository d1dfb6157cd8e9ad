/** Descriptor sets for tests: paths that collide in long prefixes, and the root computed the slow way. */
import { blake3 } from '@noble/hashes/blake3.js';
import fc from 'fast-check';

/** 32 bytes each; `path` as hex is the key. */
export type PlainSet = ReadonlyMap<string, Uint8Array>;

export const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
export const fromHex = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));

/** Few paths, so that changes meet; some are alike but for late bits, so that leaves stand deep. */
export const pathArbitrary: fc.Arbitrary<Uint8Array> = fc
  .tuple(
    fc.nat(3),
    fc.constantFrom(0, 0, 64, 255),
    fc.nat(3),
    fc.oneof({ weight: 30, arbitrary: fc.constant(3) }, fc.constant(31)),
  )
  .map(([first, middle, last, at]) => {
    const path = new Uint8Array(32);
    path[0] = first << 6;
    path[1] = middle;
    path[at] = last;
    return path;
  });

export const valueArbitrary: fc.Arbitrary<Uint8Array> = fc
  .nat(4)
  .map((fill) => new Uint8Array(32).fill(fill));

/** The set root by its definition: every node of every level, from nothing, each time. */
export function naiveRoot(set: PlainSet): Uint8Array {
  const leaves = [...set].map(([path, value]) => ({ path: fromHex(path), value }));
  return rootOf(leaves, 0);
}

interface PlainLeaf {
  readonly path: Uint8Array;
  readonly value: Uint8Array;
}

function rootOf(leaves: readonly PlainLeaf[], depth: number): Uint8Array {
  const [first, second] = leaves;
  if (first === undefined) return new Uint8Array(32);
  if (second === undefined) return blake3(Uint8Array.of(0, ...first.path, ...first.value));
  const isRight = ({ path }: PlainLeaf): boolean =>
    Math.floor((path[Math.floor(depth / 8)] ?? 0) / 2 ** (7 - (depth % 8))) % 2 === 1;
  const left = leaves.filter((leaf) => !isRight(leaf));
  const right = leaves.filter(isRight);
  return blake3(Uint8Array.of(1, ...rootOf(left, depth + 1), ...rootOf(right, depth + 1)));
}
