/**
 * A log walked from genesis to its head, faster than a service walks its own: every entry hashed again, linked
 * and found by its payload, and the tree over their leaves the one that is stored.
 */
import { hash as digest } from 'node:crypto';
import { decodeUtf8, isEqualBytes } from '../../core/bytes.ts';
import { blake3Bytes, formatHash, type Hash } from '../../core/hash.ts';
import type { LogEnd } from '../../registry/scrub.ts';
import { assertStoredEntry, damaged, type LetGo } from '../../registry/stored.ts';
import { DatabaseScan, type ScannedEntry, type ScannedNode } from '../../store/sqlite-scan.ts';
import { hashBytes } from '../fast-hash/hash-bytes.ts';

/** Entries between two remarks on how far it is. */
const TELL_EVERY = 64;

export interface LogOptions {
  /** What the log must lead to, of which the root is that of the stored tree. */
  readonly end: LogEnd;
  /** What entries may lack. */
  readonly retained: LetGo;
  readonly onProgress: (done: number) => void;
}

/** Throws `storage_damaged`. */
export function assertLog(path: string, { end, retained, onProgress }: LogOptions): void {
  using scan = new DatabaseScan(path);
  const tree = new StoredTree(scan);
  let previous: Hash | null = null;
  let size = 0;
  for (const entry of scan.entries()) {
    if (entry.version !== size)
      throw damaged(`expected version ${size} in the log, got ${entry.version}`);
    previous = assertEntry(entry, { previous, retained });
    tree.add(entry.leaf);
    size++;
    if (size % TELL_EVERY === 0) onProgress(size);
  }
  if (size !== end.version + 1 || previous !== end.entryHash)
    throw damaged(
      `expected the log to lead to version ${end.version}, ${end.entryHash}, got ${size - 1}, ${previous}`,
    );
  tree.assertWhole();
}

/** Answers its hash. */
function assertEntry(
  entry: ScannedEntry,
  { previous, retained }: { readonly previous: Hash | null; readonly retained: LetGo },
): Hash {
  const { version } = entry;
  const entryHash = formatHash(entry.entryHash);
  const leaf = readLeaf(entry);
  const isWhole =
    isEqualBytes(blake3Bytes(entry.leaf), entry.entryHash) &&
    leaf.version === version &&
    leaf.payload_b3 === formatHash(hashBytes(entry.payload)) &&
    leaf.approvals_b3 === formatHash(hashBytes(entry.approvals));
  // Slower; knows what may be missing, and says what is wrong.
  if (!isWhole) assertStoredEntry({ ...entry, entryHash }, retained);
  if (leaf.prev_hash !== previous)
    throw damaged(`expected version ${version} to follow ${previous}, got another before it`);
  // By this a payload that was committed is known from now on, and not committed again.
  if (leaf.payload_b3 !== formatHash(entry.payloadB3))
    throw damaged(`expected the payload of version ${version} to lead to it, got no version`);
  if (leaf.type !== entry.type)
    throw damaged(
      `expected version ${version} among those of type ${leaf.type}, got it among others`,
    );
  return entryHash;
}

interface LeafMembers {
  readonly version?: unknown;
  readonly prev_hash?: unknown;
  readonly payload_b3?: unknown;
  readonly approvals_b3?: unknown;
  readonly type?: unknown;
}

/** Not read strictly: the entry after it, or the head, names every byte of it. */
function readLeaf({ leaf, version }: ScannedEntry): LeafMembers {
  try {
    const value: unknown = JSON.parse(decodeUtf8(leaf));
    if (typeof value === 'object' && value !== null) return value;
  } catch {
    // Said below.
  }
  throw damaged(`expected a leaf at version ${version}, got ${leaf.length} bytes that are none`);
}

interface Level {
  readonly stored: Iterator<ScannedNode>;
  /** Nodes so far. */
  size: number;
  /** Waits for what is on its right. */
  left: Uint8Array | undefined;
}

/** RFC 6962 2.1: nodes as the leaves give them, each compared with the stored one in its turn. */
class StoredTree {
  readonly #scan: DatabaseScan;
  readonly #levels: Level[] = [];
  #nodes = 0;

  constructor(scan: DatabaseScan) {
    this.#scan = scan;
  }

  add(leaf: Uint8Array): void {
    let hash = sha256([LEAF, leaf]);
    for (let at = 0; ; at++) {
      const level = this.#levels[at] ?? this.#open(at);
      const { value } = level.stored.next();
      if (value?.place !== level.size++ || !isEqualBytes(value.hash, hash))
        throw damaged(
          `expected the nodes of level ${at} of the tree as the entries give them, got others`,
        );
      this.#nodes++;
      if (level.left === undefined) {
        level.left = hash;
        return;
      }
      hash = sha256([NODE, level.left, hash]);
      level.left = undefined;
    }
  }

  /** No other node stands beside these. */
  assertWhole(): void {
    const stored = this.#scan.nodeCount();
    if (stored !== this.#nodes)
      throw damaged(`expected ${this.#nodes} nodes of the tree, got ${stored}`);
  }

  #open(at: number): Level {
    const stored = this.#scan.nodes(at)[Symbol.iterator]();
    const level = { stored, size: 0, left: undefined };
    this.#levels[at] = level;
    return level;
  }
}

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

function sha256(parts: readonly Uint8Array[]): Uint8Array {
  return digest('sha256', Buffer.concat(parts), 'buffer');
}
