/**
 * Threads that verify signatures by the batch. Handing single ones to Node's own pool costs the asking
 * thread about as much as verifying them would; a batch is one message.
 */
import { availableParallelism } from 'node:os';
import { RegistryError } from '../core/error.ts';
import type { SignedMessage } from '../core/verifier.ts';
import { AskedThread } from './asked-thread.ts';
import { packSigned } from './signature-messages.ts';

/** As many as cores: the thread that asks waits for them at times. Past some, it could not keep more busy. */
const MAX_THREADS = 4;

export class SignaturePool implements AsyncDisposable {
  readonly #threads: readonly AskedThread<Uint8Array, number>[];
  #asked = 0;

  constructor(threads: number = Math.min(MAX_THREADS, availableParallelism())) {
    this.#threads = Array.from(
      { length: threads },
      (_, i) =>
        new AskedThread({
          file: 'signature-worker',
          name: `signatures-${i}`,
          does: 'verifies signatures',
        }),
    );
  }

  /** Place of the first signature that does not verify under QV1; -1: all do. */
  async verify(batch: readonly SignedMessage[]): Promise<number> {
    const thread = this.#threads[this.#asked++ % this.#threads.length];
    if (thread === undefined)
      throw new RegistryError('internal', 'expected a thread that verifies signatures, got none');
    const packed = packSigned(batch);
    return thread.ask(packed, [packed.buffer as ArrayBuffer]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread[Symbol.asyncDispose]()));
  }
}
