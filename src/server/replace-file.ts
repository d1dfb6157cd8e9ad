/** A small file replaced whole and durably: a crash leaves the old text or the new one. */
import { randomBytes } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { cleanedUp } from '../core/error.ts';

/** Readable to its owner only. Throws what the file system throws; then the old text stands. */
export async function replaceFile(path: string, text: string): Promise<void> {
  const next = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    await using file = await open(next, 'wx', 0o600);
    await file.writeFile(text);
    await file.sync();
    await rename(next, path);
  } catch (error) {
    throw await cleanedUp(error, () => rm(next, { force: true }));
  }
  // The name is in the directory: without this a power loss may bring the old text back.
  await using directory = await open(dirname(path), 'r');
  await directory.sync();
}
