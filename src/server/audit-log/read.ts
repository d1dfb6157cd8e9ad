/**
 * An audit log read back and verified, line by line: what `quorate audit` does. Whose log it is and whether
 * its end was cut off cannot be seen in it: that takes a hash noted elsewhere.
 */
import { RegistryError } from '../../core/error.ts';
import type { Hash } from '../../core/hash.ts';
import { broken, ChainCheck, type Place } from './chain.ts';
import { linesOf } from './lines.ts';
import type { AuditRecord, Position } from './record.ts';

export interface AuditFile {
  /** As it is shown. */
  readonly name: string;
  /** Of a file that has its place in a directory. */
  readonly segment: number | undefined;
  chunks(): AsyncIterable<Uint8Array>;
}

export interface AuditSource {
  /** In their order. */
  readonly files: readonly AuditFile[];
  /** All there is of the log: what is missing before the first record must have been deleted by the log itself. */
  readonly isWhole: boolean;
}

export interface KeptRecord {
  readonly record: AuditRecord;
  /** Without its line feed. */
  readonly line: Uint8Array;
}

export interface AuditSummary {
  readonly log: string | null;
  readonly files: number;
  readonly records: number;
  readonly first: { readonly seq: number; readonly time: string };
  readonly last: Position;
  readonly accepted: number;
  readonly refused: number;
  /** Refusals that were counted only. */
  readonly suppressed: number;
  /** Events that could not be kept, and were counted. */
  readonly lost: number;
  /** Records before the first, as the log says. */
  readonly deleted: number;
  /** Times that a line without an end was cut off. */
  readonly recovered: number;
  /** At the end: a line that is being written, or that a crash cut short. */
  readonly tornBytes: number;
  /** Records after the expected one; `null` when none was expected. */
  readonly sinceExpected: number | null;
}

export interface ReadOptions {
  /** The hash of a record that must be there, or have been the last that was deleted. */
  readonly expectLast?: Hash | undefined;
}

/** To be read once: first all `records`, then the `summary`. */
export class AuditReading {
  readonly #source: AuditSource;
  readonly #expectLast: Hash | undefined;
  readonly #check = new ChainCheck();
  readonly #counts = { accepted: 0, refused: 0, suppressed: 0, lost: 0, recovered: 0 };
  #records = 0;
  #first: AuditRecord | undefined;
  #tornBytes = 0;
  #expectedSeq: number | undefined;
  #isBeginningKnown = false;

  constructor(source: AuditSource, { expectLast }: ReadOptions = {}) {
    this.#source = source;
    this.#expectLast = expectLast;
  }

  /** Throws `invalid_entry` with the place and what was expected there. */
  async *records(): AsyncGenerator<KeptRecord> {
    const { files } = this.#source;
    for (const [i, file] of files.entries()) {
      let line = 0;
      for await (const { bytes, isTorn } of linesOf(file.chunks())) {
        line++;
        const place = { file: file.name, line };
        if (isTorn && i < files.length - 1)
          throw broken(place, 'expected a whole line before the next file, got one without an end');
        if (isTorn) this.#tornBytes = bytes.length;
        else yield { record: this.#accept(bytes, { place, file }), line: bytes };
      }
      if (line === 0 && i < files.length - 1)
        throw broken({ file: file.name, line: 1 }, 'expected a record, got an empty file');
    }
    this.#assertWhole();
  }

  summary(): AuditSummary {
    const end = this.#check.end;
    if (this.#first === undefined || end === undefined) throw nothing(this.#source);
    return {
      log: this.#check.log ?? null,
      files: this.#source.files.length,
      records: this.#records,
      first: { seq: this.#first.seq, time: this.#first.time },
      last: end,
      ...this.#counts,
      deleted: this.#source.isWhole ? this.#first.seq - 1 : 0,
      tornBytes: this.#tornBytes,
      sinceExpected: this.#expectedSeq === undefined ? null : end.seq - this.#expectedSeq,
    };
  }

  #accept(bytes: Uint8Array, { place, file }: { place: Place; file: AuditFile }): AuditRecord {
    const record = this.#check.accept(bytes, place);
    assertInItsFile(record, { place, file });
    this.#first ??= record;
    this.#records++;
    this.#count(record);
    if (record.act === 'deleted') this.#believeDeletion(record);
    if (this.#first === record && record.prev === this.#expectLast && record.prev !== null)
      this.#expectedSeq = record.seq - 1;
    if (this.#check.end?.hash === this.#expectLast) this.#expectedSeq = record.seq;
    return record;
  }

  #believeDeletion({ last_seq, last_hash }: AuditRecord & { readonly act: 'deleted' }): void {
    if (last_seq + 1 === this.#first?.seq && last_hash === this.#first.prev)
      this.#isBeginningKnown = true;
    if (last_hash === this.#expectLast) this.#expectedSeq = last_seq;
  }

  #count(record: AuditRecord): void {
    if ('decision' in record) this.#counts[record.decision]++;
    if (record.act === 'recovered') this.#counts.recovered++;
    if (record.act === 'lost') this.#counts.lost += record.accepted + record.refused;
    if (record.act === 'suppressed')
      for (const count of Object.values(record.codes)) this.#counts.suppressed += count;
  }

  #assertWhole(): void {
    const first = this.#first;
    if (first === undefined) throw nothing(this.#source);
    if (this.#source.isWhole && first.seq !== 1 && !this.#isBeginningKnown)
      throw new RegistryError(
        'invalid_entry',
        `expected record 1, or an act deleted that ends with record ${first.seq - 1} and ${first.prev}, got a log that begins with record ${first.seq}`,
      );
    if (this.#expectLast !== undefined && this.#expectedSeq === undefined)
      throw new RegistryError(
        'invalid_entry',
        `expected a record with the hash ${this.#expectLast}, got a log of records ${first.seq} to ${this.#check.end?.seq} without it: its end was cut off, it was rewritten, or this is another log`,
      );
  }
}

/** A segment begins with the record that says so, and has no other like it. */
function assertInItsFile(
  record: AuditRecord,
  { place, file }: { readonly place: Place; readonly file: AuditFile },
): void {
  if (file.segment === undefined) return;
  const isBeginning = record.act === 'segment';
  if (isBeginning !== (place.line === 1))
    throw broken(
      place,
      `expected act segment in line 1 and nowhere else, got act ${record.act} in line ${place.line}`,
    );
  if (isBeginning && record.segment !== file.segment)
    throw broken(
      place,
      `expected segment ${file.segment}, as the file is named, got ${record.segment}`,
    );
}

function nothing({ files }: AuditSource): RegistryError {
  const where =
    files.length === 0 ? 'a directory without segments' : files.map(({ name }) => name).join(', ');
  return new RegistryError('invalid_entry', `expected an audit record, got none in ${where}`);
}
