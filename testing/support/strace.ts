/**
 * System calls that fail on purpose: runs a program under strace, once for each call it makes, and
 * lets that one call fail. It ends by itself at the first run in which nothing was left to fail.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type Run, run } from './child.ts';

/** Skips the test, saying so, where calls cannot be traced. */
export function isStraceMissing(t: TestContext): boolean {
  const isThere = spawnSync('strace', ['-qq', '-o', '/dev/null', 'true']).status === 0;
  if (!isThere) t.skip('SKIPPED, NOT PASSED: strace is not installed or may not trace here');
  return !isThere;
}

export interface Fault {
  /** e.g. `fsync` */
  readonly call: string;
  /** e.g. `error=EIO` or `signal=SIGKILL` */
  readonly effect: string;
}

interface Attempt {
  /** The call that fails: the k-th. */
  readonly k: number;
  /** A new directory, for the program's files and the trace. */
  readonly directory: string;
}

export interface FailedAttempt extends Attempt {
  /** The call as strace shows it, with the file's path; empty when a signal ended the program, or one that it started. */
  readonly failed: string;
}

interface Loop extends Fault {
  readonly makeDirectory: () => string;
  /** What to run for one attempt, after its files were made. */
  readonly program: (attempt: Attempt) => readonly string[];
  /** 1: each call. 5: the first, the sixth, and so on. */
  readonly step?: number;
  /** Called after each run in which a call failed. */
  readonly check: (run: Run, failed: FailedAttempt) => Promise<void>;
}

/** Answers how many calls failed, one in each run; throws when none did. */
export async function failEachCall(loop: Loop): Promise<number> {
  const { step = 1 } = loop;
  let next = 1;
  let end = Number.POSITIVE_INFINITY;
  const runInTurn = async (): Promise<void> => {
    while (next < end) {
      const attempt = { k: next, directory: loop.makeDirectory() };
      next += step;
      const { ran, failed } = await runWithFault(loop, attempt);
      if (failed !== undefined) await loop.check(ran, { ...attempt, failed });
      else end = Math.min(end, attempt.k);
    }
  };
  await Promise.all([runInTurn(), runInTurn()]);
  assert.ok(end > 1, `no ${loop.call} was there to fail`);
  return (end - 1) / step;
}

async function runWithFault({ call, effect, program }: Loop, attempt: Attempt) {
  const trace = join(attempt.directory, 'trace');
  const isSignal = effect.startsWith('signal=');
  // Stops at the traced calls only, which is faster; but then strace 6.1 counts no calls for signals.
  const speed = isSignal ? [] : ['--seccomp-bpf'];
  const options = ['-f', ...speed, '-y', '-q', '-o', trace, '-e', `trace=${call}`];
  const inject = ['-e', `inject=${call}:${effect}:when=${attempt.k}`];
  const ran = await run('strace', [...options, ...inject, ...program(attempt)]);
  const calls = readFileSync(trace, 'utf8').split('\n');
  // Perhaps of a process that the program started.
  if (isSignal) return { ran, failed: calls.some(isKill) ? '' : undefined };
  return { ran, failed: calls.find((line) => line.endsWith('(INJECTED)')) };
}

function isKill(line: string): boolean {
  return line.endsWith('+++ killed by SIGKILL +++');
}

/** Runs a program that nothing disturbs; the calls of these names as strace shows them, in the order in which they ended. */
export async function tracedCalls(
  calls: readonly string[],
  { directory, program }: { readonly directory: string; readonly program: readonly string[] },
): Promise<readonly string[]> {
  const trace = join(directory, 'trace');
  const options = ['-f', '--seccomp-bpf', '-y', '-q', '-s', '128', '-o', trace];
  await run('strace', [...options, '-e', `trace=${calls.join()}`, ...program]);
  /** By thread: what another thread's call came in between of. */
  const begun = new Map<string, string>();
  return readFileSync(trace, 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [, thread = '', call = ''] = /^(\d+) +(.*)$/.exec(line) ?? [];
      const [, beginning] = /^(.*) <unfinished \.\.\.>$/.exec(call) ?? [];
      if (beginning !== undefined) begun.set(thread, beginning);
      if (beginning !== undefined || call === '') return [];
      const [, end] = /^<\.\.\. \w+ resumed>(.*)$/.exec(call) ?? [];
      return [end === undefined ? call : `${begun.get(thread)}${end}`];
    });
}
