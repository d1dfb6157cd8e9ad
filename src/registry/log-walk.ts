/**
 * The walk over the log after a start, and what it means for writes: they wait for it where nothing else
 * vouches for the log, and end with it where it finds damage.
 */
import type { Chain } from '../core/chain.ts';
import { RegistryError } from '../core/error.ts';
import type { RegistryOptions } from './options.ts';
import { scrubLog, type Walk } from './scrub.ts';
import { isOfStore } from './stored.ts';

/** Entries that are read in less time than a thread takes to start: of such a log writes need not wait at all. */
const SHORT = 1_024;

export interface LogWalkOptions extends Pick<RegistryOptions, 'store' | 'log' | 'timers' | 'walk'> {
  /** A signed checkpoint stands over the stored tree: writes need not wait. */
  readonly isVouched: boolean;
  /** Every entry was seen, and gives the chain's tree. */
  readonly onWhole: () => Promise<void>;
}

export class LogWalk {
  readonly #options: LogWalkOptions;
  readonly #abort = new AbortController();
  #walking: Promise<void> = Promise.resolve();
  #missing: RegistryError | undefined;

  constructor(options: LogWalkOptions) {
    this.#options = options;
  }

  /** Why the log is not known to be whole, in words an operator can act on; `undefined`: go ahead. */
  get missing(): RegistryError | undefined {
    return this.#missing;
  }

  start({ version, entryHash, tree }: Chain): void {
    const { log, isVouched, onWhole } = this.#options;
    const onProgress = (checked: number): void => {
      if (isVouched) return;
      const text = `a check of the log: ${checked} of ${version + 1} entries so far`;
      this.#missing = new RegistryError('not_ready', text);
    };
    onProgress(0);
    const end = { version, entryHash, root: tree.root };
    const { signal } = this.#abort;
    this.#walking = this.#walk({ end, isAwaited: !isVouched, signal, onProgress })
      .then(async () => {
        if (signal.aborted) return;
        await onWhole();
        this.#missing = undefined;
        log.info('every entry of the log was read and is whole', { entries: version + 1 });
      })
      .catch((cause: unknown) => {
        if (signal.aborted) return;
        log.error('the log is damaged: nothing more is written', { cause });
        this.#missing = new RegistryError(
          'storage_damaged',
          'a whole log: restore the store from a replica or a backup',
          { cause },
        );
      });
  }

  /** A long one elsewhere if it can be: that a thread fails says nothing of the log. */
  async #walk(asked: Walk): Promise<void> {
    const { store, log, timers, walk } = this.#options;
    if (asked.end.version < SHORT) return await scrubLog(store, asked);
    try {
      if (walk !== undefined) return await walk(asked);
    } catch (cause) {
      if (isOfStore(cause)) throw cause;
      log.warn('the walk over the log ended early and begins again in the main thread', { cause });
    }
    const pause = () => new Promise<void>((resolve) => timers.soon(resolve));
    await scrubLog(store, { ...asked, pause });
  }

  stop(): void {
    this.#abort.abort();
  }

  /** Resolves when nothing is read any more. */
  async idle(): Promise<void> {
    await this.#walking;
  }
}
