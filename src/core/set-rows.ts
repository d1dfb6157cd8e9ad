/**
 * Descriptors of a set as rows in one array, 64 bytes each: path, then value hash. A tree is made of rows,
 * and keeps its smallest subtrees as rows: their nodes are hashed when they are asked for, and cost no memory.
 */
import { RegistryError } from './error.ts';
import { bitAt, EMPTY_HASH, hashInner, hashRow } from './set-hash.ts';

const HASH_BYTES = 32;
const ROW_BYTES = 64;
const PATH_BITS = 256;

/** `valueHash: null` removes the path. Both are 32 bytes. */
export interface SetChange {
  readonly path: Uint8Array;
  readonly valueHash: Uint8Array | null;
}

/** Siblings from the root down, and what stands at the end: the leaf there, or nothing. */
export interface SetBranch {
  readonly siblings: readonly Uint8Array[];
  readonly leaf: SetLeaf | null;
}

/** Both 32 bytes. */
export interface SetLeaf {
  readonly path: Uint8Array;
  readonly valueHash: Uint8Array;
}

/** Rows from `begin` up to, not including, `end`. */
export interface RowRange {
  readonly begin: number;
  readonly end: number;
}

/** Collects the rows of a whole set, in any order. */
export class SetRows {
  #bytes: Uint8Array<ArrayBuffer>;
  #count = 0;

  /** `expected`: how many there will probably be. */
  constructor(expected = 0) {
    this.#bytes = new Uint8Array(Math.min(Math.max(expected, 16), MAX_EXPECTED) * ROW_BYTES);
  }

  add(path: Uint8Array, valueHash: Uint8Array): void {
    const at = this.#count++ * ROW_BYTES;
    if (at === this.#bytes.length) this.#grow();
    this.#bytes.set(path, at);
    this.#bytes.set(valueHash, at + HASH_BYTES);
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#count * ROW_BYTES);
  }

  #grow(): void {
    const grown = new Uint8Array(this.#bytes.length * 2);
    grown.set(this.#bytes);
    this.#bytes = grown;
  }
}

/** What is expected may be a lie: more than 64 MiB is taken only for rows that came. */
const MAX_EXPECTED = 1_048_576;

export function countRows(rows: Uint8Array): number {
  return rows.length / ROW_BYTES;
}

export function allRows(rows: Uint8Array): RowRange {
  return { begin: 0, end: countRows(rows) };
}

/** A view: an array of its own would cost more than its rows. */
export function someRows(rows: Uint8Array, { begin, end }: RowRange): Uint8Array {
  return rows.subarray(begin * ROW_BYTES, end * ROW_BYTES);
}

/** Rows of one side of a node before those of the other. */
export function concatRows(left: Uint8Array, right: Uint8Array): Uint8Array {
  const both = new Uint8Array(left.length + right.length);
  both.set(left);
  both.set(right, left.length);
  return both;
}

export function rowOf({ path, valueHash }: SetLeaf): Uint8Array {
  return concatRows(path, valueHash);
}

/** The value hash at `path`, `undefined` when it is not among the rows. */
export function valueAmong(rows: Uint8Array, path: Uint8Array): Uint8Array | undefined {
  for (let at = 0; at < rows.length; at += ROW_BYTES)
    if (isPathAt(rows, at, path)) return rows.slice(at + HASH_BYTES, at + ROW_BYTES);
  return undefined;
}

/** The rows after `changes`, each of whose paths is named once; sorted. */
export function changeRows(rows: Uint8Array, changes: readonly SetChange[]): Uint8Array {
  const changed = new Uint8Array(rows.length + changes.length * ROW_BYTES);
  let size = 0;
  for (let at = 0; at < rows.length; at += ROW_BYTES) {
    if (changes.some(({ path }) => isPathAt(rows, at, path))) continue;
    changed.set(rows.subarray(at, at + ROW_BYTES), size);
    size += ROW_BYTES;
  }
  for (const { path, valueHash } of changes) {
    if (valueHash === null) continue;
    changed.set(path, size);
    changed.set(valueHash, size + HASH_BYTES);
    size += ROW_BYTES;
  }
  const exact = size === changed.length ? changed : changed.slice(0, size);
  sortRows(exact);
  return exact;
}

/** In place, by path. Throws `internal` when a path is there twice. */
export function sortRows(rows: Uint8Array): void {
  sortRange(rows, allRows(rows), 0);
}

/** In place, rows that agree on their first `depth` bits. Throws as `sortRows`. */
export function sortRange(rows: Uint8Array, range: RowRange, depth: number): void {
  const { begin, end } = range;
  if (end - begin < 2) return;
  const middle = partRows(rows, range, depth);
  sortRange(rows, { begin, end: middle }, depth + 1);
  sortRange(rows, { begin: middle, end }, depth + 1);
}

/** In place, of rows that agree on their first `depth` bits those with a 0 next, then those with a 1. Answers where these begin; throws as `sortRows`. */
export function partRows(rows: Uint8Array, { begin, end }: RowRange, depth: number): number {
  if (depth === PATH_BITS)
    throw new RegistryError('internal', 'expected each path of a set once, got one twice');
  let low = begin;
  for (let high = end; low < high; ) {
    if (bitOf(rows, low, depth) === 0) low++;
    else if (bitOf(rows, high - 1, depth) === 1) high--;
    else swapRows(rows, low++, --high);
  }
  return low;
}

/** Where in a sorted range, whose rows agree on their first `depth` bits, those with a 1 next begin. */
export function splitRows(rows: Uint8Array, { begin, end }: RowRange, depth: number): number {
  let low = begin;
  let high = end;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (bitOf(rows, middle, depth) === 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The root of a whole set, without its tree. Sorts the rows; throws as `sortRows`. */
export function rootOfRows(rows: Uint8Array): Uint8Array {
  sortRows(rows);
  return hashRows(rows, allRows(rows), 0);
}

/** Of the subtree at `depth` that a sorted range is. */
export function hashRows(rows: Uint8Array, range: RowRange, depth: number): Uint8Array {
  const { begin, end } = range;
  if (begin === end) return EMPTY_HASH;
  if (end - begin === 1) return hashRow(rows, begin * ROW_BYTES);
  const middle = splitRows(rows, range, depth);
  return hashInner(
    hashRows(rows, { begin, end: middle }, depth + 1),
    hashRows(rows, { begin: middle, end }, depth + 1),
  );
}

/** The way to `path` within the subtree at `depth` that sorted rows are. */
export function branchOfRows(rows: Uint8Array, path: Uint8Array, depth: number): SetBranch {
  const siblings: Uint8Array[] = [];
  let range = allRows(rows);
  for (let at = depth; range.end - range.begin > 1; at++) {
    const middle = splitRows(rows, range, at);
    const zeros = { begin: range.begin, end: middle };
    const ones = { begin: middle, end: range.end };
    const isLeft = bitAt(path, at) === 0;
    siblings.push(hashRows(rows, isLeft ? ones : zeros, at + 1));
    range = isLeft ? zeros : ones;
  }
  return { siblings, leaf: range.begin === range.end ? null : leafAt(rows, range.begin) };
}

export function* leavesOfRows(rows: Uint8Array): Generator<SetLeaf, void, void> {
  for (let row = 0; row < countRows(rows); row++) yield leafAt(rows, row);
}

function leafAt(rows: Uint8Array, row: number): SetLeaf {
  const at = row * ROW_BYTES;
  return {
    path: rows.slice(at, at + HASH_BYTES),
    valueHash: rows.slice(at + HASH_BYTES, at + ROW_BYTES),
  };
}

function bitOf(rows: Uint8Array, row: number, depth: number): number {
  return (rows[row * ROW_BYTES + (depth >> 3)]! >> (7 - (depth & 7))) & 1;
}

function isPathAt(rows: Uint8Array, at: number, path: Uint8Array): boolean {
  for (let i = 0; i < HASH_BYTES; i++) if (rows[at + i] !== path[i]) return false;
  return true;
}

function swapRows(rows: Uint8Array, one: number, other: number): void {
  let a = one * ROW_BYTES;
  let b = other * ROW_BYTES;
  for (const end = a + ROW_BYTES; a < end; a++, b++) {
    const byte = rows[a]!;
    rows[a] = rows[b]!;
    rows[b] = byte;
  }
}
