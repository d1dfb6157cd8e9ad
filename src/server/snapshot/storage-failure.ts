/** What a file system refuses, as the registry's codes and in words that help. */
import { firstError, RegistryError } from '../../core/error.ts';

const FULL = /^(ENOSPC|EDQUOT)$/;

/** `expected`: what was tried, such as `to write a snapshot in /backup`. What is no system error stays as it is. */
export function storageFailure(cause: unknown, expected: string): unknown {
  const first = firstError(cause);
  if (first instanceof RegistryError || !(first instanceof Error && 'syscall' in first))
    return cause;
  const code = 'code' in first ? String(first.code) : 'an error';
  return new RegistryError(
    FULL.test(code) ? 'read_only' : 'storage_failed',
    `expected ${expected}, got ${code}${FULL.test(code) ? ': make room' : ''}`,
    { cause },
  );
}
