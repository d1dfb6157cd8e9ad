/**
 * Whole sets as files, ready to be sent: written by a thread when they are first asked for, kept while they
 * are used and there is room. They are of this process alone: what another one left is removed.
 */
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { PreparedSet, PreparedSets, WholeSet } from '../../http/prepared-sets.ts';
import type { HttpTimers } from '../../http/timers.ts';
import type { Log } from '../../telemetry/log.ts';
import { SetFile } from './set-file.ts';
import type { SetOrder, SetOutcome } from './write-set.ts';

export interface SetFilesOptions {
  readonly directory: string;
  /** Of all together, and of those that are dropped and still read; one may have half of it. */
  readonly maxBytes: () => number;
  /** Left on the disk to others. */
  readonly minFreeBytes: () => number;
  /** Rejects when it is given up, or when the store does not give that set. */
  readonly write: (order: SetOrder, signal: AbortSignal) => Promise<SetOutcome>;
  readonly timers: HttpTimers;
  /** Of a clock that never goes back. */
  readonly nowMs: () => number;
  readonly log: Log;
}

interface Making {
  readonly name: string;
  readonly abort: AbortController;
  readonly made: Promise<SetFile | undefined>;
}

/** Who asks for a set that is being written waits so long for its first byte at most. */
const PATIENCE_MS = 10_000;
/** After a set that could not be written. */
const REST_MS = 60_000;
/** Each has an open file. */
const MAX_FILES = 16;
const NO_ROOM: SetOutcome = { outcome: 'no_room' };
const NAME = /^\d+-[0-9a-f]{16}-\d+\.json$/;

export class SetFiles implements PreparedSets, AsyncDisposable {
  readonly #options: SetFilesOptions;
  /** In order of use, the least recent first. */
  readonly #kept = new Map<string, SetFile>();
  /** Dropped, and perhaps still read: their bytes go with the last reader. */
  readonly #dropped = new Set<SetFile>();
  #making: Making | undefined;
  #made = 0;
  #restUntilMs = Number.NEGATIVE_INFINITY;
  /** Sets of so many descriptors are larger than one may be. */
  #tooLarge = { size: Number.POSITIVE_INFINITY, bytes: 0 };
  #isClosed = false;

  private constructor(options: SetFilesOptions) {
    this.#options = options;
  }

  static async open(options: SetFilesOptions): Promise<SetFiles> {
    const { directory, log } = options;
    try {
      for (const name of await namesIn(directory))
        if (NAME.test(name)) await rm(join(directory, name), { force: true });
    } catch (cause) {
      log.warn('sets that another process prepared cannot be removed', { directory, cause });
    }
    return new SetFiles(options);
  }

  async open(set: WholeSet): Promise<PreparedSet | undefined> {
    const name = `${set.version}-${set.setRoot.slice(3, 19)}`;
    const file = this.#kept.get(name) ?? (await this.#awaited(set, name));
    if (file === undefined) return undefined;
    this.#used(name, file);
    const body = await file.body((cause) => this.#changed(name, file, cause));
    if (body === undefined) this.#changed(name, file);
    return body && { bytes: file.bytes, body };
  }

  /** What was erased from the registry is erased from every file; resolves when it is gone. Never rejects. */
  async forget(): Promise<void> {
    this.#making?.abort.abort();
    await this.#making?.made;
    const files = [...this.#kept.values()];
    this.#kept.clear();
    await Promise.all(files.map((file) => this.#drop(file, { isErased: true })));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    await this.forget();
  }

  /** One is written at a time: their cost is bounded, not multiplied. */
  async #awaited(set: WholeSet, name: string): Promise<SetFile | undefined> {
    this.#making ??= this.#begin(set, name);
    if (this.#making?.name !== name) return undefined;
    const { timers } = this.#options;
    const patience = Promise.withResolvers<undefined>();
    const timer = timers.setTimeout(() => patience.resolve(undefined), PATIENCE_MS);
    try {
      return await Promise.race([this.#making.made, patience.promise]);
    } finally {
      timers.clearTimeout(timer);
    }
  }

  #begin(set: WholeSet, name: string): Making | undefined {
    const { maxBytes, nowMs } = this.#options;
    const most = Math.floor(maxBytes() / 2);
    const isTooLarge = set.size >= this.#tooLarge.size && most <= this.#tooLarge.bytes;
    if (this.#isClosed || most === 0 || isTooLarge || nowMs() < this.#restUntilMs) return undefined;
    const abort = new AbortController();
    const made = this.#make({ set, name, most, signal: abort.signal }).finally(() => {
      this.#making = undefined;
    });
    return { name, abort, made };
  }

  /** Never rejects. */
  async #make({
    set,
    name,
    most,
    signal,
  }: {
    set: WholeSet;
    name: string;
    most: number;
    signal: AbortSignal;
  }): Promise<SetFile | undefined> {
    const { directory, minFreeBytes, write, nowMs, log } = this.#options;
    const path = join(directory, `${name}-${this.#made++}.json`);
    const { version } = set;
    const beganMs = nowMs();
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      const maxBytes = Math.min(most, await this.#makeRoom(most));
      const order = { set, path, maxBytes, minFreeBytes: minFreeBytes() };
      const answer = maxBytes > 0 ? await write(order, signal) : NO_ROOM;
      if (answer.outcome === 'written') {
        const file = await SetFile.open(path, answer.file);
        this.#kept.set(name, file);
        log.info('a whole set was prepared', { version, bytes: file.bytes, ms: nowMs() - beganMs });
        return file;
      }
      const isHeldUp = answer.outcome === 'too_large' && maxBytes < most;
      const reason = isHeldUp ? 'no_room' : answer.outcome;
      // The next may be whole: only what would come again is waited out.
      if (reason === 'too_large') this.#tooLarge = { size: set.size, bytes: most };
      else if (reason === 'no_room') this.#rest();
      log.warn('a whole set is not prepared', { version, reason });
    } catch (cause) {
      await rm(path, { force: true }).catch(() => undefined);
      if (signal.aborted) return undefined;
      this.#rest();
      log.warn('a whole set cannot be prepared', { version, cause });
    }
    return undefined;
  }

  #rest(): void {
    this.#restUntilMs = this.#options.nowMs() + REST_MS;
  }

  /** For one more of `bytes`. Answers how many there are: fewer, or none, while what was dropped is still read. */
  async #makeRoom(bytes: number): Promise<number> {
    const maxBytes = this.#options.maxBytes();
    for (const [name, file] of this.#kept) {
      const isRoom = heldBytes(this.#kept.values()) <= maxBytes - bytes;
      if (isRoom && this.#kept.size < MAX_FILES) break;
      this.#kept.delete(name);
      await this.#drop(file);
    }
    for (const file of this.#dropped) if (!file.isOpen) this.#dropped.delete(file);
    const open = [...this.#kept.values(), ...this.#dropped];
    return open.length < MAX_FILES ? maxBytes - heldBytes(open) : 0;
  }

  #used(name: string, file: SetFile): void {
    if (this.#kept.delete(name)) this.#kept.set(name, file);
  }

  #changed(name: string, file: SetFile, cause?: unknown): void {
    const { log } = this.#options;
    if (this.#kept.get(name) === file) this.#kept.delete(name);
    log.error('a prepared set is not what was written: it is read from the registry', {
      name,
      cause,
    });
    void this.#drop(file);
  }

  async #drop(file: SetFile, how?: { readonly isErased: boolean }): Promise<void> {
    this.#dropped.add(file);
    try {
      await file.drop(how);
    } catch (cause) {
      this.#options.log.error('a prepared set cannot be removed', { cause });
    }
  }
}

function heldBytes(files: Iterable<SetFile>): number {
  return [...files].reduce((sum, file) => sum + file.heldBytes, 0);
}

async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}
