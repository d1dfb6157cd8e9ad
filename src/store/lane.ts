/**
 * The main thread's end of the commit lane. Writes that arrive while a transaction runs wait and
 * become one next transaction, with one fsync for all of them.
 */
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { RegistryError } from '../core/error.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type {
  Answer,
  Answers,
  LaneData,
  LaneError,
  LaneReport,
  LaneRequest,
  Write,
} from './lane-messages.ts';
import { storageError } from './sqlite-errors.ts';
import type { Compaction } from './store.ts';

export interface LaneOptions extends LaneData {
  readonly metrics: Pick<Metrics, 'fsync' | 'checkpointed'>;
  /** Called once: the outcome of a write is unknown, or the lane is gone. */
  readonly onFatal: (error: RegistryError) => void;
  /** What was erased may stand on in the main file: why it is looked for no longer. Default: nobody is told. */
  readonly onNotWiped?: (error: RegistryError) => void;
}

interface Waiting {
  readonly write: Write;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: RegistryError) => void;
}

interface WaitingCompaction {
  /** In the steps that were made. */
  dropped: number;
  before: Compaction['before'] | undefined;
  readonly expiredBefore: string;
  readonly resolve: (compaction: Compaction) => void;
  readonly reject: (error: RegistryError) => void;
}

/** Writes in one transaction; bounds how long the others wait and how far the write-ahead log grows. */
const MAX_BATCH_WRITES = 128;

export class Lane {
  readonly #options: LaneOptions;
  readonly #worker: Worker;
  readonly #opened = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<void>();
  #queue: Waiting[] = [];
  #compactions: WaitingCompaction[] = [];
  /** A step of it is at the lane now; batches wait. */
  #compacting: WaitingCompaction | undefined;
  /** Of a compaction: the batch that waited comes before the next one. */
  #hasStepped = false;
  #running: readonly Waiting[] = [];
  /** Of the write-ahead log. `next`: what waited went before it already. */
  #fold: 'none' | 'due' | 'next' = 'none';
  #refusal: RegistryError | undefined;
  #isOpen = false;
  #isClosing = false;
  #failure: RegistryError | undefined;

  private constructor(options: LaneOptions) {
    this.#options = options;
    // In src this file ends in .ts, in dist in .js, and so does the worker's.
    const file = `./lane-worker${extname(import.meta.url)}`;
    const workerData: LaneData = { path: options.path };
    this.#worker = new Worker(new URL(file, import.meta.url), { name: 'commit-lane', workerData });
    this.#worker.on('message', (report: LaneReport) => this.#receive(report));
    this.#worker.on('error', (cause) => this.#ended(storageError(cause, 'a living commit lane')));
    this.#worker.on('exit', () => this.#ended(laneGone()));
    this.#closed.promise.catch(() => undefined);
  }

  /** Throws what `openWriter` throws. */
  static async open(options: LaneOptions): Promise<Lane> {
    const lane = new Lane(options);
    await lane.#opened.promise;
    return lane;
  }

  get isFailed(): boolean {
    return this.#failure !== undefined;
  }

  /** Resolves when the write is durable. Rejects `read_only` (nothing written) or `outcome_unknown`. */
  submit<T extends Write>(write: T): Promise<Answers[T['type']]> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(unknownOutcome(this.#failure));
      if (this.#isClosing) return reject(closedStore());
      this.#queue.push({
        write,
        resolve: (answer) => resolve(answer as Answers[T['type']]),
        reject,
      });
      this.#send();
    });
  }

  /** Between two transactions. Rejects like `submit`. */
  compact(expiredBefore: string): Promise<Compaction> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(unknownOutcome(this.#failure));
      if (this.#isClosing) return reject(closedStore());
      this.#compactions.push({ expiredBefore, dropped: 0, before: undefined, resolve, reject });
      this.#send();
    });
  }

  /** Has the main file hold everything, if that takes no wait for a reader. */
  catchUp(): void {
    if (this.#isOpen && !this.#isClosing) this.#post({ type: 'catch_up' });
  }

  /** Refuses every write from now on, those that wait included; the lane is left as it is. */
  fail(error: RegistryError): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    // The process is about to end; a lane that does nothing more must not hold it.
    this.#worker.unref();
    const compactions = [...(this.#compacting ? [this.#compacting] : []), ...this.#compactions];
    for (const { reject } of [...this.#running, ...this.#queue, ...compactions])
      reject(unknownOutcome(error));
    this.#running = [];
    this.#queue = [];
    this.#compactions = [];
    this.#closed.reject(error);
    this.#options.onFatal(error);
  }

  /** After the writes that wait: folds the log into the main file and closes it. Not after a failure. */
  async close(): Promise<void> {
    if (this.#failure !== undefined) return;
    if (!this.#isClosing) {
      this.#isClosing = true;
      this.#send();
    }
    await this.#closed.promise;
  }

  #send(): void {
    if (this.#running.length > 0 || this.#compacting !== undefined) return;
    const isBatchNext = this.#hasStepped && this.#queue.length > 0;
    this.#hasStepped = false;
    this.#compacting = isBatchNext ? undefined : this.#compactions.shift();
    if (this.#compacting !== undefined) {
      this.#post({ type: 'compact', expiredBefore: this.#compacting.expiredBefore });
      return;
    }
    this.#foldIfDue();
    this.#running = this.#queue.splice(0, MAX_BATCH_WRITES);
    if (this.#running.length > 0)
      this.#post({ type: 'batch', writes: this.#running.map(({ write }) => write) });
    else if (this.#isClosing) this.#post({ type: 'close' });
  }

  /** Whoever waited for a batch does not wait for the fold after it too: what they wrote goes first, once. */
  #foldIfDue(): void {
    if (this.#fold === 'due' && this.#queue.length > 0) {
      this.#fold = 'next';
    } else if (this.#fold !== 'none') {
      this.#fold = 'none';
      this.#post({ type: 'fold' });
    }
  }

  #post(request: LaneRequest): void {
    this.#worker.postMessage(request);
  }

  #receive(report: LaneReport): void {
    if (this.#failure !== undefined) return;
    switch (report.type) {
      case 'opened':
        this.#isOpen = true;
        this.#options.metrics.checkpointed();
        this.#opened.resolve();
        break;
      case 'refused':
        this.#refusal = revive(report.error);
        break;
      case 'done':
        if (report.fsyncSeconds !== null) this.#options.metrics.fsync(report.fsyncSeconds);
        if (report.isFoldDue && this.#fold === 'none') this.#fold = 'due';
        this.#settle((waiting, i) => waiting.resolve(report.answers[i] as Answer));
        break;
      case 'not_written':
        if (this.#compacting === undefined)
          this.#settle((waiting) => waiting.reject(revive(report.error)));
        else this.#compacted(({ reject }) => reject(revive(report.error)));
        break;
      case 'compacted':
        if (report.compaction.isLogFolded) this.#options.metrics.checkpointed();
        this.#compacted(({ dropped, before = report.compaction.before, resolve }) =>
          resolve({ ...report.compaction, before, droppedProposals: dropped }),
        );
        break;
      case 'compacting':
        this.#hasStepped = true;
        this.#compacted((waiting) => {
          waiting.dropped += report.compaction.droppedProposals;
          waiting.before ??= report.compaction.before;
          this.#compactions.unshift(waiting);
        });
        break;
      case 'checkpointed':
        this.#options.metrics.checkpointed();
        break;
      case 'not_wiped':
        this.#options.onNotWiped?.(revive(report.error));
        break;
      case 'failed':
        this.fail(revive(report.error));
        break;
      case 'closed':
        this.#isOpen = false;
    }
  }

  #settle(answer: (waiting: Waiting, index: number) => void): void {
    const answered = this.#running;
    this.#running = [];
    answered.forEach(answer);
    this.#send();
  }

  #compacted(answer: (waiting: WaitingCompaction) => void): void {
    const answered = this.#compacting;
    this.#compacting = undefined;
    if (answered !== undefined) answer(answered);
    this.#send();
  }

  /** The worker ended by itself: after `refused` and `closed` as it should, otherwise in the middle of work. */
  #ended(error: RegistryError): void {
    if (this.#isOpen) this.fail(error);
    this.#opened.reject(this.#refusal ?? error);
    this.#closed.resolve();
  }
}

function revive({ code, message }: LaneError): RegistryError {
  return new RegistryError(code, message);
}

function unknownOutcome(cause: RegistryError): RegistryError {
  return new RegistryError(
    'outcome_unknown',
    `expected a durable write, got no certain answer: ${cause.message}`,
    { cause },
  );
}

function laneGone(): RegistryError {
  return new RegistryError('storage_failed', 'expected a living commit lane, got its end');
}

function closedStore(): RegistryError {
  return new RegistryError('storage_failed', 'expected an open store, got a closed one');
}
