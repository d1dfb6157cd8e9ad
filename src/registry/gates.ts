/**
 * The seam for reasons outside the registry not to write: an operator's freeze, a slow or full disk, a
 * late event loop, an audit log that cannot be kept. Reads never pass a gate.
 */
import { RegistryError } from '../core/error.ts';

export interface WriteGate {
  /** One word of `/readyz?verbose`. */
  readonly name: string;
  /** Why nothing is to be written now, with a code of status 429 or 503; `undefined`: go ahead. Cheap: asked at every write. */
  refusal(): RegistryError | undefined;
}

/**
 * Runs a check of what must hold before a write. Its refusal brings `details.reason`: the name of the
 * condition, unless it says something more exact itself.
 */
export function assertNamed(name: string, check: () => RegistryError | undefined): void {
  const refusal = refusalOf(check);
  if (refusal === undefined) return;
  if ('reason' in refusal.details) throw refusal;
  const { code, message, details } = refusal;
  throw new RegistryError(code, message, { cause: refusal, details: { ...details, reason: name } });
}

function refusalOf(check: () => RegistryError | undefined): RegistryError | undefined {
  try {
    return check();
  } catch (error) {
    if (error instanceof RegistryError) return error;
    throw error;
  }
}
