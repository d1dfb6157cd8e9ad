/** The high-water mark as a file outside the data directory, replaced whole: a crash leaves the old mark or the new one. */
import { randomBytes } from 'node:crypto';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { RegistryError } from '../core/error.ts';
import type { MarkFile } from '../registry/high-water.ts';

export function createMarkFile(path: string): MarkFile {
  return {
    path,
    load: async () => {
      try {
        return await readFile(path, 'utf8');
      } catch (cause) {
        if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
        throw failed(`a readable high-water mark at ${path}`, cause);
      }
    },
    keep: async (note) => {
      try {
        await replaceFile(path, note);
      } catch (cause) {
        throw failed(`to keep the high-water mark at ${path}`, cause);
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
  // The name is in the directory: without this a power loss may bring the old mark back.
  await using directory = await open(dirname(path), 'r');
  await directory.sync();
}

function failed(expected: string, cause: unknown): RegistryError {
  const got = cause instanceof Error && 'code' in cause ? cause.code : cause;
  return new RegistryError('storage_failed', `expected ${expected}, got ${got}`, { cause });
}
