/** Long-polls of the head: whoever asks for a newer one waits here until it is published. */
import type { RegistryTimers } from './options.ts';

export class HeadWaiters {
  readonly #timers: RegistryTimers;
  readonly #waiting = new Set<() => void>();

  constructor(timers: RegistryTimers) {
    this.#timers = timers;
  }

  /** Resolves at the next `wake`, after `waitMs`, or when `signal` aborts. */
  wait({ waitMs, signal }: { waitMs: number; signal?: AbortSignal }): Promise<void> {
    if (signal?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        this.#timers.clearTimeout(timer);
        signal?.removeEventListener('abort', done);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = this.#timers.setTimeout(done, waitMs);
      signal?.addEventListener('abort', done);
      this.#waiting.add(done);
    });
  }

  wake(): void {
    for (const done of [...this.#waiting]) done();
  }
}
