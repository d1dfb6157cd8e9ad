/** Directories without a disk: for what a disk must not disturb, such as faults of a disk that are injected. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

const MEMORY = '/dev/shm';

/** Its name is short enough for a socket; removed when the test ends. On disk where there is no such place. */
export function memoryDir(t: TestContext): string {
  return temporaryDir(t, existsSync(MEMORY) ? MEMORY : tmpdir());
}

export function temporaryDir(t: TestContext, parent = tmpdir()): string {
  const directory = mkdtempSync(join(parent, 'quorate-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
