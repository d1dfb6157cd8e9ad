/** Makes the names in a directory durable: what was created, renamed or removed in it. */
import { mkdir, open, rmdir, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

export async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, 'r');
  await directory.sync();
}

/**
 * The directory and those that it lies in, for this user alone where they are not there yet; durable when it resolves. Answers
 * those that were made, the lowest first. When it rejects, none of them is left.
 */
export async function makeDirectories(path: string): Promise<readonly string[]> {
  const made = await makeMissing(path);
  try {
    for (const one of made) await syncDirectory(dirname(one));
  } catch (error) {
    await removeEmpty(made);
    throw error;
  }
  return made;
}

/**
 * As `makeDirectories`, not durable. One by one from the highest: `mkdir` with `recursive` never ends where a
 * file system answers that what a new directory lies in is missing, as /proc does.
 */
export async function makeMissing(path: string): Promise<readonly string[]> {
  const missing: string[] = [];
  for (let at = resolve(path); !(await isDirectory(at)); at = dirname(at)) missing.push(at);
  const made: string[] = [];
  try {
    for (const one of missing.reverse()) if (await makeOne(one)) made.unshift(one);
    return made;
  } catch (error) {
    await removeEmpty(made);
    throw error;
  }
}

/** Whether it was made here: somebody else may have made it meanwhile. */
async function makeOne(path: string): Promise<boolean> {
  try {
    await mkdir(path, { mode: 0o700 });
    return true;
  } catch (error) {
    if (await isDirectory(path)) return false;
    throw error;
  }
}

const NONE = ['ENOENT', 'ENOTDIR'];

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (error instanceof Error && 'code' in error && NONE.includes(String(error.code)))
      return false;
    throw error;
  }
}

/** The lowest first. One that somebody uses by now stays. */
export async function removeEmpty(directories: readonly string[]): Promise<void> {
  for (const directory of directories) await rmdir(directory).catch(() => undefined);
}
