/** Directories that are gone when they are no longer needed, and when a run is interrupted. */
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A fresh one, that goes with the stack or with this process. `parent`: default, where temporary files are. */
export async function makeTemporary(
  prefix: string,
  stack: AsyncDisposableStack,
  parent = tmpdir(),
): Promise<string> {
  const directory = await mkdtemp(join(parent, prefix));
  const remove = () => rmSync(directory, { recursive: true, force: true });
  process.once('exit', remove);
  stack.defer(() => {
    process.off('exit', remove);
    remove();
  });
  return directory;
}
