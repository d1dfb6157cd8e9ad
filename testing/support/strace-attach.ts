/** Faults that come and go under a running process: strace attaches to it, and lets it go again. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { memoryDir } from './memory-dir.ts';
import { type Fault, isStraceMissing } from './strace.ts';

/** Also a call that was in its delay when the process was let go. */
const HIT = /\((?:DELAYED|INJECTED)\)$|<detached \.\.\.>$/;

export interface Attached {
  /** How many calls were delayed or failed so far. */
  injected(): number;
  /** The process goes on undisturbed; answers how many calls were hit in all. */
  detach(): Promise<number>;
}

const YAMA = '/proc/sys/kernel/yama/ptrace_scope';

/** Skips the test, saying so, where a process may not be traced by another that did not start it; fails it where all must run. */
export function isAttachMissing(t: TestContext): boolean {
  if (isStraceMissing(t)) return true;
  const isOpen = !existsSync(YAMA) || readFileSync(YAMA, 'utf8').trim() === '0';
  if (isOpen || process.getuid?.() === 0) return false;
  const message = `strace may not attach here: ${YAMA} is not 0`;
  if (process.env.QUORATE_CI === '1') throw new Error(message);
  t.skip(`SKIPPED, NOT PASSED: ${message}`);
  return true;
}

export interface AttachedFault extends Fault {
  /** Calls on this file alone. */
  readonly path: string;
  /** Of one thread, whose number is the `pid`; otherwise of all threads. */
  readonly isOneThread?: boolean;
}

/** `effect` e.g. `delay_enter=50ms`. Throws where it may not attach. */
export async function attach(
  t: TestContext,
  pid: number,
  { call, effect, path, isOneThread = false }: AttachedFault,
): Promise<Attached> {
  // The process stands still while strace waits for a disk.
  const trace = join(memoryDir(t), 'trace');
  const options = [
    ...(isOneThread ? [] : ['-f']),
    '-P',
    path,
    '-p',
    `${pid}`,
    '-o',
    trace,
    '-e',
    `trace=${call}`,
    '-e',
    'signal=none',
  ];
  const child = spawn('strace', [...options, '-e', `inject=${call}:${effect}`], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = once(child, 'exit');
  t.after(async () => {
    child.kill('SIGKILL');
    await ended;
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
