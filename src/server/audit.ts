/** A database opened to be audited: what it holds, as it stands, judged by nobody on the way out. */
import { statSync } from 'node:fs';
import { RegistryError } from '../core/error.ts';
import type { EntryBytes } from '../core/leaf.ts';
import { openSqliteReader } from '../store/sqlite.ts';
import type { DescriptorKey, DescriptorSpan, StoredDescriptor } from '../store/store.ts';
import { databasePath } from './open-store.ts';

export interface AuditedDatabase extends AsyncDisposable {
  /** The version of the newest entry when it was opened. */
  readonly version: number;
  /** All up to `version`, ascending. */
  entries(): AsyncIterable<EntryBytes>;
  /** The rows of the set at `version`, sorted by kind, then id. */
  descriptors(): AsyncIterable<StoredDescriptor>;
  /** Every value a descriptor ever had, newest first. */
  spans(key: DescriptorKey): Promise<readonly DescriptorSpan[]>;
}

const PAGE = 256;

/**
 * `path`: a database file, or the data directory of a server, which may be running. Throws
 * `not_initialised` for one without entries, and what `openSqliteReader` throws.
 */
export async function openAudit(path: string): Promise<AuditedDatabase> {
  const isDirectory = statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  const store = openSqliteReader({ path: isDirectory ? databasePath(path) : path });
  const head = await store.head();
  if (head === undefined) {
    await store[Symbol.asyncDispose]();
    throw new RegistryError(
      'not_initialised',
      `expected a registry in ${path}, got a database without entries`,
    );
  }
  const { version } = head;
  return {
    version,
    async *entries() {
      for (let from = 0; from <= version; ) {
        const page = await store.entries({ from, limit: Math.min(PAGE, version + 1 - from) });
        if (page.length === 0)
          throw new RegistryError(
            'storage_damaged',
            `expected version ${from} in the log, got nothing`,
          );
        yield* page;
        from += page.length;
      }
    },
    async *descriptors() {
      for await (const page of store.set(version)) yield* page;
    },
    // More spans than versions there cannot be.
    spans: (key) => store.history({ ...key, limit: version + 1 }),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}
