/**
 * The set at the head after a start. A small one is made before anything is answered. A large one takes seconds: it
 * is made while the log is read already, and waited for by whoever needs a descriptor, and by every write.
 */
import { RegistryError } from '../core/error.ts';
import type { Leaf } from '../core/leaf.ts';
import type { SetTree } from '../core/set-tree.ts';
import { loadSet } from './load.ts';
import type { RegistryOptions } from './options.ts';

/** Descriptors that are read in a few milliseconds. */
const SMALL = 128;

export function isSmallSet({ set_size }: Pick<Leaf, 'set_size'>): boolean {
  return set_size <= SMALL;
}

export class HeadSet {
  readonly #options: Pick<RegistryOptions, 'store' | 'log' | 'timers'>;
  readonly #abort = new AbortController();
  #loading: Promise<void> = Promise.resolve();
  #missing: RegistryError | undefined;

  constructor(options: Pick<RegistryOptions, 'store' | 'log' | 'timers'>) {
    this.#options = options;
  }

  /** As `LogWalk.missing`. */
  get missing(): RegistryError | undefined {
    return this.#missing;
  }

  /** Resolves when the set is known. Rejects `storage_damaged`, and `draining` when it is no longer made. */
  async known(): Promise<void> {
    await this.#loading;
  }

  /** `onKnown`: is told before anybody who waits. */
  start(leaf: Leaf, onKnown: (set: SetTree) => void): void {
    const { store, log, timers } = this.#options;
    const { signal } = this.#abort;
    const onProgress = (read: number): void => {
      const text = `the set at the head: ${read} of ${leaf.set_size} descriptors read so far`;
      this.#missing = new RegistryError('not_ready', text);
    };
    onProgress(0);
    const pause = async (read: number): Promise<void> => {
      onProgress(read);
      await new Promise<void>(timers.soon);
      signal.throwIfAborted();
    };
    this.#loading = loadSet(store, leaf, pause).then((set) => {
      onKnown(set);
      this.#missing = undefined;
      log.info('every descriptor of the set was read and is whole', { descriptors: set.size });
    });
    this.#loading.catch((cause: unknown) => {
      if (signal.aborted) return;
      log.error('the set is damaged: no descriptor is answered, and nothing is written', { cause });
      this.#missing = new RegistryError(
        'storage_damaged',
        'a whole set: restore the store from a replica or a backup',
        { cause },
      );
    });
  }

  stop(): void {
    this.#abort.abort(
      new RegistryError(
        'draining',
        'expected a service that has read its set, got one that stops: repeat the request elsewhere or later',
      ),
    );
  }

  /** Resolves when nothing is read any more. */
  async idle(): Promise<void> {
    await this.#loading.catch(() => undefined);
  }
}
