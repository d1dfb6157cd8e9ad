/** The stored tree held against the leaves of its log: each node in its turn, and no other beside them. */
import { hash as digest } from 'node:crypto';
import { damaged } from '../../registry/stored.ts';
import { type DatabaseScan, type NodePage, PAGE_NODES } from '../../store/sqlite-scan.ts';

interface Level {
  /** Nodes as they are stored, from a multiple of `PAGE_NODES` on. */
  stored: NodePage;
  /** Nodes so far. */
  size: number;
  /** Waits for what is on its right. */
  left: Buffer | undefined;
}

const HASH_BYTES = 32;
const [LEAF, NODE] = [0, 1];
/** Of a leaf; a longer one is none, and takes room of its own. */
const ROOM_BYTES = 2048;

/** RFC 6962 2.1: nodes as the leaves give them, each compared with the stored one in its turn. */
export class StoredTree {
  readonly #scan: DatabaseScan;
  readonly #levels: Level[] = [];
  /** What is hashed next. */
  readonly #room = Buffer.alloc(ROOM_BYTES);
  #nodes = 0;

  constructor(scan: DatabaseScan) {
    this.#scan = scan;
  }

  /** Throws `storage_damaged`. */
  add(leaf: Buffer): void {
    let hash = this.#hash(LEAF, leaf);
    for (let at = 0; ; at++) {
      const level = this.#levels[at] ?? this.#open(at);
      this.#assertNext(level, at, hash);
      this.#nodes++;
      if (level.left === undefined) {
        level.left = hash;
        return;
      }
      hash = this.#hash(NODE, level.left, hash);
      level.left = undefined;
    }
  }

  /** No other node stands beside these. Throws `storage_damaged`. */
  assertWhole(): void {
    const { nodes } = this.#scan.counts();
    if (nodes !== this.#nodes)
      throw damaged(`expected ${this.#nodes} nodes of the tree, got ${nodes}`);
  }

  #open(at: number): Level {
    const level = { stored: this.#scan.nodes(at, 0), size: 0, left: undefined };
    this.#levels[at] = level;
    return level;
  }

  #assertNext(level: Level, at: number, hash: Buffer): void {
    const place = level.size++;
    if (place > 0 && place % PAGE_NODES === 0) level.stored = this.#scan.nodes(at, place);
    const row = place % PAGE_NODES;
    const { places, hashes } = level.stored;
    const found = hashes.subarray(row * HASH_BYTES, (row + 1) * HASH_BYTES);
    if (places[row] !== place || !found.equals(hash))
      throw damaged(
        `expected the nodes of level ${at} of the tree as the entries give them, got others`,
      );
  }

  #hash(prefix: number, ...parts: readonly Buffer[]): Buffer {
    const bytes = parts.reduce((total, part) => total + part.length, 1);
    const room = bytes <= ROOM_BYTES ? this.#room : Buffer.alloc(bytes);
    room[0] = prefix;
    let at = 1;
    for (const part of parts) at += part.copy(room, at);
    return digest('sha256', room.subarray(0, bytes), 'buffer');
  }
}
