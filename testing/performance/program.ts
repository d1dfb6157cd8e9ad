/**
 * The program as an operator has it: the package built, packed and unpacked. Links to the installed packages stand in for
 * a network.
 */
import { execFile } from 'node:child_process';
import { cp, mkdir, readFile, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { onAllCores } from './machine.ts';
import { makeTemporary } from './temporary.ts';

const ROOT = join(import.meta.dirname, '../..');
const PACKED = ['package.json', 'bin', 'LICENSE', 'README.md', 'CHANGELOG.md', 'SECURITY.md'];
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;
const run = promisify(execFile);

/** Answers the path of the program, which goes with the stack. */
export async function installProgram(stack: AsyncDisposableStack): Promise<string> {
  const directory = await makeTemporary('quorate-perf-package-', stack);
  const staging = join(directory, 'staging');
  await mkdir(staging);
  for (const path of PACKED) await cp(join(ROOT, path), join(staging, path), { recursive: true });
  await run(join(ROOT, 'scripts/build'), [join(staging, 'dist')]);
  const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts'], { cwd: staging });
  const [tarball] = JSON.parse(stdout) as [{ readonly filename: string }];
  const modules = join(directory, 'node_modules');
  const installed = join(modules, 'quorate');
  await mkdir(installed, { recursive: true });
  const archive = join(staging, tarball.filename);
  await run('tar', ['-xzf', archive, '-C', installed, '--strip-components=1']);
  await linkDependencies(installed, modules);
  return join(installed, 'bin/quorate.mjs');
}

async function linkDependencies(installed: string, modules: string): Promise<void> {
  const text = await readFile(join(installed, 'package.json'), 'utf8');
  const { dependencies } = JSON.parse(text) as { dependencies: Readonly<Record<string, string>> };
  for (const name of Object.keys(dependencies)) {
    await mkdir(dirname(join(modules, name)), { recursive: true });
    await symlink(join(ROOT, 'node_modules', name), join(modules, name));
  }
}

/** `quorate --json bench ...`, on every core; answers its loads. Throws unless it succeeds. */
export async function benchLoads(program: string, ...argv: readonly string[]): Promise<object> {
  const parameters = [program, '--json', '--quiet', ...argv];
  const command = onAllCores(process.execPath, parameters);
  const { stdout } = await run(command.command, [...command.parameters], {
    maxBuffer: MAX_OUTPUT_BYTES,
  });
  const { loads } = JSON.parse(stdout) as { readonly loads: object };
  return loads;
}
