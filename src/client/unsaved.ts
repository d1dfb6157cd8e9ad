/**
 * One error of two: what was found in the log, and that what was verified before it could not be saved. The
 * finding says more: its code stays.
 */
import { excerpt, RegistryError } from '../core/error.ts';

/** What is no refusal of ours, such as the reason of a signal, is told as it is. */
export function withUnsaved(found: unknown, unsaved: unknown): unknown {
  if (!(found instanceof RegistryError)) return found;
  const details = {
    ...found.details,
    unsaved: excerpt(unsaved instanceof Error ? unsaved.message : String(unsaved)),
  };
  const message = `${found.message}; and what was verified before it could not be saved: ${details.unsaved}`;
  return new RegistryError(found.code, message, { cause: found, details });
}
