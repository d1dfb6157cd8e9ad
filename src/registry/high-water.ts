/**
 * The operator's high-water mark: the newest checkpoint, kept where a restored backup does not reach. A
 * store that does not go at least as far, over the same history, is not written to.
 */
import { RegistryError } from '../core/error.ts';
import { isConsistent } from '../core/tlog/merkle.ts';
import { readSignedCheckpoint } from '../core/tlog/note-signatures.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Cosigner, CosignerPort, OpenCosigner } from './cosigners.ts';
import type { RegistryTimers } from './options.ts';
import type { PublishedCheckpoint } from './registry.ts';

/** Where the mark is kept. */
export interface MarkFile {
  /** As people know it. */
  readonly path: string;
  /** `undefined`: there is none yet. Rejects with `storage_failed`. */
  load(): Promise<string | undefined>;
  /** Replaces it whole; durable when it resolves. Rejects with `storage_failed`. */
  keep(note: string): Promise<void>;
}

export interface HighWaterOptions {
  readonly file: MarkFile;
  readonly metrics: Pick<Metrics, 'highWaterKept'>;
  readonly log: Log;
  readonly timers: RegistryTimers;
}

const KEEP_MS = 1_000;
const UNJUDGED = 'not yet compared with the high-water mark';

/** Why a mark forbids writes; `undefined`: what is here goes on from it. Without a checkpoint nothing is here. */
async function judgeMark(
  mark: string,
  {
    checkpoint,
    prove,
  }: Pick<CosignerPort, 'prove'> & {
    readonly checkpoint: PublishedCheckpoint | undefined;
  },
): Promise<string | undefined> {
  const { origin, size, root } = readSignedCheckpoint(mark);
  if (checkpoint !== undefined && origin !== checkpoint.origin)
    return `it is of another log, ${origin}`;
  const here = checkpoint?.size ?? 0;
  if (size > here)
    return `it has seen ${size} entries, while here are ${here}: this store is older than what was published`;
  if (checkpoint === undefined) return undefined;
  const sizes = { from: size, size: checkpoint.size };
  const proof = size === checkpoint.size || size === 0 ? [] : await prove(sizes);
  return isConsistent({ ...sizes, proof, fromRoot: root, root: checkpoint.root })
    ? undefined
    : `at ${size} entries it has seen another history than the one here`;
}

export function openHighWater(options: HighWaterOptions): OpenCosigner {
  return (port) => new HighWater(options, port);
}

class HighWater implements Cosigner {
  readonly #options: HighWaterOptions;
  readonly #prove: CosignerPort['prove'];
  #newest: PublishedCheckpoint | undefined;
  #working: Promise<void> = Promise.resolve();
  /** `undefined`: what is here goes on from the mark. */
  #refused: string | undefined = UNJUDGED;
  #kept: string | undefined;
  #timer: unknown;
  #isClosed = false;
  #isFailing = false;

  constructor(options: HighWaterOptions, { prove }: CosignerPort) {
    this.#options = options;
    this.#prove = prove;
    options.metrics.highWaterKept(true);
  }

  async beginEmpty(): Promise<void> {
    // The first checkpoint is compared all the same.
    this.#refused = (await this.#compare(undefined)) ?? UNJUDGED;
  }

  submit(checkpoint: PublishedCheckpoint): void {
    this.#newest = checkpoint;
    if (this.#refused === undefined) this.#keepSoon();
    else this.#working = this.#working.then(() => this.#judge());
  }

  refusal(): RegistryError | undefined {
    if (this.#refused === undefined) return undefined;
    // Nothing is here yet that could be compared.
    if (this.#newest === undefined && this.#refused === UNJUDGED) return undefined;
    const { path } = this.#options.file;
    const advice =
      this.#refused === UNJUDGED
        ? 'repeat in a moment'
        : 'reads go on; restore a newer backup, or append what a replica or mirror has more with `quorate snapshot restore SNAPSHOT --data DIR --catch-up URL`, and restart, or leave this log with `quorate epoch`; move the file away only if you know that nothing newer was published';
    return new RegistryError(
      'not_ready',
      `expected a log that goes on from the high-water mark at ${path}, got a refusal: ${this.#refused}; ${advice}`,
      { details: { high_water: path } },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    this.#options.timers.clearTimeout(this.#timer);
    await this.#working;
    if (this.#refused === undefined) await this.#keep();
  }

  async #judge(): Promise<void> {
    const checkpoint = this.#newest;
    if (this.#refused === undefined || checkpoint === undefined) return;
    this.#refused = await this.#compare(checkpoint);
    if (this.#refused === undefined) this.#keepSoon();
  }

  /** Why nothing may be written. Never rejects. */
  async #compare(checkpoint: PublishedCheckpoint | undefined): Promise<string | undefined> {
    const { file, log } = this.#options;
    const { path } = file;
    let refused: string | undefined;
    try {
      const mark = await file.load();
      if (mark === undefined && checkpoint !== undefined)
        log.info('a high-water mark is begun', { path });
      refused =
        mark === undefined ? undefined : await judgeMark(mark, { checkpoint, prove: this.#prove });
    } catch (cause) {
      log.error('the high-water mark cannot be compared', { path, cause });
      refused = `it cannot be read as a checkpoint (${cause instanceof Error ? cause.message : String(cause)})`;
    }
    if (refused !== undefined)
      log.error('the high-water mark forbids writes', {
        path,
        reason: refused,
        checkpoint: checkpoint?.note ?? null,
      });
    return refused;
  }

  /** At once, but no more than one write in `KEEP_MS`. */
  #keepSoon(): void {
    if (this.#timer !== undefined || this.#isClosed) return;
    this.#working = this.#working.then(() => this.#keep());
    this.#timer = this.#options.timers.setTimeout(() => {
      this.#timer = undefined;
      if (this.#newest?.note !== this.#kept) this.#keepSoon();
    }, KEEP_MS);
  }

  /** Never rejects: a mark that lags protects less, and a log that stops serves nobody. */
  async #keep(): Promise<void> {
    const { file, metrics, log } = this.#options;
    const note = this.#newest?.note;
    if (note === undefined || note === this.#kept) return;
    try {
      await file.keep(note);
      this.#kept = note;
      this.#isFailing = false;
      metrics.highWaterKept(true);
    } catch (cause) {
      if (!this.#isFailing)
        log.error('the high-water mark was not kept: a restored backup would not be noticed', {
          path: file.path,
          cause,
        });
      this.#isFailing = true;
      metrics.highWaterKept(false);
    }
  }
}
