/**
 * The seam for reasons outside the registry not to write: an operator's freeze, a slow or full disk, a
 * late event loop, an audit log that cannot be kept. Reads never pass a gate.
 */
import type { RegistryError } from '../core/error.ts';

export interface WriteGate {
  /** One word of `/readyz?verbose`. */
  readonly name: string;
  /** Why nothing is to be written now, with a code of status 429 or 503; `undefined`: go ahead. Cheap: asked at every write. */
  refusal(): RegistryError | undefined;
}
