/** Makes the names in a directory durable: what was created, renamed or removed in it. */
import { mkdir, open, rmdir } from 'node:fs/promises';
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
  const lowest = resolve(path);
  const highest = await mkdir(lowest, { recursive: true, mode: 0o700 });
  const made: string[] = [];
  if (highest === undefined) return made;
  for (let at = lowest; at.length >= highest.length; at = dirname(at)) made.push(at);
  try {
    for (const one of made) await syncDirectory(dirname(one));
  } catch (error) {
    await removeEmpty(made);
    throw error;
  }
  return made;
}

/** The lowest first. One that somebody uses by now stays. */
export async function removeEmpty(directories: readonly string[]): Promise<void> {
  for (const directory of directories) await rmdir(directory).catch(() => undefined);
}
