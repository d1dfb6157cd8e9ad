/**
 * Where a log goes on after a stop or a crash. Its last segment is verified whole, and how it hangs on
 * the one before; the others are for `quorate audit verify`. A line that never got its end is cut off;
 * anything else that does not verify is nobody's to repair here.
 */
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { RegistryError } from '../../core/error.ts';
import { hashOf } from '../../core/hash.ts';
import { broken, ChainCheck } from './chain.ts';
import type { Segment } from './directory.ts';
import { linesOf } from './lines.ts';
import { type AuditRecord, MAX_LINE_BYTES, type Position, parseRecord } from './record.ts';

export interface RecoveredEnd {
  readonly log: string;
  readonly number: number;
  readonly path: string;
  readonly older: readonly Segment[];
  readonly goodBytes: number;
  /** Of lines without an end, there and in what is to be removed. */
  readonly tornBytes: number;
  readonly position: Position;
}

export interface Recovered {
  /** A last segment without one whole line: begun when the process ended, to be removed. */
  readonly begun: Segment | undefined;
  /** `undefined`: there is no log yet. */
  readonly end: RecoveredEnd | undefined;
}

/** Throws `storage_damaged`. */
export async function recoverEnd(segments: readonly Segment[]): Promise<Recovered> {
  const last = segments.at(-1);
  if (last === undefined) return { begun: undefined, end: undefined };
  const found = await verifyLast(segments);
  if (found !== undefined) return { begun: undefined, end: found };
  const before = await verifyLast(segments.slice(0, -1));
  if (before === undefined && segments.length > 1)
    throw new RegistryError(
      'storage_damaged',
      `expected a record in ${segments.at(-2)?.path}, got none`,
    );
  const end = before && { ...before, tornBytes: before.tornBytes + last.bytes };
  return { begun: last, end };
}

/** `undefined` when it has no whole line. */
async function verifyLast(segments: readonly Segment[]): Promise<RecoveredEnd | undefined> {
  const last = segments.at(-1);
  if (last === undefined) return undefined;
  const older = segments.slice(0, -1);
  const before = older.at(-1);
  const check = new ChainCheck();
  let line = 0;
  let goodBytes = 0;
  let tornBytes = 0;
  for await (const { bytes, isTorn } of linesOf(createReadStream(last.path))) {
    line++;
    const place = { file: last.path, line };
    if (isTorn) {
      tornBytes = last.bytes - goodBytes;
      break;
    }
    const record = damaged(() => check.accept(bytes, place));
    if (line === 1) await assertBegins(record, { last, before });
    goodBytes += bytes.length + 1;
  }
  const { end, log } = check;
  if (end === undefined || log === undefined) return undefined;
  const { number, path } = last;
  return { log, number, path, older, goodBytes, tornBytes, position: end };
}

async function assertBegins(
  record: AuditRecord,
  { last, before }: { readonly last: Segment; readonly before: Segment | undefined },
): Promise<void> {
  const place = { file: last.path, line: 1 };
  if (record.act !== 'segment' || record.segment !== last.number)
    throw broken(place, `expected act segment of segment ${last.number}, got another record`, {
      code: 'storage_damaged',
    });
  if (before === undefined) return;
  const end = await lastLine(before);
  const { seq } = damaged(() => parseRecord(end));
  if (record.prev !== hashOf(end) || record.seq !== seq + 1)
    throw broken(
      place,
      `expected it to go on from the last line of ${before.path}, got otherwise`,
      {
        code: 'storage_damaged',
      },
    );
}

/** Throws `storage_damaged` where there is no such file, or no record. */
export async function firstRecord(path: string): Promise<AuditRecord> {
  const stream = createReadStream(path, { end: MAX_LINE_BYTES });
  for await (const { bytes } of linesOf(readable(stream, path)))
    return damaged(() => parseRecord(bytes));
  throw new RegistryError('storage_damaged', `expected a record in ${path}, got none`);
}

async function* readable(stream: AsyncIterable<Uint8Array>, path: string) {
  try {
    yield* stream;
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'ENOENT')) throw cause;
    throw new RegistryError('storage_damaged', `expected a file at ${path}, got none`, { cause });
  }
}

async function lastLine({ path, bytes }: Segment): Promise<Uint8Array> {
  const length = Math.min(bytes, MAX_LINE_BYTES + 2);
  const tail = new Uint8Array(length);
  await using handle = await open(path, 'r');
  await handle.read(tail, 0, length, bytes - length);
  const from = tail.lastIndexOf(0x0a, -2) + 1;
  if (tail.at(-1) !== 0x0a)
    throw new RegistryError('storage_damaged', `expected ${path} to end with a whole line`);
  return tail.subarray(from, -1);
}

function damaged<T>(check: () => T): T {
  try {
    return check();
  } catch (cause) {
    if (!(cause instanceof RegistryError)) throw cause;
    throw new RegistryError('storage_damaged', cause.message, { cause });
  }
}
