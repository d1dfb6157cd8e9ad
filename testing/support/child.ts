/** Child processes that run the project's TypeScript. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where a run of the whole suite has laid out what `quorate` and the programs here are bundled into. */
const bundled = process.env.QUORATE_TEST_PROGRAMS;
const cache = mkdtempSync(join(tmpdir(), 'quorate-cache-'));
process.on('exit', () => rmSync(cache, { recursive: true, force: true }));

/** The command. */
export const QUORATE = join(bundled ?? join(import.meta.dirname, '../..'), 'bin/quorate.mjs');

/** The file to run of a program in this folder, e.g. `store-child`. Bundled it starts in a third of the time. */
export function programOf(name: string): string {
  return bundled === undefined
    ? join(import.meta.dirname, `${name}.ts`)
    : join(bundled, 'dist/support', `${name}.js`);
}

/**
 * Types are stripped and modules compiled once, by the first process that ends in good order. Coverage
 * is off: writing it would be among the calls that are made to fail, and half a report spoils the whole.
 */
export const CHILD_ENV: NodeJS.ProcessEnv = {
  ...process.env,
  NODE_COMPILE_CACHE: cache,
  NODE_V8_COVERAGE: '',
};

export interface Run {
  readonly lines: readonly string[];
  readonly signal: NodeJS.Signals | null;
}

/** Runs to its end, whatever that is. Lines of standard output. */
export async function run(command: string, parameters: readonly string[]): Promise<Run> {
  const stdio = ['ignore', 'pipe', 'inherit'] as const;
  const child = spawn(command, parameters, { stdio: [...stdio], env: CHILD_ENV });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const signal = await new Promise<NodeJS.Signals | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (_code, by) => resolve(by));
  });
  return { lines: output.split('\n').filter((line) => line !== ''), signal };
}
