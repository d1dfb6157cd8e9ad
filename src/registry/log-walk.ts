/**
 * The walk over the log after a start, and what it means for writes: they wait for it where nothing else
 * vouches for the log, and end with it where it finds damage.
 */
import type { Chain } from '../core/chain.ts';
import { RegistryError } from '../core/error.ts';
import type { Store } from '../store/store.ts';
import type { Log } from '../telemetry/log.ts';
import { scrubLog } from './scrub.ts';

export interface LogWalkOptions {
  readonly store: Store;
  readonly log: Log;
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

  start(head: Chain): void {
    const { store, log, isVouched, onWhole } = this.#options;
    const onProgress = (checked: number): void => {
      if (isVouched) return;
      const size = head.version + 1;
      const text = `a check of the log: ${checked} of ${size} entries so far`;
      this.#missing = new RegistryError('not_ready', text);
    };
    onProgress(0);
    this.#walking = scrubLog(store, { head, signal: this.#abort.signal, onProgress })
      .then(async () => {
        if (this.#abort.signal.aborted) return;
        await onWhole();
        this.#missing = undefined;
      })
      .catch((cause: unknown) => {
        log.error('the log is damaged: nothing more is written', { cause });
        this.#missing = new RegistryError(
          'storage_damaged',
          'a whole log: restore the store from a replica or a backup',
          { cause },
        );
      });
  }

  /** Throws `missing` as a refusal of a write. */
  assertWhole(): void {
    const missing = this.#missing;
    if (missing === undefined) return;
    if (missing.code === 'storage_damaged') throw missing;
    throw new RegistryError(
      'not_ready',
      `expected a checked log, got ${missing.message}: repeat later`,
    );
  }

  stop(): void {
    this.#abort.abort();
  }

  /** Resolves when nothing is read any more. */
  async idle(): Promise<void> {
    await this.#walking;
  }
}
