/** Whether a registry can be read and written, by the conditions for it. */
import { RegistryError } from '../core/error.ts';
import type { Readiness, ReadinessCheck } from './registry.ts';

/** Without these there is nothing to read, or nobody should begin to. */
const READ_CHECKS = ['genesis', 'running'];

export function readinessOf(
  checks: readonly ReadinessCheck[],
  version: number | undefined,
): Readiness {
  return {
    ready: checks.every(({ name, isOk }) => isOk || !READ_CHECKS.includes(name)),
    // Before genesis the only write is genesis, and it is taken.
    writeReady: checks.every(({ name, isOk }) => isOk || name === 'genesis'),
    checks,
    missing: checks.flatMap((check) => check.missing ?? []),
    version: version ?? null,
  };
}

/** `missing`: in words an operator can act on; `undefined`: it holds. */
export function check(name: string, missing: string | undefined): ReadinessCheck {
  return { name, isOk: missing === undefined, missing: missing ?? null };
}

/** Of a write, while something of the log is not known to be whole. */
export function refusalWhile(missing: RegistryError | undefined): RegistryError | undefined {
  if (missing === undefined || missing.code === 'storage_damaged') return missing;
  return new RegistryError(
    'not_ready',
    `expected a checked log, got ${missing.message}: repeat later`,
  );
}
