/**
 * Threads that verify signatures by the batch. Handing single ones to Node's own pool costs the asking
 * thread about as much as verifying them would; a batch is one message.
 */
import { availableParallelism } from 'node:os';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { RegistryError } from '../core/error.ts';
import type { SignedMessage } from '../core/verifier.ts';
import { packSigned, type SignatureBatch, type SignatureVerdict } from './signature-messages.ts';

/** As many as cores: the thread that asks waits for them at times. Past some, it could not keep more busy. */
const MAX_THREADS = 4;

interface Waiting {
  readonly thread: Worker;
  readonly resolve: (failed: number) => void;
  readonly reject: (cause: Error) => void;
}

export class SignaturePool implements AsyncDisposable {
  readonly #threads: readonly Worker[];
  readonly #waiting = new Map<number, Waiting>();
  readonly #ends = new Map<Worker, unknown>();
  #asked = 0;

  constructor(threads: number = Math.min(MAX_THREADS, availableParallelism())) {
    // In src this file ends in .ts, in dist in .js, and so does the worker's.
    const file = new URL(`./signature-worker${extname(import.meta.url)}`, import.meta.url);
    this.#threads = Array.from({ length: threads }, (_, i) => this.#start(file, i));
  }

  /** Place of the first signature that does not verify under QV1; -1: all do. */
  verify(batch: readonly SignedMessage[]): Promise<number> {
    const id = this.#asked++;
    const thread = this.#threads[id % this.#threads.length];
    if (thread === undefined || this.#ends.has(thread))
      return Promise.reject(gone(thread === undefined ? 'none' : this.#ends.get(thread)));
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    this.#waiting.set(id, { thread, resolve, reject });
    const packed = packSigned(batch);
    thread.postMessage({ id, packed } satisfies SignatureBatch, [packed.buffer as ArrayBuffer]);
    return promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.terminate()));
  }

  #start(file: URL, index: number): Worker {
    const thread = new Worker(file, { name: `signatures-${index}` });
    thread.on('message', ({ id, failed }: SignatureVerdict) => {
      this.#waiting.get(id)?.resolve(failed);
      this.#waiting.delete(id);
    });
    thread.on('error', (cause) => this.#ended(thread, cause));
    thread.on('exit', () => this.#ended(thread, 'its end'));
    return thread;
  }

  /** What it was asked stays unanswered: that is no verdict. */
  #ended(thread: Worker, cause: unknown): void {
    if (!this.#ends.has(thread)) this.#ends.set(thread, cause);
    for (const [id, waiting] of this.#waiting) {
      if (waiting.thread !== thread) continue;
      this.#waiting.delete(id);
      waiting.reject(gone(cause));
    }
  }
}

function gone(cause: unknown): RegistryError {
  return new RegistryError(
    'internal',
    `expected a thread that verifies signatures, got ${cause instanceof Error ? cause.message : cause}`,
    { cause },
  );
}
