/** Trusted state in a file of its own, replaced whole: a crash leaves the old state or the new one. */
import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { TrustStore } from '../client/client.ts';
import { RegistryError } from '../core/error.ts';
import { replaceFile } from '../server/replace-file.ts';

/**
 * The file is readable to its owner only, and its directory is made when it is missing.
 *
 * BUG: two programs with one file do not see each other's saves; the last one wins, so that trust may
 * fall back to what the slower one had verified. Give each long-running follower its own file.
 *
 * @example
 * const client = createClient({ url, registry, trust: createFileTrust('/var/lib/deployer/trust.json') });
 */
export function createFileTrust(path: string): TrustStore {
  return {
    load: async () => {
      try {
        return await readFile(path, 'utf8');
      } catch (cause) {
        if (isMissing(cause)) return undefined;
        throw trustError(`readable trusted state at ${path}`, cause);
      }
    },
    save: async (state) => {
      try {
        await mkdir(dirname(path), { recursive: true, mode: 0o700 });
        await replaceFile(path, state);
      } catch (cause) {
        throw trustError(`to keep trusted state at ${path}`, cause);
      }
    },
  };
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

function trustError(expected: string, cause: unknown): RegistryError {
  const got = cause instanceof Error && 'code' in cause ? cause.code : cause;
  return new RegistryError('storage_failed', `expected ${expected}, got ${got}`, { cause });
}
