/**
 * The rows beside a log, held against its payloads from the first to the last: each value that an entry put is
 * there as it put it, each has its end where the next begins or where it was removed, and there are no others.
 */
import { isEqualBytes } from '../../core/bytes.ts';
import { canonicalBytes } from '../../core/canonical.ts';
import { descriptorPath } from '../../core/descriptor.ts';
import { RegistryError } from '../../core/error.ts';
import { hashOf } from '../../core/hash.ts';
import { decodeLeaf } from '../../core/leaf.ts';
import { changesOf, decodePayload } from '../../core/payload.ts';
import { SetRows } from '../../core/set-rows.ts';
import { SetTree } from '../../core/set-tree.ts';
import { damaged } from '../../registry/stored.ts';
import { openSqliteReader } from '../../store/sqlite.ts';
import type { ReadStore } from '../../store/sqlite-read.ts';
import { DatabaseScan, type ScannedEnd, type ScannedValue } from '../../store/sqlite-scan.ts';
import type { StoredEntry } from '../../store/store.ts';
import { hashBytes } from '../fast-hash/hash-bytes.ts';
import { type ChangeSlice, changeSlices } from './change-slices.ts';

/** Entries between two remarks on how far it is. */
const TELL_EVERY = 64;

/** Expects the payloads to be verified by others. Throws `storage_damaged`. */
export async function verifyRows(
  path: string,
  { onProgress }: { readonly onProgress: (done: number, total: number) => void },
): Promise<void> {
  await using store = openSqliteReader({ path });
  const head = await store.head();
  const total = (head?.version ?? -1) + 1;
  const { oldest, erasures } = await store.retention();
  {
    using scan = new DatabaseScan(path);
    const erased = new Set(erasures.map(({ version }) => version));
    const current = new SetRows(head === undefined ? 0 : decodeLeaf(head.leaf).set_size);
    assertRows(scan, { oldest, erased, current, onProgress: (done) => onProgress(done, total) });
    assertRoot(head, current);
  }
  if (oldest > 0) await assertSetAt(store, oldest);
  for (const { payload, payloadB3, expiresAt } of await store.proposals())
    if (hashOf(payload) !== payloadB3 || decodePayload(payload).payload.expires_at !== expiresAt)
      throw damaged(`expected proposal ${payloadB3} as it was proposed, got other bytes`);
}

interface Walk {
  /** Below it are values whose payloads were pruned, as far as they are in the set at it. */
  readonly oldest: number;
  readonly erased: ReadonlySet<number>;
  /** Gets what is current. */
  readonly current: SetRows;
  readonly onProgress: (done: number) => void;
}

function assertRows(scan: DatabaseScan, { oldest, erased, current, onProgress }: Walk): void {
  const values = new InTurn(scan.values(), ({ setVersion }) => setVersion);
  const ends = new InTurn(scan.ends(), ({ endVersion }) => endVersion ?? -1);
  const endless = ends.of(-1);
  if (endless[0] !== undefined) throw damagedRow(endless[0], 'that ends where the next begins');
  for (const { version, payload } of scan.payloads()) {
    const rows = { version, values: values.of(version), removed: ends.of(version) };
    if (erased.has(version)) assertEmpty(rows.values);
    else if (version < oldest) rows.values.forEach(assertHash);
    else assertValues(changesIn(payload, version), { ...rows, mayLackRemoved: version === oldest });
    for (const row of rows.values)
      if (row.endVersion === null) current.add(descriptorPath(row), row.valueHash);
    if (version % TELL_EVERY === TELL_EVERY - 1) onProgress(version + 1);
  }
  const [left] = [...values.rest(), ...ends.rest()];
  if (left !== undefined) throw damagedRow(left, 'that an entry put');
}

/** The values whose payloads were pruned: what a checkpoint covers, they give. */
async function assertSetAt(store: ReadStore, version: number): Promise<void> {
  const entry = await store.entry(version);
  const rows = new SetRows(entry === undefined ? 0 : decodeLeaf(entry.leaf).set_size);
  for await (const page of store.set(version))
    for (const row of page) rows.add(descriptorPath(row), row.valueHash);
  assertRoot(entry, rows);
}

function assertRoot(entry: StoredEntry | undefined, rows: SetRows): void {
  const leaf = entry && decodeLeaf(entry.leaf);
  const { root } = SetTree.fromRows(rows.bytes);
  if (root !== leaf?.set_root)
    throw damaged(
      `expected the descriptors at version ${leaf?.version} to give ${leaf?.set_root}, got ${root}`,
    );
}

function assertEmpty(rows: readonly ScannedValue[]): void {
  const kept = rows.find(({ bytes }) => bytes.length > 0);
  if (kept !== undefined) throw damagedRow(kept, 'that is gone, as an entry demands');
}

function assertHash(row: ScannedValue): void {
  if (!isEqualBytes(hashBytes(row.bytes), row.valueHash))
    throw damagedRow(row, 'that hashes to its value hash');
}

interface RowsOf {
  readonly version: number;
  readonly values: readonly ScannedValue[];
  readonly removed: readonly ScannedEnd[];
  /** What was removed at the oldest version is not in its set, and so not kept. */
  readonly mayLackRemoved: boolean;
}

function assertValues(changes: readonly ChangeSlice[], rows: RowsOf): void {
  const { version, mayLackRemoved } = rows;
  const [values, removed] = [byKey(rows.values), byKey(rows.removed)];
  for (const change of changes) {
    const key = keyOf(change);
    const row = values.get(key);
    const isRight =
      change.spec === null
        ? removed.delete(key) || mayLackRemoved
        : row !== undefined && isValue(row, change.spec);
    if (!isRight) throw damagedRow(change, `at version ${version} as its entry says`);
    values.delete(key);
  }
  const [other] = [...values.values(), ...removed.values()];
  if (other !== undefined) throw damagedRow(other, `at version ${version} only as its entry says`);
}

/** Canonical: the members of a descriptor have one order. */
function isValue({ id, kind, bytes, valueHash }: ScannedValue, spec: Uint8Array): boolean {
  const before = `{"id":"${id}","kind":"${kind}","spec":`;
  const value = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return (
    value.length === before.length + spec.length + 1 &&
    value.toString('latin1', 0, before.length) === before &&
    value.subarray(before.length, -1).equals(spec) &&
    value.at(-1) === 0x7d &&
    isEqualBytes(hashBytes(bytes), valueHash)
  );
}

function changesIn(payload: Uint8Array, version: number): readonly ChangeSlice[] {
  return changeSlices(payload) ?? decodedChanges(payload, version);
}

function decodedChanges(bytes: Uint8Array, version: number): readonly ChangeSlice[] {
  try {
    return changesOf(decodePayload(bytes).payload).map((change) => ({
      kind: change.kind,
      id: change.id,
      spec: change.op === 'put' ? canonicalBytes(change.spec) : null,
    }));
  } catch (cause) {
    if (!(cause instanceof RegistryError)) throw cause;
    // What is no payload may be anything: neither this nor the cause is quoted.
    throw damaged(
      `expected a payload at version ${version}, got ${bytes.length} bytes that are none (${cause.code})`,
    );
  }
}

function keyOf({ kind, id }: { readonly kind: string; readonly id: string }): string {
  return `${kind}/${id}`;
}

function byKey<T extends { readonly kind: string; readonly id: string }>(
  rows: readonly T[],
): Map<string, T> {
  const found = new Map<string, T>();
  for (const row of rows) {
    const key = keyOf(row);
    if (found.has(key)) throw damagedRow(row, 'once at one version');
    found.set(key, row);
  }
  return found;
}

/** Rows that come in the order of a version, taken a version at a time. */
class InTurn<T> {
  readonly #rows: Iterator<T>;
  readonly #versionOf: (row: T) => number;
  #next: IteratorResult<T>;

  constructor(rows: Iterable<T>, versionOf: (row: T) => number) {
    this.#rows = rows[Symbol.iterator]();
    this.#versionOf = versionOf;
    this.#next = this.#rows.next();
  }

  of(version: number): readonly T[] {
    const rows: T[] = [];
    for (; this.#next.done !== true; this.#next = this.#rows.next()) {
      if (this.#versionOf(this.#next.value) !== version) break;
      rows.push(this.#next.value);
    }
    return rows;
  }

  /** One, where there is any. */
  rest(): readonly T[] {
    return this.#next.done === true ? [] : [this.#next.value];
  }
}

function damagedRow(
  row: { readonly kind: string; readonly id: string },
  what: string,
): RegistryError {
  return damaged(`expected a value of ${row.kind}/${row.id} ${what}, got another or none`);
}
