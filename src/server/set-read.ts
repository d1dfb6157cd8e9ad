/** The set at the head after a start, read in a thread of its own: for a large one it is seconds of a processor. */
import { extname } from 'node:path';
import type { RegistryOptions } from '../registry/options.ts';
import { runThread } from './reporting-thread.ts';

export interface SetReadData {
  /** Of the database. */
  readonly path: string;
  /** How many descriptors there will probably be. */
  readonly size: number;
}

/** As `readSetRows` of its newest version. */
export function readSetInThread(path: string): NonNullable<RegistryOptions['readSet']> {
  return ({ size, signal, onProgress }) =>
    runThread<Uint8Array>({
      // In src this file ends in .ts, in dist in .js, and so does the thread's.
      program: new URL(`./set-read-worker${extname(import.meta.url)}`, import.meta.url),
      name: 'the reading of the set',
      data: { path, size } satisfies SetReadData,
      signal,
      onProgress: ({ done }) => onProgress(done),
    });
}
