/** The cap on requests being answered at once. Writes meet it at half of its height, so that reads are the last to go. */
import { RegistryError } from '../core/error.ts';

export class Inflight {
  readonly #max: () => number;
  #count = 0;

  constructor(max: () => number) {
    this.#max = max;
  }

  isFull(kind: 'read' | 'write'): boolean {
    return this.#count >= this.#limit(kind);
  }

  /** Throws `overloaded`, at once. */
  async run<T>(kind: 'read' | 'write', work: () => T | Promise<T>): Promise<T> {
    const limit = this.#limit(kind);
    if (this.isFull(kind))
      throw new RegistryError(
        'overloaded',
        `expected at most ${limit} requests at once for a ${kind}, got one more: repeat it later`,
        { details: { reason: 'inflight', limit } },
      );
    this.#count++;
    try {
      return await work();
    } finally {
      this.#count--;
    }
  }

  #limit(kind: 'read' | 'write'): number {
    const max = this.#max();
    return kind === 'write' ? Math.floor(max / 2) : max;
  }
}
