/** The audit log of a data directory: segments that are begun, filled, closed and, at the bound, deleted. */
import { unlink } from 'node:fs/promises';
import { RegistryError } from '../../core/error.ts';
import {
  listSegments,
  makeAuditDirectory,
  removeSegment,
  type Segment,
  segmentPath,
  syncDirectory,
} from './directory.ts';
import { BEFORE_FIRST, type Draft, type Position, sealRecord } from './record.ts';
import { firstRecord, recoverEnd } from './recover.ts';
import { SegmentFile } from './segment-file.ts';
import type { AuditSink } from './sink.ts';

const SHARE = 8;
const MIN_SEGMENT_BYTES = 64 * 1024;
// A start reads the last one whole: this much costs it some tenths of a second.
const MAX_SEGMENT_BYTES = 8 * 1024 * 1024;

export interface FileSinkOptions {
  readonly directory: string;
  readonly maxBytes: number;
  readonly now: () => number;
  /** For a log that is begun. */
  readonly newLogId: () => string;
}

/** Throws `storage_damaged` for a log whose end does not verify, and what the file system throws. */
export async function openFileSink(options: FileSinkOptions): Promise<FileSink> {
  const { directory, now } = options;
  await makeAuditDirectory(directory);
  const { begun, end } = await recoverEnd(await listSegments(directory));
  if (begun !== undefined) await removeSegment(directory, begun);
  if (end === undefined) return await beginLog(options);
  const file = await SegmentFile.reopen(end.path, end.goodBytes);
  const sink = new FileSink(options, { ...end, file });
  if (end.tornBytes === 0) return sink;
  try {
    await sink.write([{ at: now(), members: { act: 'recovered', bytes: end.tornBytes } }]);
  } catch (error) {
    await sink.close().catch(() => undefined);
    throw error;
  }
  return sink;
}

async function beginLog(options: FileSinkOptions): Promise<FileSink> {
  const log = options.newLogId();
  const draft: Draft = { at: options.now(), members: { act: 'segment', log, segment: 1 } };
  const begun = await createSegment(options.directory, { number: 1, draft, after: BEFORE_FIRST });
  return new FileSink(options, { ...begun, log, older: [], number: 1 });
}

interface Open {
  readonly log: string;
  readonly file: SegmentFile;
  readonly number: number;
  readonly older: readonly Segment[];
  readonly position: Position;
}

class FileSink implements AuditSink {
  readonly log: string;
  readonly #directory: string;
  #file: SegmentFile;
  #number: number;
  #older: Segment[];
  #position: Position;
  #maxBytes: number;

  constructor({ directory, maxBytes }: FileSinkOptions, opened: Open) {
    this.log = opened.log;
    this.#directory = directory;
    this.#maxBytes = maxBytes;
    this.#file = opened.file;
    this.#number = opened.number;
    this.#older = [...opened.older];
    this.#position = opened.position;
  }

  get position(): Position {
    return this.#position;
  }

  get isSuspect(): boolean {
    return this.#file.isSuspect;
  }

  setMaxBytes(bytes: number): void {
    this.#maxBytes = bytes;
  }

  async write(drafts: readonly Draft[]): Promise<number> {
    const [first] = drafts;
    if (first === undefined) return 0;
    if (!this.#fits(sealRecord(first, this.#position).bytes.length)) await this.#rotate(first.at);
    while (this.#isOverBound()) await this.#deleteOldest(first.at);
    let position = this.#position;
    const lines: Uint8Array[] = [];
    let bytes = 0;
    for (const draft of drafts) {
      const sealed = sealRecord(draft, position);
      if (lines.length > 0 && !this.#fits(bytes + sealed.bytes.length)) break;
      bytes += sealed.bytes.length;
      lines.push(sealed.bytes);
      position = sealed.position;
    }
    await this.#file.append(Buffer.concat(lines, bytes));
    this.#position = position;
    return lines.length;
  }

  sync(): Promise<void> {
    return this.#file.sync();
  }

  mend(): Promise<void> {
    return this.#file.mend();
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  #segmentBytes(): number {
    const share = Math.floor(this.#maxBytes / SHARE);
    return Math.min(MAX_SEGMENT_BYTES, Math.max(MIN_SEGMENT_BYTES, share));
  }

  #fits(bytes: number): boolean {
    return this.#file.bytes + bytes <= this.#segmentBytes();
  }

  /** The old one is durable before the new one refers to it. */
  async #rotate(at: number): Promise<void> {
    await this.#file.sync();
    const number = this.#number + 1;
    const draft: Draft = { at, members: { act: 'segment', log: this.log, segment: number } };
    const begun = await createSegment(this.#directory, { number, draft, after: this.#position });
    const old = this.#file;
    this.#older.push({ number: this.#number, path: old.path, bytes: old.bytes });
    this.#file = begun.file;
    this.#number = number;
    this.#position = begun.position;
    await old.close();
  }

  /** With room for the segment that is being filled. */
  #isOverBound(): boolean {
    const older = this.#older.reduce((sum, { bytes }) => sum + bytes, 0);
    const current = Math.max(this.#file.bytes, this.#segmentBytes());
    return this.#older.length > 0 && older + current > this.#maxBytes;
  }

  /** Recorded, and that durable, before it is done: a deletion that nothing tells of looks like an attack. */
  async #deleteOldest(at: number): Promise<void> {
    const [oldest, next] = [...this.#older, { path: this.#file.path }];
    if (oldest === undefined || next === undefined || !('number' in oldest)) return;
    const [first, after] = await Promise.all([firstRecord(oldest.path), firstRecord(next.path)]);
    if (after.prev === null)
      throw new RegistryError('storage_damaged', `expected ${next.path} to go on from a record`);
    const members = {
      act: 'deleted' as const,
      segment: oldest.number,
      first_seq: first.seq,
      last_seq: after.seq - 1,
      last_hash: after.prev,
    };
    const { bytes, position } = sealRecord({ at, members }, this.#position);
    await this.#file.append(bytes);
    this.#position = position;
    await this.#file.sync();
    await removeSegment(this.#directory, oldest);
    this.#older.shift();
  }
}

interface NewSegment {
  readonly number: number;
  /** The first record. */
  readonly draft: Draft;
  readonly after: Position;
}

/** All of it and durable, or none. */
async function createSegment(
  directory: string,
  { number, draft, after }: NewSegment,
): Promise<{ file: SegmentFile; position: Position }> {
  const path = segmentPath(directory, number);
  const file = await SegmentFile.create(path);
  try {
    const { bytes, position } = sealRecord(draft, after);
    await file.append(bytes);
    await file.sync();
    await syncDirectory(directory);
    return { file, position };
  } catch (error) {
    await file.close().catch(() => undefined);
    await unlink(path).catch(() => undefined);
    throw error;
  }
}
