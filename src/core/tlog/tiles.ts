/**
 * C2SP tlog-tiles: how a tree and its leaves are cut into tiles and entry bundles, and how these are
 * named in URLs. Names and bytes only; which tiles exist is decided by a checkpoint's size.
 */
import { concatBytes } from '@noble/hashes/utils.js';
import { RegistryError } from '../error.ts';

/** Hashes in a full tile, leaves in a full bundle, and how the tree branches from level to level. */
export const TILE_WIDTH = 256;
/** A tile level is this many levels of the binary tree. */
export const TILE_HEIGHT = 8;
const MAX_LEVEL = 63;

export interface TileName {
  /** 0 to 63; `entries`: the leaves themselves. */
  readonly level: number | 'entries';
  readonly index: number;
  /** 1 to 256; less than 256 is a partial tile. */
  readonly width: number;
}

/** How many hashes (or leaves) of the tile exist in a tree of `size` leaves: 0 to 256. */
export function tileWidth({ level, index }: Omit<TileName, 'width'>, size: number): number {
  const span = level === 'entries' ? 1 : TILE_WIDTH ** level;
  const hashes = Math.floor(size / span) - index * TILE_WIDTH;
  return Math.max(0, Math.min(TILE_WIDTH, hashes));
}

/** Below `/tile/`: `0/x001/x234/067.p/8`. */
export function formatTileName({ level, index, width }: TileName): string {
  const digits = String(index);
  const padded = digits.padStart(Math.ceil(digits.length / 3) * 3, '0');
  const path = padded.replace(/\d{3}(?=\d)/g, 'x$&/');
  return `${level}/${path}${width === TILE_WIDTH ? '' : `.p/${width}`}`;
}

/** `undefined` for every text but the one that `formatTileName` gives for what it names. */
export function parseTileName(text: string): TileName | undefined {
  const match = /^(\d{1,2}|entries)\/((?:x\d{3}\/){0,5}\d{3})(?:\.p\/(\d{1,3}))?$/.exec(text);
  if (match?.[1] === undefined || match[2] === undefined) return undefined;
  const name: TileName = {
    level: match[1] === 'entries' ? match[1] : Number(match[1]),
    index: Number(match[2].replace(/[x/]/g, '')),
    width: match[3] === undefined ? TILE_WIDTH : Number(match[3]),
  };
  const isPossible =
    (name.level === 'entries' || name.level <= MAX_LEVEL) &&
    Number.isSafeInteger(name.index) &&
    name.width >= 1 &&
    name.width <= TILE_WIDTH;
  return isPossible && formatTileName(name) === text ? name : undefined;
}

/** An entry bundle: each leaf after its length in two bytes. Throws `too_large` above 65,535 bytes. */
export function encodeBundle(leaves: readonly Uint8Array[]): Uint8Array {
  return concatBytes(...leaves.flatMap((leaf) => [lengthOf(leaf), leaf]));
}

/** Throws `malformed` unless there are exactly `count` leaves. */
export function decodeBundle(bytes: Uint8Array, count: number): readonly Uint8Array[] {
  const leaves: Uint8Array[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  while (at + 2 <= bytes.length && leaves.length < count) {
    const end = at + 2 + view.getUint16(at);
    leaves.push(bytes.subarray(at + 2, end));
    at = end;
  }
  if (at !== bytes.length || leaves.length !== count)
    throw new RegistryError(
      'malformed',
      `expected an entry bundle of ${count} leaves, got ${bytes.length} bytes that are none`,
    );
  return leaves;
}

/** The hashes of a tile. Throws `malformed` unless there are exactly `count`. */
export function decodeTile(bytes: Uint8Array, count: number): readonly Uint8Array[] {
  if (bytes.length !== count * 32)
    throw new RegistryError(
      'malformed',
      `expected a tile of ${count} hashes in ${count * 32} bytes, got ${bytes.length} bytes`,
    );
  return Array.from({ length: count }, (_, i) => bytes.subarray(i * 32, i * 32 + 32));
}

function lengthOf(leaf: Uint8Array): Uint8Array {
  if (leaf.length > 0xffff)
    throw new RegistryError(
      'too_large',
      `expected a leaf of at most 65535 bytes, got ${leaf.length}`,
    );
  return Uint8Array.of(leaf.length >> 8, leaf.length & 0xff);
}
