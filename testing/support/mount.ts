/** Small file systems of their own, for tests of full and read-only disks. */
import { execFileSync } from 'node:child_process';
import { chmodSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { makeDirectory } from './store-sqlite.ts';

/** A directory on a file system of `size` (such as `4m`); `undefined`, and the test skipped, where that takes other rights. */
export function mountSmall(t: TestContext, size: string): string | undefined {
  const directory = makeDirectory();
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'none', directory], {
      stdio: 'pipe',
    });
  } catch {
    t.skip('SKIPPED, NOT PASSED: mounting a small file system takes root');
    return undefined;
  }
  // Before the directory is removed.
  process.prependListener('exit', () => execFileSync('umount', ['-l', directory]));
  return directory;
}

/** No file in the directory can be changed from now on, nor made; not even by root. */
export function makeReadOnly(directory: string): void {
  if (process.getuid?.() === 0) {
    execFileSync('mount', ['-o', 'remount,ro', directory], { stdio: 'pipe' });
    return;
  }
  chmodSync(directory, 0o555);
  process.prependListener('exit', () => chmodSync(directory, 0o755));
}
