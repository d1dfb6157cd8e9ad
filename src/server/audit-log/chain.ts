/** The rules that lines of an audit log obey together, one line after the other. Pure. */
import { type ErrorCode, RegistryError } from '../../core/error.ts';
import { hashOf } from '../../core/hash.ts';
import { type AuditRecord, type Position, parseRecord } from './record.ts';

/** A mistake in a log is worth nothing without its place. */
export interface Place {
  /** As it is shown: a file name, or `standard input`. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
}

/** What stands before the first line is taken on its word: whoever knows better compares. */
export class ChainCheck {
  #end: Position | undefined;
  #segment: number | undefined;
  #log: string | undefined;

  /** After the last accepted line. */
  get end(): Position | undefined {
    return this.#end;
  }

  /** The last that a `segment` record named. */
  get segment(): number | undefined {
    return this.#segment;
  }

  get log(): string | undefined {
    return this.#log;
  }

  /** `line`: without its line feed. Throws `invalid_entry` with the place, and what was expected there. */
  accept(line: Uint8Array, place: Place): AuditRecord {
    const record = at(place, () => parseRecord(line));
    const end = this.#end;
    if (end !== undefined) assertFollows(record, end, place);
    else if ((record.seq === 1) !== (record.prev === null))
      throw broken(place, 'expected prev to be null in record 1 and nowhere else, got otherwise');
    if (record.act === 'segment') this.#acceptSegment(record, place);
    else if (record.seq === 1)
      throw broken(place, `expected a log to begin with act segment, got ${record.act}`);
    this.#end = { seq: record.seq, hash: hashOf(line), time: record.time };
    return record;
  }

  #acceptSegment(record: AuditRecord & { readonly act: 'segment' }, place: Place): void {
    const next = record.seq === 1 ? 1 : this.#segment === undefined ? undefined : this.#segment + 1;
    if (next !== undefined && record.segment !== next)
      throw broken(place, `expected segment ${next}, got ${record.segment}`);
    if (this.#log !== undefined && record.log !== this.#log)
      throw broken(place, `expected log ${this.#log}, got ${record.log}`);
    this.#segment = record.segment;
    this.#log = record.log;
  }
}

function assertFollows(record: AuditRecord, end: Position, place: Place): void {
  if (record.seq !== end.seq + 1)
    throw broken(place, `expected record ${end.seq + 1}, got record ${record.seq}`);
  if (record.prev !== end.hash)
    throw broken(
      place,
      `expected prev of record ${record.seq} to be ${end.hash}, the hash of the line before, got ${record.prev}`,
    );
  if (record.time < end.time)
    throw broken(place, `expected a time not before ${end.time}, got ${record.time}`);
}

function at<T>(place: Place, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof RegistryError) throw broken(place, error.message, { cause: error });
    throw error;
  }
}

export function broken(
  { file, line }: Place,
  message: string,
  { code = 'invalid_entry', cause }: { readonly code?: ErrorCode; readonly cause?: unknown } = {},
): RegistryError {
  return new RegistryError(code, `${file}, line ${line}: ${message}`, {
    cause,
    details: { file, line },
  });
}
