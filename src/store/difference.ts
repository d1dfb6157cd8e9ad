/** What counts as a net change between two versions. */
import { isEqualBytes } from '../core/bytes.ts';
import type { StoredDescriptor } from './store.ts';

/** Absent at both ends, or the same value, also when it was put again in between. */
export function isSameValue(a: StoredDescriptor | null, b: StoredDescriptor | null): boolean {
  if (a === null || b === null) return a === b;
  return a.setVersion === b.setVersion || isEqualBytes(a.valueHash, b.valueHash);
}
