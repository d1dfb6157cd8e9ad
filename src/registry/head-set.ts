/**
 * The set at the head after a start. A small one is made before anything is answered. A large one takes seconds: it
 * is made while the log is read already, and waited for by whoever needs a descriptor, and by every write.
 */
import { RegistryError } from '../core/error.ts';
import type { Leaf } from '../core/leaf.ts';
import type { SetTree } from '../core/set-tree.ts';
import { makeSet, readSetRows } from './load.ts';
import type { RegistryOptions } from './options.ts';
import { isOfStore } from './stored.ts';

/** Descriptors that are read in a few milliseconds. */
const SMALL = 128;
/** So many take longer to be read than a thread to start. */
const LARGE = 4_096;

type HeadSetOptions = Pick<RegistryOptions, 'store' | 'log' | 'timers' | 'readSet'>;

export function isSmallSet({ set_size }: Pick<Leaf, 'set_size'>): boolean {
  return set_size <= SMALL;
}

export class HeadSet {
  readonly #options: HeadSetOptions;
  readonly #abort = new AbortController();
  #loading: Promise<void> = Promise.resolve();
  #missing: RegistryError | undefined;

  constructor(options: HeadSetOptions) {
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
    const { log, timers } = this.#options;
    const { signal } = this.#abort;
    const onProgress = (read: number): void => {
      const text = `the set at the head: ${read} of ${leaf.set_size} descriptors read so far`;
      this.#missing = new RegistryError('not_ready', text);
    };
    onProgress(0);
    const pause = async (): Promise<void> => {
      await new Promise<void>(timers.soon);
      signal.throwIfAborted();
    };
    const make = async (): Promise<SetTree> => {
      const rows = await this.#readRows(leaf, { pause, onProgress });
      signal.throwIfAborted();
      return await makeSet(rows, leaf, pause);
    };
    this.#loading = make().then((set) => {
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

  /** Of a large one elsewhere if it can be: that a thread fails says nothing of the set. */
  async #readRows(
    leaf: Leaf,
    {
      pause,
      onProgress,
    }: { readonly pause: () => Promise<void>; readonly onProgress: (read: number) => void },
  ): Promise<Uint8Array> {
    const { store, log, readSet } = this.#options;
    const { signal } = this.#abort;
    if (readSet !== undefined && leaf.set_size > LARGE)
      try {
        return await readSet({ size: leaf.set_size, signal, onProgress });
      } catch (cause) {
        signal.throwIfAborted();
        if (isOfStore(cause)) throw cause;
        log.warn('the reading of the set ended early and begins again in the main thread', {
          cause,
        });
      }
    return await readSetRows(store, leaf, async (read) => {
      onProgress(read);
      await pause();
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
