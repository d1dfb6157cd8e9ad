/** What a file system refuses, as the registry's codes and in words that help. */
import { firstError, RegistryError } from '../../core/error.ts';

const FULL = /^(ENOSPC|EDQUOT)$/;

/** `expected`: what was tried, such as `to write a snapshot in /backup`. `advice`: unless it is room that lacks. What is no system error stays as it is. */
export function storageFailure(cause: unknown, expected: string, advice?: string): unknown {
  const first = firstError(cause);
  if (first instanceof RegistryError || !(first instanceof Error && 'syscall' in first))
    return cause;
  const code = 'code' in first ? String(first.code) : 'an error';
  const isFull = FULL.test(code);
  const next = isFull ? 'make room' : advice;
  return new RegistryError(
    isFull ? 'read_only' : 'storage_failed',
    `expected ${expected}, got ${code}${next === undefined ? '' : `: ${next}`}`,
    { cause },
  );
}
