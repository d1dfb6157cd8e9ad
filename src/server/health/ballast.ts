/**
 * Room that the registry holds so that there is some to give up: on a full disk an operator's acts, a
 * restart and its recovery need a little. It is taken when there is plenty and given up at the hard mark.
 * Whether writes pass does not depend on it: what it gave up counts as taken until it is taken again.
 */
import { join } from 'node:path';
import type { Log } from '../../telemetry/log.ts';
import { ballastSize, fillBallast, removeBallast, shortenBallast } from './ballast-file.ts';
import { type DiskMarks, endOfMark } from './disk-marks.ts';

/** A start has better things to do first. */
const FIRST_MS = 5_000;
/** After a try that found no room although the disk tells of some, as under a quota. */
const RETRY_MS = 600_000;
/** The same while writes wait for it. */
const PROBE_MS = 60_000;
/** Less than this is no room, whatever the marks say. */
const LEAST_BYTES = 1024 * 1024;

export interface BallastParts {
  readonly dataDir: string;
  /** In force now; 0: none. */
  readonly bytes: () => number;
  /** Of a clock that never goes back. */
  readonly nowMs: () => number;
  readonly log: Pick<Log, 'info' | 'warn'>;
}

/** What is known of the disk. */
export interface DiskState {
  readonly freeBytes: number | undefined;
  /** What of it may be used: without what the ballast will take again. */
  readonly roomBytes: number | undefined;
  readonly marks: DiskMarks;
  /** The last write found no room. */
  readonly isRefused: boolean;
}

type Work = 'make' | 'probe' | 'release' | 'fit';

const FAILED: Readonly<Record<Work, string>> = {
  make: 'the ballast could not be made',
  probe: 'the ballast could not be made again: there is no room for it yet',
  release: 'the ballast could not be released',
  fit: 'the ballast could not be made smaller',
};

export class Ballast {
  readonly #parts: BallastParts;
  readonly #path: string;
  #size: number | undefined;
  /** It was there: now that it is not, somebody removed it to have its room. */
  #wasThere = false;
  #isAwaitingRoom = false;
  #work: Work | undefined;
  #ended: Promise<void> = Promise.resolve();
  #isClosed = false;
  #stop = new AbortController();
  #notBeforeMs: number;
  /** What stands there is a file, or nothing. */
  #isKnown = false;
  #isFailing = false;

  constructor(parts: BallastParts) {
    this.#parts = parts;
    this.#path = ballastPath(parts.dataDir);
    this.#notBeforeMs = parts.nowMs() + FIRST_MS;
  }

  /**
   * A write found no room although the disk tells of some: only bytes that could be written show that
   * there is room, and until then what was released is not for writes.
   */
  get isAwaitingRoom(): boolean {
    return this.#isAwaitingRoom;
  }

  /** How much it will take again, once there is room. 0 for one that was never there: its room was never promised. */
  get missingBytes(): number {
    const isGiven = this.#size === 0 || (this.#size === undefined && this.#wasThere);
    const isTaking = this.#work === 'make' || this.#work === 'probe';
    return isGiven || isTaking ? Math.max(0, this.#parts.bytes() - (this.#size ?? 0)) : 0;
  }

  /** Never rejects. */
  async look(): Promise<void> {
    try {
      this.#size = await ballastSize(this.#path);
      this.#wasThere ||= this.#size !== undefined;
      this.#isKnown = true;
    } catch (cause) {
      this.#isKnown = false;
      this.#failed('the ballast cannot be looked at', cause);
    }
  }

  /** To be called after each look. Begins what is to be done, one thing at a time. */
  tend(disk: DiskState): void {
    if (this.#isClosed || !this.#isKnown) return;
    const isShort = isShortOf(disk);
    if (this.#work === 'make' && isShort) this.#stop.abort();
    if (this.#work !== undefined) return;
    this.#work = this.#next(disk, isShort);
    if (this.#work === undefined) return;
    this.#stop = new AbortController();
    this.#ended = this.#do(this.#work, disk);
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    await this.#ended;
  }

  /** A ballast that is being made is given up: the next start makes it. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#stop.abort();
    await this.#ended;
  }

  #next(disk: DiskState, isShort: boolean): Work | undefined {
    const bytes = this.#parts.bytes();
    const size = this.#size ?? 0;
    if (isShort) return size > 0 ? 'release' : undefined;
    if (size >= bytes) this.#isAwaitingRoom = false;
    if (size > bytes || (bytes === 0 && this.#size !== undefined)) return 'fit';
    if (size === bytes || this.#parts.nowMs() < this.#notBeforeMs) return undefined;
    if (this.#isAwaitingRoom) return mayHaveRoom(disk) ? 'probe' : undefined;
    return hasPlenty(disk, { bytes, size }) ? 'make' : undefined;
  }

  /** Never rejects. */
  async #do(work: Work, disk: DiskState): Promise<void> {
    try {
      if (work === 'release') await this.#release(disk);
      else if (work === 'fit') await this.#fit();
      else await this.#make(work, disk.marks);
      this.#isFailing = false;
    } catch (cause) {
      this.#notBeforeMs = this.#parts.nowMs() + (work === 'probe' ? PROBE_MS : RETRY_MS);
      if (!this.#stop.signal.aborted) this.#failed(FAILED[work], cause);
    } finally {
      await this.look();
      this.#work = undefined;
    }
  }

  async #make(work: 'make' | 'probe', { minBytes }: DiskMarks): Promise<void> {
    const bytes = this.#parts.bytes();
    const spareBytes = work === 'probe' ? endOfMark(minBytes) - minBytes : 0;
    await fillBallast(this.#path, { bytes, spareBytes, signal: this.#stop.signal });
    this.#isAwaitingRoom = false;
    this.#parts.log.info('the ballast was made', { bytes });
  }

  async #release({ freeBytes, isRefused }: DiskState): Promise<void> {
    const bytes = this.#size ?? 0;
    await shortenBallast(this.#path, 0);
    this.#isAwaitingRoom ||= isRefused;
    tellRelease(this.#parts.log, { bytes, freeBytes });
  }

  /** A reload made it smaller, or wants none. */
  async #fit(): Promise<void> {
    const bytes = this.#parts.bytes();
    if (bytes === 0) await removeBallast(this.#path);
    else await shortenBallast(this.#path, bytes);
    this.#wasThere = bytes > 0;
  }

  /** Once, until something went well. */
  #failed(what: string, cause: unknown): void {
    if (!this.#isFailing) this.#parts.log.warn(what, { cause });
    this.#isFailing = true;
  }
}

export interface StartParts {
  readonly dataDir: string;
  readonly minBytes: number;
  readonly freeBytes: () => Promise<number>;
  readonly log: Pick<Log, 'warn'>;
}

/**
 * To be called before the store is opened, which needs room to recover. Whoever has the store open would
 * have released it as well, so that a second process does no harm. Never rejects.
 */
export async function releaseAtStart({ dataDir, minBytes, ...parts }: StartParts): Promise<void> {
  const path = ballastPath(dataDir);
  try {
    const bytes = (await ballastSize(path)) ?? 0;
    if (bytes === 0) return;
    const freeBytes = await parts.freeBytes();
    if (freeBytes >= Math.max(minBytes, LEAST_BYTES)) return;
    await shortenBallast(path, 0);
    tellRelease(parts.log, { bytes, freeBytes });
  } catch (cause) {
    parts.log.warn(FAILED.release, { cause });
  }
}

function ballastPath(dataDir: string): string {
  return join(dataDir, 'ballast');
}

function isShortOf({ isRefused, roomBytes, marks }: DiskState): boolean {
  return isRefused || (roomBytes !== undefined && roomBytes < marks.minBytes);
}

function mayHaveRoom({ roomBytes, marks }: DiskState): boolean {
  return roomBytes === undefined || roomBytes >= endOfMark(marks.minBytes);
}

/** With the ballast made no mark is near, and as much again is left. */
function hasPlenty(
  { freeBytes, marks }: DiskState,
  { bytes, size }: { readonly bytes: number; readonly size: number },
): boolean {
  const { warnBytes, minBytes } = marks;
  const least = Math.max(endOfMark(warnBytes), endOfMark(minBytes), bytes);
  return freeBytes !== undefined && freeBytes - (bytes - size) >= least;
}

function tellRelease(
  log: Pick<Log, 'warn'>,
  { bytes, freeBytes }: { readonly bytes: number; readonly freeBytes: number | undefined },
): void {
  log.warn(
    'the ballast was released for operator acts and a restart: free some space or enlarge the volume, then it is made again',
    { bytes, free_bytes: freeBytes ?? null },
  );
}
