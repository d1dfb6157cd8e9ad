/**
 * The log tree a second time, written from RFC 9162 2.1 as it stands there: recursive, with no thought
 * of speed. Also trees of any size that are equal leaves but for a few, so that positions beyond 2^32
 * can be asked about.
 */
import { createHash } from 'node:crypto';
import { LogTree } from '../../src/core/tlog/log-tree.ts';
import type { NodePlace, ReadNodes, TreeNode } from '../../src/core/tlog/merkle.ts';

export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return Uint8Array.from(hash.digest());
}

export const leafHash = (record: Uint8Array): Uint8Array => sha256(Uint8Array.of(0), record);

const parent = (left: Uint8Array, right: Uint8Array): Uint8Array =>
  sha256(Uint8Array.of(1), left, right);

/** MTH(D[begin:end]), PATH and PROOF of RFC 9162 over hashes of leaves. */
export class ReferenceTree {
  readonly #leaves: readonly Uint8Array[];
  readonly #roots = new Map<string, Uint8Array>();

  constructor(records: readonly Uint8Array[]) {
    this.#leaves = records.map(leafHash);
  }

  root(begin: number, end: number): Uint8Array {
    const known = this.#roots.get(`${begin}-${end}`);
    if (known !== undefined) return known;
    const root = this.#root(begin, end);
    this.#roots.set(`${begin}-${end}`, root);
    return root;
  }

  #root(begin: number, end: number): Uint8Array {
    const [first, ...others] = this.#leaves.slice(begin, end);
    if (first === undefined) return sha256();
    if (others.length === 0) return first;
    const k = begin + largestPowerBelow(end - begin);
    return parent(this.root(begin, k), this.root(k, end));
  }

  /** 2.1.3.1: PATH(index, D[begin:end]), `index` counted from `begin`. */
  path(index: number, begin: number, end: number): readonly Uint8Array[] {
    if (end - begin === 1) return [];
    const k = largestPowerBelow(end - begin);
    return index < k
      ? [...this.path(index, begin, begin + k), this.root(begin + k, end)]
      : [...this.path(index - k, begin + k, end), this.root(begin, begin + k)];
  }

  /** 2.1.4.1: SUBPROOF(from, D[begin:end], isWhole), `from` counted from `begin`. */
  subproof(from: number, begin: number, end: number, isWhole = true): readonly Uint8Array[] {
    const n = end - begin;
    if (from === n) return isWhole ? [] : [this.root(begin, end)];
    const k = largestPowerBelow(n);
    return from <= k
      ? [...this.subproof(from, begin, begin + k, isWhole), this.root(begin + k, end)]
      : [...this.subproof(from - k, begin + k, end, false), this.root(begin, begin + k)];
  }
}

function largestPowerBelow(n: number): number {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

export interface GrownTree {
  /** `trees[n]` has n leaves. */
  readonly trees: readonly LogTree[];
  /** What each append completed. */
  readonly completed: readonly (readonly TreeNode[])[];
  readonly read: ReadNodes;
}

/** Appends one record after the other and keeps the nodes that appends name. */
export function growTree(records: readonly Uint8Array[]): GrownTree {
  const kept = new Map<string, Uint8Array>();
  const trees = [LogTree.EMPTY];
  const completed: (readonly TreeNode[])[] = [];
  for (const record of records) {
    const { tree, nodes } = trees.at(-1)!.with(record);
    for (const { level, index, hash } of nodes) kept.set(`${level}/${index}`, hash);
    trees.push(tree);
    completed.push(nodes);
  }
  return { trees, completed, read: readerOf(({ level, index }) => kept.get(`${level}/${index}`)) };
}

/** Refuses to answer for nodes that do not exist, as a store does. */
export function readerOf(hashAt: (place: NodePlace) => Uint8Array | undefined): ReadNodes {
  return async (places) =>
    places.map((place) => {
      const hash = hashAt(place);
      if (hash === undefined) throw new Error(`no node ${place.level}/${place.index}`);
      return hash;
    });
}

/** A tree of any size: every leaf is the empty record, but those at `marks`. */
export class SparseTree {
  readonly #marks: readonly bigint[];
  readonly #uniform: Uint8Array[] = [leafHash(new Uint8Array())];

  constructor(marks: readonly number[]) {
    this.#marks = marks.map(BigInt);
  }

  /** MTH(D[begin:end]), by the definition, in whole numbers of any size. */
  root(begin: bigint, end: bigint): Uint8Array {
    const n = end - begin;
    if (n === 0n) return sha256();
    if (n === 1n) return leafHash(this.record(begin));
    let [k, level] = [1n, 1];
    while (k * 2n < n) [k, level] = [k * 2n, level + 1];
    if (k * 2n === n && !this.#marks.some((mark) => mark >= begin && mark < end))
      return this.#uniformAt(level);
    return parent(this.root(begin, begin + k), this.root(begin + k, end));
  }

  record(index: bigint): Uint8Array {
    return new TextEncoder().encode(this.#marks.includes(index) ? `mark ${index}` : '');
  }

  readonly read: ReadNodes = readerOf(({ level, index }) => {
    const span = 2n ** BigInt(level);
    return this.root(BigInt(index) * span, (BigInt(index) + 1n) * span);
  });

  #uniformAt(level: number): Uint8Array {
    for (let at = this.#uniform.length; at <= level; at++)
      this.#uniform.push(parent(this.#uniform[at - 1]!, this.#uniform[at - 1]!));
    return this.#uniform[level]!;
  }
}
