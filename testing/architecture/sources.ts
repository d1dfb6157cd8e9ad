/** The project's own source text, read once. */
import { globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

export const ROOT = resolve(import.meta.dirname, '../..');

/** Path under `src/` to text. */
export const SOURCES = readAll('src', '**/*.ts');
/** Path under the root to text: tests and what they share, scripts, examples. */
export const OTHERS = readAll('.', '{testing,scripts,examples}/**/*.ts');

export function readText(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

function readAll(folder: string, pattern: string): ReadonlyMap<string, string> {
  const files = globSync(pattern, { cwd: join(ROOT, folder) }).sort();
  return new Map(files.map((file) => [file.replaceAll('\\', '/'), readText(join(folder, file))]));
}
