/** A real store whose next append fails in a chosen way: before it is durable, or after. */
import { RegistryError } from '../../src/core/error.ts';
import type { AppendOutcome, Store } from '../../src/store/store.ts';

export type AppendFault = 'lost' | 'kept' | 'read_only';

export interface FaultyStore {
  readonly store: Store;
  /** The next append fails so; `lost`: nothing was written, `kept`: it was, and nobody was told. */
  failNext(fault: AppendFault): void;
  /** How many faults were injected. */
  readonly injected: () => number;
  /** The versions of each append that was tried. */
  readonly batches: readonly number[][];
  /** Appends wait until it is called; answers the release. */
  hold(): () => void;
}

export function makeFaulty(inner: Store): FaultyStore {
  let fault: AppendFault | undefined;
  let injected = 0;
  let gate = Promise.resolve();
  const batches: number[][] = [];
  const append: Store['append'] = async (batch): Promise<AppendOutcome> => {
    batches.push(batch.entries.map((entry) => entry.version));
    await gate;
    const now = fault;
    fault = undefined;
    if (now === undefined) return inner.append(batch);
    injected++;
    if (now === 'kept') await inner.append(batch);
    throw now === 'read_only'
      ? new RegistryError('read_only', 'expected room on the disk, got none')
      : new Error('disk i/o error');
  };
  const store = new Proxy(inner, {
    get: (target, name) => {
      if (name === 'append') return append;
      const member: unknown = Reflect.get(target, name);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
  return {
    store,
    failNext: (next) => {
      fault = next;
    },
    injected: () => injected,
    batches,
    hold: () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      gate = promise;
      return resolve;
    },
  };
}
