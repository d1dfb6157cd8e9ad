/**
 * Requests that are being handled, with or without a connection: what a client that has hung up, or was
 * cut off, asked for goes on, and must reach its audit record before the log is closed.
 */
export class UnderWay {
  #count = 0;
  #idle: PromiseWithResolvers<void> | undefined;

  async run<T>(work: () => T | Promise<T>): Promise<T> {
    this.#count++;
    try {
      return await work();
    } finally {
      this.#count--;
      if (this.#count === 0) this.#idle?.resolve();
    }
  }

  /** Resolves when nothing is under way; to be asked when nothing new comes. */
  async idle(): Promise<void> {
    if (this.#count === 0) return;
    this.#idle ??= Promise.withResolvers();
    await this.#idle.promise;
  }
}
