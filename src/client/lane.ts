/** One piece of work after another: what is in a lane never runs beside something else in it. */
import { abortable } from './clock.ts';

export class Lane {
  #last: Promise<unknown> = Promise.resolve();

  /** `signal` ends the wait for the turn; work that has begun must listen to it itself. */
  async run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const before = this.#last;
    const { promise: done, resolve } = Promise.withResolvers<void>();
    this.#last = Promise.all([before, done]);
    try {
      await abortable(before, signal);
      return await work();
    } finally {
      resolve();
    }
  }
}
