/**
 * Removes the blobs that nothing names any more, now and then or when it is told to. A blob that is named is
 * never among them: who is about to name it, or does so during a walk, is seen by `hold`, who named it before by the walk.
 */
import { extname } from 'node:path';
import { RegistryError } from '../../core/error.ts';
import type { Hash } from '../../core/hash.ts';
import type { RegistryTimers } from '../../registry/options.ts';
import type { Log } from '../../telemetry/log.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import { runThread } from '../reporting-thread.ts';
import type { FileBlobs } from './file-blobs.ts';
import { namedBlobs } from './named-blobs.ts';

/** What the thread is given. */
export interface CollectData {
  readonly dataDir: string;
  readonly databasePath: string;
  /** Those that were put last before this, in milliseconds since 1970. */
  readonly beforeMs: number;
}

export interface Collected {
  readonly blobs: number;
  readonly bytes: number;
}

export interface CollectorParts extends Pick<CollectData, 'dataDir' | 'databasePath'> {
  readonly blobs: Pick<FileBlobs, 'remove' | 'count'>;
  readonly graceMs: () => number;
  readonly metrics: Pick<Metrics, 'blobsCollected'>;
  readonly log: Log;
  readonly timers: RegistryTimers;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

const LEAST_PAUSE_MS = 60_000;
const LONGEST_PAUSE_MS = 3_600_000;

export class BlobCollector {
  readonly #parts: CollectorParts;
  readonly #end = new AbortController();
  /** Payloads that may be kept as proposals, and are not durable yet. */
  readonly #held = new Set<{ readonly payload: Uint8Array }>();
  /** Held as the walk began, and since then; `undefined` while there is none. */
  #lately: Set<Hash> | undefined;
  #collecting: Promise<Collected> | undefined;
  #timer: unknown;

  constructor(parts: CollectorParts) {
    this.#parts = parts;
    this.#wait();
  }

  /** To be told of every payload that is proposed, and disposed of when it is kept, durably, or never will be. */
  hold(payload: Uint8Array): Disposable {
    const held = { payload };
    this.#held.add(held);
    this.#note(payload);
    return { [Symbol.dispose]: () => void this.#held.delete(held) };
  }

  /**
   * Who asks while one is under way gets what comes of it, and gives up nothing but the wait for it. Throws
   * `storage_damaged`, `unavailable` when it was given up, or what the store throws.
   */
  collect(signal = this.#end.signal): Promise<Collected> {
    if (this.#collecting !== undefined)
      return signal === this.#end.signal ? this.#collecting : orGivenUp(this.#collecting, signal);
    const either = AbortSignal.any([signal, this.#end.signal]);
    this.#collecting = this.#collect(either).finally(() => {
      this.#collecting = undefined;
    });
    return this.#collecting;
  }

  async close(): Promise<void> {
    this.#parts.timers.clearTimeout(this.#timer);
    this.#end.abort();
    await this.#collecting?.catch(() => undefined);
  }

  async #collect(signal: AbortSignal): Promise<Collected> {
    const { dataDir, databasePath, blobs, graceMs, metrics, log, now } = this.#parts;
    const named = new Set<Hash>();
    // First of all: what was durable before the walk has begun is found by it.
    this.#lately = named;
    for (const { payload } of this.#held) this.#note(payload);
    try {
      await orGivenUp(blobs.count(), signal);
      const beforeMs = now() - graceMs();
      const unnamed = await this.#findUnnamed({ dataDir, databasePath, beforeMs }, signal);
      const removed = { blobs: 0, bytes: 0 };
      for (const address of unnamed) {
        if (signal.aborted) throw givenUp();
        const bytes = await blobs.remove(address, { beforeMs, isNamed: () => named.has(address) });
        if (bytes === undefined) continue;
        removed.blobs++;
        removed.bytes += bytes;
        metrics.blobsCollected(1);
      }
      if (removed.blobs > 0) log.info('blobs that nothing names were removed', { ...removed });
      return removed;
    } finally {
      this.#lately = undefined;
    }
  }

  /** For the walk that is under way: it may have passed where this will be. */
  #note(payload: Uint8Array): void {
    if (this.#lately === undefined) return;
    for (const address of namedBlobs(payload)) this.#lately.add(address);
  }

  #findUnnamed(data: CollectData, signal: AbortSignal): Promise<readonly Hash[]> {
    return runThread<readonly Hash[]>({
      // In src this file ends in .ts, in dist in .js, and so does the thread's.
      program: new URL(`./collect-worker${extname(import.meta.url)}`, import.meta.url),
      name: 'the collection of blobs',
      data,
      signal,
      onProgress: () => undefined,
    });
  }

  #wait(): void {
    const { graceMs, timers } = this.#parts;
    const pauseMs = Math.min(Math.max(graceMs() / 4, LEAST_PAUSE_MS), LONGEST_PAUSE_MS);
    this.#timer = timers.setTimeout(() => void this.#inTime(), pauseMs);
  }

  /** Never rejects: the next one may do better. */
  async #inTime(): Promise<void> {
    try {
      await this.collect();
    } catch (cause) {
      if (!this.#end.signal.aborted)
        this.#parts.log.error('blobs were not collected: nothing is removed', { cause });
    }
    if (!this.#end.signal.aborted) this.#wait();
  }
}

/** What `work` comes to, unless the signal is first: then nobody waits for it any more. */
async function orGivenUp<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) throw givenUp();
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = () => reject(givenUp());
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

function givenUp(): RegistryError {
  return new RegistryError(
    'unavailable',
    'expected the end of the collection of blobs, got the end of who asked for it, or of the server: it was given up',
  );
}
