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

interface Row extends Span {
  readonly bytes: Uint8Array;
}

export interface ExpectedDescriptor {
  readonly kind: string;
  readonly id: string;
  /** Oldest first. */
  readonly spans: readonly Span[];
}

export class ExpectedIndex {
  readonly #forgotten = new Set<number>();
  readonly #descriptors = new Map<string, ExpectedDescriptor & { readonly spans: Span[] }>();
  #touched = new Set<string>();

  /** A change of the entry `version`; in order. */
  add({ kind, id, valueHash }: AppliedChange, version: number): void {
    const key = keyOf({ kind, id });
    const spans: Span[] = this.#descriptors.get(key)?.spans ?? [];
    const last = spans.at(-1);
    if (last?.endVersion === null) spans[spans.length - 1] = { ...last, endVersion: version };
    if (valueHash !== null) spans.push({ setVersion: version, endVersion: null, valueHash });
    this.#descriptors.set(key, { kind, id, spans });
    this.#touched.add(key);
  }

  /** An entry without its payload: what it put and ended is not known. */
  forget(version: number): void {
    this.#forgotten.add(version);
  }

  isForgotten(version: number): boolean {
    return this.#forgotten.has(version);
  }

  /** Rows that there must be. */
  get rows(): number {
    let rows = 0;
    for (const { spans } of this.#descriptors.values()) rows += this.#known(spans).length;
    return rows;
  }

  /** The descriptors that were changed since this was asked last. */
  takeTouched(): readonly ExpectedDescriptor[] {
    const touched = [...this.#touched].flatMap((key) => this.#descriptors.get(key) ?? []);
    this.#touched = new Set();
    return touched;
  }

  /** Whether rows, oldest first, are a descriptor's; what an entry without its payload put is in the set roots, and nowhere else. */
  areRowsOf({ spans }: ExpectedDescriptor, rows: readonly Row[]): boolean {
    const [expected, found] = [this.#known(spans), this.#known(rows)];
    return (
      found.length === expected.length &&
      expected.every((span, i) => found[i] !== undefined && this.#isRowOf(span, found[i]))
    );
  }

  #known<T extends Span>(spans: readonly T[]): readonly T[] {
    return spans.filter(({ setVersion }) => !this.isForgotten(setVersion));
  }

  /** Its bytes included; it may have ended with an entry that is not known. */
  #isRowOf(span: Span, row: Row): boolean {
    return (
      row.setVersion === span.setVersion &&
      this.#isEndOf(span, row.endVersion) &&
      isEqualBytes(row.valueHash, span.valueHash) &&
      isEqualBytes(descriptorValueHash(row.bytes), span.valueHash)
    );
  }

  #isEndOf({ endVersion }: Span, end: number | null): boolean {
    if (end === endVersion) return true;
    return end !== null && this.isForgotten(end) && (endVersion === null || end < endVersion);
  }
}
