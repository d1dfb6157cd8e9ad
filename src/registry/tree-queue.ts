/**
 * Trees of old versions are made one at a time, whoever asks, and few wait for them. One is made for all who wait for
 * its version, and none for who has gone.
 */
import { RegistryError } from '../core/error.ts';
import type { Leaf } from '../core/leaf.ts';
import type { SetTree } from '../core/set-tree.ts';
import type { Asker } from './registry.ts';
import { Slots } from './slots.ts';

/** Versions. */
const LIMITS = { inAll: 32, perAddress: 8 };
/** Who waits for a version that another asked for: it costs no more to make. */
const JOINED = { inAll: 512, perAddress: 64 };

interface Waiting extends Pick<PromiseWithResolvers<SetTree>, 'resolve' | 'reject'> {
  readonly leaf: Leaf;
}

export class TreeQueue {
  readonly #make: (leaf: Leaf) => Promise<SetTree>;
  readonly #slots = new Slots(() => LIMITS, tooMany);
  readonly #joined = new Slots(() => JOINED, tooMany);
  /** In the order in which they came. */
  readonly #waiting = new Set<Waiting>();
  #isMaking = false;
  #isEnded = false;

  constructor(make: (leaf: Leaf) => Promise<SetTree>) {
    this.#make = make;
  }

  /** Throws what making it throws; `overloaded` where too many wait, or when the signal aborts; `draining`. */
  async ask(leaf: Leaf, { address = '', signal }: Asker): Promise<SetTree> {
    if (this.#isEnded) throw ended();
    if (signal?.aborted === true) throw gone();
    const isAsked = [...this.#waiting].some((one) => one.leaf.version === leaf.version);
    const release = (isAsked ? this.#joined : this.#slots).take(address);
    const { promise, resolve, reject } = Promise.withResolvers<SetTree>();
    const waiting = { leaf, resolve, reject };
    const leave = () => this.#refuse(waiting, gone());
    signal?.addEventListener('abort', leave, { once: true });
    this.#waiting.add(waiting);
    void this.#makeAll();
    try {
      return await promise;
    } finally {
      signal?.removeEventListener('abort', leave);
      release();
    }
  }

  /** Who waits is refused, and who comes. */
  drain(): void {
    this.#isEnded = true;
    for (const waiting of this.#waiting) this.#refuse(waiting, ended());
  }

  async #makeAll(): Promise<void> {
    if (this.#isMaking) return;
    this.#isMaking = true;
    for (let [next] = this.#waiting; next !== undefined; [next] = this.#waiting) {
      const { version } = next.leaf;
      const answer = await this.#make(next.leaf).then(
        (tree) => (one: Waiting) => one.resolve(tree),
        (error: unknown) => (one: Waiting) => one.reject(error),
      );
      for (const one of this.#waiting)
        if (one.leaf.version === version) {
          this.#waiting.delete(one);
          answer(one);
        }
    }
    this.#isMaking = false;
  }

  #refuse(waiting: Waiting, error: RegistryError): void {
    this.#waiting.delete(waiting);
    waiting.reject(error);
  }
}

function tooMany(limit: number, scope: string): RegistryError {
  return new RegistryError(
    'overloaded',
    `expected at most ${limit} reads that wait for sets of old versions ${scope}, got one more: repeat it later`,
    { details: { reason: 'old_sets', limit } },
  );
}

function gone(): RegistryError {
  return new RegistryError(
    'overloaded',
    'expected a reader that waits for the set of an old version, got one that hung up',
    { details: { reason: 'hung_up' } },
  );
}

function ended(): RegistryError {
  return new RegistryError(
    'draining',
    'expected a service that makes sets of old versions, got one that stops: repeat the request elsewhere or later',
  );
}
