/**
 * The programs that tests start as processes of their own, bundled: most of what a start from source takes is reading
 * hundreds of small files, and fault campaigns start some hundred processes. `test-programs.ts FOLDER` lays
 * FOLDER out as the package is.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, globSync, symlinkSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { rolldown } from 'rolldown';
import { OUTSIDE } from './outside.ts';

const ROOT = resolve(import.meta.dirname, '../..');

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('expected a folder to write to, got none');
const target = resolve(folder);
copyFileSync(join(ROOT, 'package.json'), join(target, 'package.json'));
cpSync(join(ROOT, 'bin'), join(target, 'bin'), { recursive: true });
symlinkSync(join(ROOT, 'node_modules'), join(target, 'node_modules'));
execFileSync(process.execPath, [join(import.meta.dirname, 'bundle.ts'), join(target, 'dist')]);
// Workers are found beside the file that starts them, so everything lies in one folder.
const files = globSync(
  ['testing/support/{*-child,server-main}.ts', 'src/**/*-{process,worker}.ts'],
  {
    cwd: ROOT,
  },
);
await using programs = await rolldown({
  input: Object.fromEntries(files.map((file) => [basename(file, '.ts'), join(ROOT, file)])),
  platform: 'node',
  external: OUTSIDE,
  // What a file imports in two ways is of no concern here.
  logLevel: 'silent',
});
await programs.write({
  dir: join(target, 'dist/support'),
  // They await at the top of the file, which CommonJS cannot.
  format: 'esm',
  comments: false,
  entryFileNames: '[name].js',
  chunkFileNames: '[name]-[hash].js',
});
