/**
 * Who has to do with a blob at the moment. An upload keeps its blob from being collected from its first byte
 * to its answer; looking whether a blob is there and acting on it is done by one at a time.
 */
import type { Hash } from '../../core/hash.ts';

export class BlobTurns {
  readonly #last = new Map<Hash, Promise<unknown>>();
  readonly #uploads = new Map<Hash, number>();

  /** After whatever is done to this blob already. */
  run<T>(address: Hash, work: () => Promise<T>): Promise<T> {
    const done = (this.#last.get(address) ?? Promise.resolve()).then(work);
    const settled = done
      .catch(() => undefined)
      .then(() => {
        if (this.#last.get(address) === settled) this.#last.delete(address);
      });
    this.#last.set(address, settled);
    return done;
  }

  isUploading(address: Hash): boolean {
    return this.#uploads.has(address);
  }

  /** Until it is disposed. */
  uploading(address: Hash): Disposable {
    this.#uploads.set(address, (this.#uploads.get(address) ?? 0) + 1);
    return {
      [Symbol.dispose]: () => {
        const left = (this.#uploads.get(address) ?? 1) - 1;
        if (left === 0) this.#uploads.delete(address);
        else this.#uploads.set(address, left);
      },
    };
  }
}
