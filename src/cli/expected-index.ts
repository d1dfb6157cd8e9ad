/** What a database's descriptor index must hold, built from the entries alone. */
import { isEqualBytes } from '../core/bytes.ts';
import type { AppliedChange } from '../core/chain.ts';
import { descriptorValueHash } from '../core/descriptor.ts';
import { keyOf } from './plan.ts';

/** One value: from `setVersion` up to, not including, `endVersion` (`null`: still current). */
export interface Span {
  readonly setVersion: number;
  readonly endVersion: number | null;
  readonly valueHash: Uint8Array;
}

export interface ExpectedDescriptor {
  readonly kind: string;
  readonly id: string;
  /** Oldest first. */
  readonly spans: readonly Span[];
}

export class ExpectedIndex {
  readonly #descriptors = new Map<string, ExpectedDescriptor & { readonly spans: Span[] }>();

  /** A change of the entry `version`; in order. */
  add({ kind, id, valueHash }: AppliedChange, version: number): void {
    const key = keyOf({ kind, id });
    const spans: Span[] = this.#descriptors.get(key)?.spans ?? [];
    const last = spans.at(-1);
    if (last?.endVersion === null) spans[spans.length - 1] = { ...last, endVersion: version };
    if (valueHash !== null) spans.push({ setVersion: version, endVersion: null, valueHash });
    this.#descriptors.set(key, { kind, id, spans });
  }

  get descriptors(): Iterable<ExpectedDescriptor> {
    return this.#descriptors.values();
  }
}

/** Whether a row is the span, its bytes included. */
export function isRowOf(span: Span, row: Span & { readonly bytes: Uint8Array }): boolean {
  return (
    row.setVersion === span.setVersion &&
    row.endVersion === span.endVersion &&
    isEqualBytes(row.valueHash, span.valueHash) &&
    isEqualBytes(descriptorValueHash(row.bytes), span.valueHash)
  );
}
