/** A writer that goes on at its own pace, whatever it waits for: of each entry how long its commit took. */
import { setTimeout as after } from 'node:timers/promises';
import { entryOf, postEntry } from './entries.ts';
import { Poster } from './poster.ts';
import type { RegistryProcess } from './registry-process.ts';

export interface PacedWritesPlan {
  readonly perSecond: number;
  readonly entryBytes: number;
  /** No two may have the same. */
  readonly name: string;
}

/** A writer that waits holds as many. */
const CONNECTIONS = 16;

/** Beside `act`; answers milliseconds. Throws what `act` throws, and unless every write was taken. */
export async function writeBeside(
  server: Pick<RegistryProcess, 'url' | 'registry' | 'signers'>,
  { perSecond, entryBytes, name }: PacedWritesPlan,
  act: () => Promise<unknown>,
): Promise<readonly number[]> {
  using poster = new Poster(server.url, CONNECTIONS);
  const ms: number[] = [];
  const write = async (made: number): Promise<void> => {
    const entry = entryOf(server, { id: `${name}-${made}`, bytes: entryBytes });
    await postEntry(poster, entry);
    const began = performance.now();
    await poster.post(entry.commitPath);
    ms.push(performance.now() - began);
  };
  const over = new AbortController();
  const writing = (async () => {
    const began = performance.now();
    const writes: Promise<void>[] = [];
    for (let made = 0; !over.signal.aborted; made++) {
      writes.push(write(made));
      // Heard of where they are awaited.
      writes.at(-1)?.catch(() => undefined);
      const dueMs = began + ((made + 1) * 1_000) / perSecond - performance.now();
      await after(Math.max(0, dueMs));
    }
    await Promise.all(writes);
  })();
  writing.catch(() => undefined);
  try {
    await act();
  } finally {
    over.abort();
  }
  await writing;
  return ms;
}
