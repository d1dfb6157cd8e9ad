/**
 * Starts of the program as an operator has it: the package built, packed and unpacked, run by `quorate serve`.
 * Links to the installed packages stand in for a network.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, readFile, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { logKeyFile } from '../support/log-key-file.ts';
import type { Bench } from './bench.ts';
import type { ChildServer } from './child.ts';
import { asServer } from './machine.ts';
import { SERVICE_ENV, SERVICE_FLAGS } from './service-flags.ts';
import { type LongStartsPlan, openStartsOver } from './starts-long.ts';
import { makeTemporary } from './temporary.ts';

const ROOT = join(import.meta.dirname, '../..');
const PACKED = ['package.json', 'bin', 'LICENSE', 'README.md', 'CHANGELOG.md', 'SECURITY.md'];
const run = promisify(execFile);

/** Building takes half a minute: one bench is enough for all rounds, since each start is a new process anyway. */
export function openInstalledStarts(plan: LongStartsPlan, name: string): Promise<Bench> {
  return openStartsOver(plan, name, async (stack) => {
    const program = await install(stack);
    return (data) => serve(program, data);
  });
}

/** Answers the path of the program. */
async function install(stack: AsyncDisposableStack): Promise<string> {
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

/** With no more settings than an operator must give, on free ports. */
async function serve(program: string, data: string): Promise<ChildServer> {
  const server = asServer(process.execPath, [
    ...SERVICE_FLAGS,
    ...[program, 'serve', '--data', data, '--log-key', logKeyFile(), '--log-level', 'error'],
    ...['--listen', '127.0.0.1:0', '--metrics-listen', '127.0.0.1:0'],
  ]);
  const child = spawn(server.command, server.parameters, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...SERVICE_ENV },
  });
  const exited = once(child, 'exit');
  // It does not end with our standard input.
  const kill = () => void child.kill('SIGKILL');
  process.once('exit', kill);
  const stop = async () => {
    child.kill('SIGTERM');
    await exited;
    process.off('exit', kill);
  };
  const lines = createInterface({ input: child.stdout });
  const said = await Promise.race([once(lines, 'line'), exited.then(() => [])]);
  const [url] = said as readonly string[];
  if (url === undefined || child.pid === undefined) {
    await stop();
    throw new Error('expected quorate serve to print its url, got its end');
  }
  return { url, pid: child.pid, [Symbol.asyncDispose]: stop };
}
