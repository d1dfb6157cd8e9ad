/** What memory another process has. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import type { TestContext } from 'node:test';

/** Says that the test is skipped, loudly. */
export function isWithoutProc(t: TestContext): boolean {
  if (existsSync('/proc/self/status')) return false;
  if (process.env.QUORATE_CI === '1')
    assert.fail('expected /proc, to see what memory a process has');
  t.skip('SKIPPED, NOT PASSED: without /proc the memory of another process is not known');
  return true;
}

/** Resident, now. */
export function rssMib(pid: number): number {
  const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kib) / 1024;
}
