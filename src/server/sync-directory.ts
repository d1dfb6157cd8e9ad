/** Makes the names in a directory durable: what was created, renamed or removed in it. */
import { open } from 'node:fs/promises';

export async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, 'r');
  await directory.sync();
}
