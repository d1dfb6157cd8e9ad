/** Faults that come and go under a running process: strace attaches to it, and lets it go again. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Fault } from './strace.ts';

/** Also a call that was in its delay when the process was let go. */
const HIT = /\((?:DELAYED|INJECTED)\)$|<detached \.\.\.>$/;

export interface Attached {
  /** How many calls were delayed or failed so far. */
  injected(): number;
  /** The process goes on undisturbed; answers how many calls were hit in all. */
  detach(): Promise<number>;
}

/** `effect` e.g. `delay_enter=50ms`; of all threads. Throws where it may not attach. */
export async function attach(
  t: TestContext,
  pid: number,
  { call, effect }: Fault,
): Promise<Attached> {
  const directory = mkdtempSync(join(tmpdir(), 'quorate-strace-'));
  const trace = join(directory, 'trace');
  const options = ['-f', '-p', `${pid}`, '-o', trace, '-e', `trace=${call}`, '-e', 'signal=none'];
  const child = spawn('strace', [...options, '-e', `inject=${call}:${effect}`], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = once(child, 'exit');
  t.after(async () => {
    child.kill('SIGKILL');
    await ended;
    rmSync(directory, { recursive: true, force: true });
  });
  // Read to the end: a strace that nobody listens to dies of it before its trace is written.
  let said = '';
  await new Promise<void>((resolve, reject) => {
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      if (said.includes(' attached')) resolve();
    });
    child.once('exit', () => reject(new Error(`expected strace to attach, got: ${said}`)));
  });
  const injected = () =>
    readFileSync(trace, 'utf8')
      .split('\n')
      .filter((line) => HIT.test(line)).length;
  return {
    injected,
    detach: async () => {
      child.kill('SIGINT');
      await ended;
      return injected();
    },
  };
}
