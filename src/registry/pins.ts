/** Which registry this may be, when the operator said so: another one is neither opened nor begun. */
import { type ErrorCode, RegistryError } from '../core/error.ts';
import type { Hash } from '../core/hash.ts';

export interface Pins {
  readonly origin?: string;
  readonly registry?: Hash;
}

/** Throws `code` when `found` is not what is pinned. */
export function assertPinned(
  found: { readonly origin: string; readonly registry: Hash },
  { pins = {}, code }: { readonly pins?: Pins | undefined; readonly code: ErrorCode },
): void {
  for (const name of ['origin', 'registry'] as const) {
    const expected = pins[name];
    if (expected !== undefined && expected !== found[name])
      throw new RegistryError(
        code,
        `expected the registry of ${name} ${expected}, got that of ${found[name]}`,
        {
          details: { [name]: expected },
        },
      );
  }
}
