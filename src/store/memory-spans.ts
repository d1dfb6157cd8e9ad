/** The descriptor index of the memory store: for each key its spans, oldest first. */
import { isEqualBytes } from '../core/bytes.ts';
import { PAGE_ROWS } from './paging.ts';
import type {
  DescriptorChange,
  DescriptorKey,
  DescriptorSpan,
  HistoryQuery,
  StoredDescriptor,
  StoredDifference,
} from './store.ts';

/** `kind`, NUL, `id`: sorts as kind, then id. */
type Name = string;

export class MemorySpans {
  readonly #spans = new Map<Name, DescriptorSpan[]>();
  /** Names put or removed, by version. */
  readonly #touched: Name[][] = [];
  #sorted: readonly Name[] = [];
  #unsorted: Name[] = [];

  /** Versions come one after another; a key at most once in each. */
  apply(version: number, changes: readonly DescriptorChange[]): void {
    this.#touched[version] = changes.map((change) => {
      const name = nameOf(change);
      const spans = this.#spansFor(name);
      const last = spans.at(-1);
      if (last?.endVersion === null) spans[spans.length - 1] = { ...last, endVersion: version };
      const { kind, id, bytes, valueHash } = change;
      if (bytes !== null && valueHash !== null)
        spans.push({ kind, id, bytes, valueHash, setVersion: version, endVersion: null });
      return name;
    });
  }

  at(key: DescriptorKey, version: number): StoredDescriptor | undefined {
    return this.#at(nameOf(key), version);
  }

  /** Newest first. */
  history({
    before = Number.MAX_SAFE_INTEGER,
    limit,
    ...key
  }: HistoryQuery): readonly DescriptorSpan[] {
    const spans = this.#spans.get(nameOf(key)) ?? [];
    return spans
      .filter(({ setVersion }) => setVersion < before)
      .toReversed()
      .slice(0, limit);
  }

  *set(version: number): Iterable<readonly StoredDescriptor[]> {
    for (const names of pagesOf(this.#sortedNames())) {
      const page = names.flatMap((name) => this.#at(name, version) ?? []);
      if (page.length > 0) yield page;
    }
  }

  *diff({ from, to }: { from: number; to: number }): Iterable<readonly StoredDifference[]> {
    const touched = this.#touched.slice(Math.min(from, to) + 1, Math.max(from, to) + 1).flat();
    for (const names of pagesOf([...new Set(touched)].sort())) {
      const page = names.flatMap((name) => {
        const before = this.#at(name, from) ?? null;
        const after = this.#at(name, to) ?? null;
        return isSameValue(before, after) ? [] : { ...keyOf(name), before, after };
      });
      if (page.length > 0) yield page;
    }
  }

  /** Of the values that a version put, those that are current; sorted. */
  currentOf(version: number): readonly DescriptorKey[] {
    const names = (this.#touched[version] ?? []).filter((name) => {
      const last = this.#spans.get(name)?.at(-1);
      return last?.setVersion === version && last.endVersion === null;
    });
    return names.sort().map(keyOf);
  }

  /** Where the last of the values that a version put ended; the version itself where it put none. */
  endOf(version: number): number {
    const ends = this.#putBy(version).map(({ endVersion }) => endVersion ?? 0);
    return Math.max(version, ...ends);
  }

  /** Drops the bytes of the values that a version put; answers how many. */
  erase(version: number): number {
    let erased = 0;
    for (const span of this.#putBy(version)) {
      const spans = this.#spansFor(nameOf(span));
      spans[spans.indexOf(span)] = { ...span, bytes: new Uint8Array() };
      erased += span.bytes.length;
    }
    return erased;
  }

  /** Drops the values that no version from `oldest` on has, and keys that had no others; answers how many bytes. */
  prune(oldest: number): number {
    let pruned = 0;
    for (const [name, spans] of this.#spans) {
      const kept = spans.filter(({ endVersion }) => endVersion === null || endVersion > oldest);
      if (kept.length === spans.length) continue;
      for (const span of spans) if (!kept.includes(span)) pruned += span.bytes.length;
      if (kept.length > 0) this.#spans.set(name, kept);
      else this.#spans.delete(name);
    }
    this.#unsorted = [];
    this.#sorted = [...this.#spans.keys()].sort();
    return pruned;
  }

  #putBy(version: number): readonly DescriptorSpan[] {
    return (this.#touched[version] ?? []).flatMap(
      (name) => this.#spans.get(name)?.find((span) => span.setVersion === version) ?? [],
    );
  }

  #spansFor(name: Name): DescriptorSpan[] {
    const known = this.#spans.get(name);
    if (known !== undefined) return known;
    const spans: DescriptorSpan[] = [];
    this.#spans.set(name, spans);
    this.#unsorted.push(name);
    return spans;
  }

  #at(name: Name, version: number): StoredDescriptor | undefined {
    const spans = this.#spans.get(name) ?? [];
    const span = spans[countUpTo(spans, version) - 1];
    if (span === undefined || (span.endVersion !== null && span.endVersion <= version)) return;
    const { endVersion, ...stored } = span;
    return stored;
  }

  /** A new array whenever it changes, so that a set being read keeps the one it began with. */
  #sortedNames(): readonly Name[] {
    if (this.#unsorted.length > 0) this.#sorted = [...this.#sorted, ...this.#unsorted].sort();
    this.#unsorted = [];
    return this.#sorted;
  }
}

/** Absent at both ends, or the same value, also when it was put again in between. */
function isSameValue(a: StoredDescriptor | null, b: StoredDescriptor | null): boolean {
  if (a === null || b === null) return a === b;
  return a.setVersion === b.setVersion || isEqualBytes(a.valueHash, b.valueHash);
}

/** How many spans begin at `version` or before it. */
function countUpTo(spans: readonly DescriptorSpan[], version: number): number {
  let low = 0;
  let high = spans.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((spans[middle]?.setVersion ?? 0) <= version) low = middle + 1;
    else high = middle;
  }
  return low;
}

function* pagesOf(names: readonly Name[]): Iterable<readonly Name[]> {
  for (let at = 0; at < names.length; at += PAGE_ROWS) yield names.slice(at, at + PAGE_ROWS);
}

function nameOf({ kind, id }: DescriptorKey): Name {
  return `${kind}\0${id}`;
}

function keyOf(name: Name): DescriptorKey {
  const end = name.indexOf('\0');
  return { kind: name.slice(0, end), id: name.slice(end + 1) };
}
