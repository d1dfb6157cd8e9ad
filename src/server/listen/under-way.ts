/**
 * Requests that are being handled, with or without a connection: what a client that has hung up, or was
 * cut off, asked for goes on, and must reach its audit record before the log is closed.
 */
export class UnderWay {
  readonly #works = new Set<Promise<unknown>>();

  run<T>(work: () => T | Promise<T>): Promise<T> {
    const running = Promise.resolve().then(work);
    const ended = running.catch(() => undefined).finally(() => this.#works.delete(ended));
    this.#works.add(ended);
    return running;
  }

  /** Resolves when nothing is under way; to be asked when nothing new comes. */
  async idle(): Promise<void> {
    await Promise.all(this.#works);
  }
}
