/** The high-water mark as a file outside the data directory, replaced whole: a crash leaves the old mark or the new one. */
import { readFile } from 'node:fs/promises';
import { RegistryError } from '../core/error.ts';
import type { MarkFile } from '../registry/high-water.ts';
import { replaceFile } from './replace-file.ts';

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

function failed(expected: string, cause: unknown): RegistryError {
  const got = cause instanceof Error && 'code' in cause ? cause.code : cause;
  return new RegistryError('storage_failed', `expected ${expected}, got ${got}`, { cause });
}
