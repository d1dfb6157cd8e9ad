/**
 * Notices when open database files are unlinked or replaced. SQLite would go on writing, and
 * acknowledging, into files that nobody will find again.
 */
import { statSync } from 'node:fs';
import { RegistryError } from '../core/error.ts';

export class FileWatch {
  readonly #inodes: ReadonlyMap<string, string>;

  /** Files that are open and exist. */
  constructor(paths: readonly string[]) {
    this.#inodes = new Map(paths.map((path) => [path, inodeOf(path)]));
  }

  /** Throws `storage_failed`. */
  assertSame(): void {
    for (const [path, inode] of this.#inodes) {
      const found = inodeOf(path);
      if (found !== inode)
        throw new RegistryError(
          'storage_failed',
          `expected ${path} to stay the file that was opened, got ${found} in its place`,
        );
    }
  }
}

function inodeOf(path: string): string {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? 'no file' : `inode ${stat.ino} on device ${stat.dev}`;
}
