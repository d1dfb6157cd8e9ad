/** Trusted state in a file of its own, replaced whole: a crash leaves the old state or the new one. */
import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { TrustStore } from '../client/client.ts';
import { RegistryError } from '../core/error.ts';

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

async function replaceFile(path: string, text: string): Promise<void> {
  const next = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    await using file = await open(next, 'wx', 0o600);
    await file.writeFile(text);
    await file.sync();
    await rename(next, path);
  } catch (error) {
    await rm(next, { force: true });
    throw error;
  }
  // The name is in the directory: without this a power loss may bring the old state back.
  await using directory = await open(dirname(path), 'r');
  await directory.sync();
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

function trustError(expected: string, cause: unknown): RegistryError {
  const got = cause instanceof Error && 'code' in cause ? cause.code : cause;
  return new RegistryError('storage_failed', `expected ${expected}, got ${got}`, { cause });
}
