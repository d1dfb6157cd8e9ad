/** The store of a profile: where the registry is kept, or that it is not. */
import { join } from 'node:path';
import { RegistryError } from '../core/error.ts';
import { createMemoryStore } from '../store/memory.ts';
import { openSqliteStore, type SqliteOptions } from '../store/sqlite.ts';
import type { Store } from '../store/store.ts';
import type { Config } from './config.ts';
import { makeMissing } from './sync-directory.ts';

/** The database of a macronode, for whoever opens it while no server runs. */
export function databasePath(dataDir: string): string {
  return join(dataDir, 'registry.db');
}

/** Throws what `openSqliteStore` throws, with what to do about it. */
export async function openStore(
  { profile, dataDir }: Pick<Config, 'profile' | 'dataDir'>,
  options: Pick<SqliteOptions, 'metrics' | 'onFatal' | 'onNotWiped'>,
): Promise<Store> {
  if (profile === 'micronode') return createMemoryStore();
  await makeDirectory(dataDir);
  return openSqliteStore({ ...options, path: databasePath(dataDir) });
}

/** For this user alone: whoever can write the database can deny the registry to everybody. */
async function makeDirectory(path: string): Promise<void> {
  try {
    await makeMissing(path);
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'an error';
    throw new RegistryError(
      'storage_failed',
      `expected a directory at ${path} or leave to make it, got ${code}: change its owner or mode, or choose another --data`,
      { cause },
    );
  }
}
