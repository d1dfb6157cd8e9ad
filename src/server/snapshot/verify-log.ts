/**
 * A log walked from genesis to its head, faster than a service walks its own: every entry hashed again, linked
 * and found by its payload, and the tree over their leaves the one that is stored.
 */
import type { Hash } from '../../core/hash.ts';
import type { LogEnd } from '../../registry/scrub.ts';
import { assertStoredEntry, damaged, type LetGo } from '../../registry/stored.ts';
import { DatabaseScan, type EntryPage } from '../../store/sqlite-scan.ts';
import { HASH_BYTES, hashEach } from '../fast-hash/hash-each.ts';
import { assertHashes, assertPieces } from './pieces.ts';
import { StoredTree } from './stored-tree.ts';

export interface LogOptions {
  /** What the log must lead to, of which the root is that of the stored tree. */
  readonly end: LogEnd;
  /** What entries may lack. */
  readonly retained: LetGo;
  /** How many entries were erased, each by another that says so. */
  readonly erasures: number;
  readonly onProgress: (done: number) => void;
}

/** Throws `storage_damaged`. */
export function assertLog(path: string, { end, retained, erasures, onProgress }: LogOptions): void {
  using scan = new DatabaseScan(path);
  const tree = new StoredTree(scan);
  let previous: Hash | null = null;
  let [size, erasing] = [0, 0];
  for (const page of scan.entryPages()) {
    for (const entry of hashedEntries(page)) {
      if (entry.version !== size)
        throw damaged(`expected version ${size} in the log, got ${entry.version}`);
      previous = assertEntry(entry, { previous, retained });
      tree.add(entry.leaf);
      size++;
      if (entry.type === 'erase') erasing++;
    }
    onProgress(size);
  }
  if (size !== end.version + 1 || previous !== end.entryHash)
    throw damaged(
      `expected the log to lead to version ${end.version}, ${end.entryHash}, got ${size - 1}, ${previous}`,
    );
  // What is there again nobody would leave out.
  if (erasing !== erasures)
    throw damaged(`expected the ${erasing} erasures that entries say, got ${erasures}`);
  tree.assertWhole();
}

interface HashedEntry {
  readonly version: number;
  readonly type: string;
  /** As it stands beside the entry. */
  readonly entryHash: Hash;
  readonly payloadB3: Hash;
  readonly leaf: Buffer;
  readonly payload: Buffer;
  readonly approvals: Buffer;
  /** What these bytes hash to. */
  readonly hashes: { readonly leaf: Hash; readonly payload: Hash; readonly approvals: Hash };
}

/** The bytes of all entries of a page are hashed at once. */
function* hashedEntries(page: EntryPage): Generator<HashedEntry> {
  const { versions, types } = page;
  const entryHashes = new Hashes(page.entryHashes, versions.length);
  const payloadB3s = new Hashes(page.payloadB3s, versions.length);
  const leaves = new HashedPieces(page.leaves, page.leafBytes);
  const payloads = new HashedPieces(page.payloads, page.payloadBytes);
  const approvals = new HashedPieces(page.approvals, page.approvalsBytes);
  for (const [i, version] of versions.entries())
    yield {
      version,
      type: types[i] ?? '',
      entryHash: entryHashes.at(i),
      payloadB3: payloadB3s.at(i),
      leaf: leaves.next(),
      payload: payloads.next(),
      approvals: approvals.next(),
      hashes: {
        leaf: leaves.hashes.at(i),
        payload: payloads.hashes.at(i),
        approvals: approvals.hashes.at(i),
      },
    };
}

/** One after the other, and what each hashes to. */
class HashedPieces {
  readonly hashes: Hashes;
  readonly #bytes: Buffer;
  readonly #lengths: readonly number[];
  #given = 0;
  #at = 0;

  constructor(bytes: Buffer, lengths: readonly number[]) {
    assertPieces(bytes, lengths);
    this.hashes = new Hashes(hashEach(bytes, lengths), lengths.length);
    this.#bytes = bytes;
    this.#lengths = lengths;
  }

  next(): Buffer {
    const begin = this.#at;
    this.#at += this.#lengths[this.#given++] ?? 0;
    return this.#bytes.subarray(begin, this.#at);
  }
}

/** Made text at once: digit by digit would take longer than hashing. */
class Hashes {
  readonly #digits: string;

  constructor(bytes: Uint8Array, count: number) {
    assertHashes(bytes, count);
    this.#digits = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
  }

  at(index: number): Hash {
    return `b3:${this.#digits.slice(index * DIGITS, (index + 1) * DIGITS)}`;
  }
}

const DIGITS = 2 * HASH_BYTES;

/** Answers its hash. */
function assertEntry(
  entry: HashedEntry,
  { previous, retained }: { readonly previous: Hash | null; readonly retained: LetGo },
): Hash {
  const { version, entryHash, hashes } = entry;
  const leaf = readLeaf(entry);
  const isWhole =
    hashes.leaf === entryHash &&
    leaf.version === version &&
    leaf.payload_b3 === hashes.payload &&
    leaf.approvals_b3 === hashes.approvals;
  // Slower; knows what may be missing, and says what is wrong.
  if (!isWhole) assertStoredEntry(entry, retained);
  if (leaf.prev_hash !== previous)
    throw damaged(`expected version ${version} to follow ${previous}, got another before it`);
  // By this a payload that was committed is known from now on, and not committed again.
  if (leaf.payload_b3 !== entry.payloadB3)
    throw damaged(`expected the payload of version ${version} to lead to it, got no version`);
  if (entry.payload.length > 0 && retained.isErased(version))
    throw damaged(`expected version ${version} without its payload, as an entry demands, got it`);
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
function readLeaf({ leaf, version }: HashedEntry): LeafMembers {
  try {
    // What is no ASCII is in no member that is looked at.
    const value: unknown = JSON.parse(leaf.toString('latin1'));
    if (typeof value === 'object' && value !== null) return value;
  } catch {
    // Said below.
  }
  throw damaged(`expected a leaf at version ${version}, got ${leaf.length} bytes that are none`);
}
