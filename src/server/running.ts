/** A started server: where it answers, and how it ends. What it is made of is `start.ts`. */
import type { Registry } from '../registry/registry.ts';
import type { Log } from '../telemetry/log.ts';
import type { LiveConfig } from './live-config.ts';

export interface RunningServer extends AsyncDisposable {
  /** Of the API, with the port in force: `http://127.0.0.1:7070`. */
  readonly url: string;
  /** `null`: metrics are off. */
  readonly metricsUrl: string | null;
  /** Resolves when the server has stopped, whoever asked for it. */
  readonly stopped: Promise<void>;
  /** What `LiveConfig.reload` does, as an act on record. */
  reload(): Promise<readonly string[]>;
  /** Says that it is not ready, after the drain delay refuses new work, lets open requests end within the drain timeout, and closes the store. */
  stop(): Promise<void>;
}

/** Closers of what is open, in the order it was opened. */
export type Closers = (() => PromiseLike<void>)[];

export interface RunningParts {
  readonly url: string;
  readonly metricsUrl: string | null;
  readonly registry: Pick<Registry, 'announceEnd' | 'drain'>;
  readonly live: Pick<LiveConfig, 'current' | 'close'>;
  readonly reload: () => Promise<readonly string[]>;
  readonly log: Log;
  readonly closers: Closers;
}

export class Running implements RunningServer {
  readonly url: string;
  readonly metricsUrl: string | null;
  readonly stopped: Promise<void>;
  readonly #parts: RunningParts;
  readonly #stopped = Promise.withResolvers<void>();
  #isStopping = false;

  constructor(parts: RunningParts) {
    this.url = parts.url;
    this.metricsUrl = parts.metricsUrl;
    this.#parts = parts;
    this.stopped = this.#stopped.promise;
  }

  reload(): Promise<readonly string[]> {
    return this.#parts.reload();
  }

  stop(): Promise<void> {
    if (!this.#isStopping) {
      this.#isStopping = true;
      this.#stopped.resolve(this.#end());
    }
    return this.stopped;
  }

  async #end(): Promise<void> {
    const { registry, log, closers, live } = this.#parts;
    registry.announceEnd();
    const delayMs = live.current.timeouts.drainDelayMs;
    if (delayMs > 0) {
      log.info('stopping soon: not ready, everything is still served', { delay_ms: delayMs });
      await new Promise((resolve) => setTimeout(resolve, delayMs));
    }
    log.info('stopping: new work is refused, open requests may end');
    registry.drain();
    // A file that does not answer to a reload must not keep the server from ending.
    const patience = new Promise((resolve) => {
      setTimeout(resolve, live.current.timeouts.drainMs).unref();
    });
    await Promise.race([live.close(), patience]);
    await closeAll(closers);
    log.info('stopped');
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/** The last opened first, each also when another fails; throws the first failure. */
export async function closeAll(closers: Closers): Promise<void> {
  const failures: unknown[] = [];
  for (const close of closers.reverse())
    try {
      await close();
    } catch (error) {
      failures.push(error);
    }
  if (failures.length > 0) throw failures[0];
}
