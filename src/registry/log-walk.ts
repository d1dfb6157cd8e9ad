/**
 * The walk over the log after a start, and what it means for writes: they wait for it where nothing else
 * vouches for the log, and end with it where it finds damage.
 */
import type { Chain } from '../core/chain.ts';
import { RegistryError } from '../core/error.ts';
import type { RegistryOptions } from './options.ts';
import { scrubLog } from './scrub.ts';

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
    const { store, log, timers, isVouched, onWhole } = this.#options;
    const onProgress = (checked: number): void => {
      if (isVouched) return;
      const text = `a check of the log: ${checked} of ${version + 1} entries so far`;
      this.#missing = new RegistryError('not_ready', text);
    };
    onProgress(0);
    const pause = () => new Promise<void>((resolve) => timers.soon(resolve));
    const { walk = (asked) => scrubLog(store, { ...asked, pause }) } = this.#options;
    const end = { version, entryHash, root: tree.root };
    const { signal } = this.#abort;
    this.#walking = walk({ end, isAwaited: !isVouched, signal, onProgress })
      .then(async () => {
        if (this.#abort.signal.aborted) return;
        await onWhole();
        this.#missing = undefined;
        log.info('every entry of the log was read and is whole', { entries: version + 1 });
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
