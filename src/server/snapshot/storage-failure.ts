/** What a file system refuses, as the registry's codes and in words that help. */
import { RegistryError } from '../../core/error.ts';

const FULL = /^(ENOSPC|EDQUOT)$/;

/** `expected`: what was tried, such as `to write a snapshot in /backup`. What is no system error stays as it is. */
export function storageFailure(cause: unknown, expected: string): unknown {
  if (cause instanceof RegistryError || !(cause instanceof Error && 'syscall' in cause))
    return cause;
  const code = 'code' in cause ? String(cause.code) : 'an error';
  return new RegistryError(
    FULL.test(code) ? 'read_only' : 'storage_failed',
    `expected ${expected}, got ${code}${FULL.test(code) ? ': make room' : ''}`,
    { cause },
  );
}
