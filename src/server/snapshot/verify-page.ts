/**
 * The rows of a page of versions held against the payloads of these versions: both are in the order of keys,
 * and are walked together, their bytes compared where they stand.
 */
import { RegistryError } from '../../core/error.ts';
import { changesOf, decodePayload } from '../../core/payload.ts';
import { damaged } from '../../registry/stored.ts';
import type { ChangePage } from '../../store/sqlite-scan.ts';
import { ChangeReader } from '../change-reader.ts';
import { HASH_BYTES, hashEach } from '../fast-hash/hash-each.ts';
import { assertHashes, assertPieces } from './pieces.ts';

/** What rows may lack. */
export interface RowsKept {
  /** Below it are values whose payloads were pruned, as far as they are in the set at it. */
  readonly oldest: number;
  readonly erased: ReadonlySet<number>;
}

const SLASH = 0x2f;
/** Between the kind and the spec of a value: the members of a descriptor have one order. */
const SPEC = Buffer.from(',"spec":');

export class PageCheck {
  readonly #page: ChangePage;
  readonly #kept: RowsKept;
  readonly #changes: ChangeReader;
  /** The next row that an entry must have put, and where its parts begin in their columns. */
  #value = 0;
  #valueKeyAt = 0;
  #valueAt = 0;
  /** The next row that an entry must have ended. */
  #ended = 0;
  #endedKeyAt = 0;

  constructor(page: ChangePage, kept: RowsKept) {
    this.#page = page;
    this.#kept = kept;
    this.#changes = new ChangeReader(page.payloads.bytes);
  }

  /** Throws `storage_damaged`. */
  assertRows(): void {
    const { payloads, values, ended } = this.#page;
    this.#assertColumns();
    this.#assertHashes();
    let at = 0;
    for (const [i, version] of payloads.versions.entries()) {
      const end = at + (payloads.lengths[i] ?? 0);
      this.#assertVersion(version, at, end);
      at = end;
    }
    if (this.#value < values.lengths.length) throw this.#damagedValue('that an entry put');
    if (this.#ended < ended.keyLengths.length) throw this.#damagedEnd('that an entry ended');
  }

  #assertColumns(): void {
    const { payloads, values, ended } = this.#page;
    assertPieces(payloads.bytes, payloads.lengths);
    assertPieces(values.keys, values.keyLengths);
    assertPieces(values.bytes, values.lengths);
    assertHashes(values.hashes, values.setVersions.length);
    assertPieces(ended.keys, ended.keyLengths);
  }

  /** All at once; which one is wrong, or erased, is looked for where one is. */
  #assertHashes(): void {
    const { bytes, lengths, hashes, setVersions, keys, keyLengths } = this.#page.values;
    const digests = hashEach(bytes, lengths);
    if (hashes.equals(digests)) return;
    let keyAt = 0;
    for (const [i, version] of setVersions.entries()) {
      const [begin, end] = [i * HASH_BYTES, (i + 1) * HASH_BYTES];
      const keyEnd = keyAt + (keyLengths[i] ?? 0);
      const isRight = hashes.subarray(begin, end).equals(digests.subarray(begin, end));
      if (!isRight && !this.#kept.erased.has(version))
        throw damagedRow(keys.subarray(keyAt, keyEnd), 'that hashes to its value hash');
      keyAt = keyEnd;
    }
  }

  #assertVersion(version: number, at: number, end: number): void {
    const { erased, oldest } = this.#kept;
    if (erased.has(version)) this.#skipVersion(version, { isErased: true });
    else if (version < oldest) this.#skipVersion(version, { isErased: false });
    else {
      if (this.#changes.enter(at)) this.#assertChanges(version);
      else assertNoChanges(this.#page.payloads.bytes.subarray(at, end), version);
      if (this.#isValueOf(version))
        throw this.#damagedValue(`at version ${version} only as its entry says`);
      if (this.#isEndedAt(version))
        throw this.#damagedEnd(`that ends at version ${version} only as its entry says`);
    }
  }

  /** No payload says what the entry did; of what was erased nothing may be left. */
  #skipVersion(version: number, { isErased }: { readonly isErased: boolean }): void {
    while (this.#isValueOf(version)) {
      if (isErased && this.#page.values.lengths[this.#value] !== 0)
        throw this.#damagedValue('that is gone, as an entry demands');
      this.#nextValue();
    }
    while (this.#isEndedAt(version)) this.#nextEnded();
  }

  #assertChanges(version: number): void {
    const changes = this.#changes;
    // What ended at the oldest version is not in its set, and so not kept.
    const mayLackEnded = version === this.#kept.oldest;
    while (changes.next()) {
      if (changes.specAt >= 0) {
        if (!this.#isPut(version))
          throw this.#damagedChange(`at version ${version} as its entry says`);
        this.#nextValue();
      }
      if (!changes.isReplacing) continue;
      if (this.#isEnded(version)) this.#nextEnded();
      else if (!mayLackEnded) throw this.#damagedChange(`that ended at version ${version}`);
    }
    if (!changes.isWhole) throw notCanonical(version);
  }

  #isPut(version: number): boolean {
    const { keys, keyLengths } = this.#page.values;
    return (
      this.#isValueOf(version) &&
      this.#isKey(keys, this.#valueKeyAt, keyLengths[this.#value]) &&
      this.#isValue()
    );
  }

  #isEnded(version: number): boolean {
    const { keys, keyLengths } = this.#page.ended;
    return this.#isEndedAt(version) && this.#isKey(keys, this.#endedKeyAt, keyLengths[this.#ended]);
  }

  /** Of the change that was read last. */
  #isKey(keys: Buffer, at: number, length: number | undefined): boolean {
    const { bytes } = this.#page.payloads;
    const { kindAt, kindEnd, idAt, idEnd } = this.#changes;
    const slashAt = at + kindEnd - kindAt;
    return (
      length === kindEnd - kindAt + 1 + idEnd - idAt &&
      isSame(keys, at, bytes, kindAt, kindEnd) &&
      keys[slashAt] === SLASH &&
      isSame(keys, slashAt + 1, bytes, idAt, idEnd)
    );
  }

  /** A value begins as its change does, up to its kind, and ends as it does, from its spec on. */
  #isValue(): boolean {
    const { payloads, values } = this.#page;
    const { begin, kindEnd, specAt, specEnd } = this.#changes;
    const at = this.#valueAt;
    const middleAt = at + kindEnd + 1 - begin;
    return (
      values.lengths[this.#value] === kindEnd + 1 - begin + SPEC.length + specEnd + 1 - specAt &&
      isSame(values.bytes, at, payloads.bytes, begin, kindEnd + 1) &&
      isSame(values.bytes, middleAt, SPEC, 0, SPEC.length) &&
      isSame(values.bytes, middleAt + SPEC.length, payloads.bytes, specAt, specEnd + 1)
    );
  }

  #isValueOf(version: number): boolean {
    return this.#page.values.setVersions[this.#value] === version;
  }

  #isEndedAt(version: number): boolean {
    return this.#page.ended.endVersions[this.#ended] === version;
  }

  #nextValue(): void {
    const { keyLengths, lengths } = this.#page.values;
    this.#valueKeyAt += keyLengths[this.#value] ?? 0;
    this.#valueAt += lengths[this.#value] ?? 0;
    this.#value++;
  }

  #nextEnded(): void {
    this.#endedKeyAt += this.#page.ended.keyLengths[this.#ended] ?? 0;
    this.#ended++;
  }

  #damagedValue(what: string): RegistryError {
    const { keys, keyLengths } = this.#page.values;
    const end = this.#valueKeyAt + (keyLengths[this.#value] ?? 0);
    return damagedRow(keys.subarray(this.#valueKeyAt, end), what);
  }

  #damagedEnd(what: string): RegistryError {
    const { keys, keyLengths } = this.#page.ended;
    const end = this.#endedKeyAt + (keyLengths[this.#ended] ?? 0);
    return damagedRow(keys.subarray(this.#endedKeyAt, end), what);
  }

  #damagedChange(what: string): RegistryError {
    const { bytes } = this.#page.payloads;
    const { kindAt, kindEnd, idAt, idEnd } = this.#changes;
    const parts = [bytes.subarray(kindAt, kindEnd), Buffer.of(SLASH), bytes.subarray(idAt, idEnd)];
    return damagedRow(Buffer.concat(parts), what);
  }
}

/** Up to here a call takes longer than to compare. */
const FEW_BYTES = 64;

/** Whether `b` from `begin` to `end` stands in `a` at `at`. */
function isSame(a: Buffer, at: number, b: Buffer, begin: number, end: number): boolean {
  if (end - begin > FEW_BYTES) return a.compare(b, begin, end, at, at + end - begin) === 0;
  for (let i = 0; i < end - begin; i++) if (a[at + i] !== b[begin + i]) return false;
  return true;
}

/** A payload of another type. */
function assertNoChanges(bytes: Uint8Array, version: number): void {
  if (countChanges(bytes, version) > 0) throw notCanonical(version);
}

function notCanonical(version: number): RegistryError {
  return damaged(`expected canonical changes at version ${version}, got others`);
}

function countChanges(bytes: Uint8Array, version: number): number {
  try {
    return changesOf(decodePayload(bytes).payload).length;
  } catch (cause) {
    if (!(cause instanceof RegistryError)) throw cause;
    // What is no payload may be anything: neither this nor the cause is quoted.
    throw damaged(
      `expected a payload at version ${version}, got ${bytes.length} bytes that are none (${cause.code})`,
    );
  }
}

function damagedRow(key: Buffer, what: string): RegistryError {
  return damaged(`expected a value of ${key.toString('latin1')} ${what}, got another or none`);
}
