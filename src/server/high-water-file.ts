/** The high-water mark as a file outside the data directory, replaced whole: a crash leaves the old mark or the new one. */
import { readFile, rm } from 'node:fs/promises';
import { firstError, RegistryError } from '../core/error.ts';
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

/**
 * Throws `invalid_request` where a mark could not be put, which a file beside it finds out: the mark itself may be
 * another server's by now. A full disk is no mistake, and may have room by then.
 */
export async function assertMarkCanBeKept(path: string): Promise<void> {
  const beside = `${path}.probe`;
  try {
    await replaceFile(beside, '');
    await rm(beside, { force: true });
  } catch (cause) {
    const got = reasonOf(cause);
    if (got === 'ENOSPC' || got === 'EDQUOT') return;
    throw new RegistryError(
      'invalid_request',
      `expected high_water in a directory that this server can write to, got ${got} beside ${path}: make the directory, let the server's user and its sandbox write there, or name another file`,
      { cause },
    );
  }
}

function failed(expected: string, cause: unknown): RegistryError {
  return new RegistryError('storage_failed', `expected ${expected}, got ${reasonOf(cause)}`, {
    cause,
  });
}

function reasonOf(cause: unknown): unknown {
  const first = firstError(cause);
  return first instanceof Error && 'code' in first ? first.code : first;
}
