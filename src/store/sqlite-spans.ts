/**
 * Reads of the descriptor index. What is true at a visible version stays true: later entries only add
 * spans above it and end spans above it. So the pages of one answer agree with each other although
 * commits go on between them and no transaction is held.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type Database from 'better-sqlite3';
import { excerpt, RegistryError } from '../core/error.ts';
import { compareKeys } from '../core/payload.ts';
import { PAGE_ROWS, PageBudget } from './paging.ts';
import { plainBytes } from './sqlite-bytes.ts';
import {
  type KeyRow,
  prepareSpanQueries,
  type SpanRow,
  type TouchedRow,
  type TouchedStatement,
} from './sqlite-span-queries.ts';
import type {
  DescriptorKey,
  DescriptorSpan,
  HistoryQuery,
  StoredDescriptor,
  StoredDifference,
} from './store.ts';

interface Range {
  readonly from: number;
  readonly to: number;
}

/** Sorts before every key: kinds are never empty. */
const BEFORE_ALL: DescriptorKey = { kind: '', id: '' };

export class SpanReader {
  readonly #sql: ReturnType<typeof prepareSpanQueries>;

  constructor(db: Database.Database) {
    this.#sql = prepareSpanQueries(db);
  }

  at(key: DescriptorKey & { readonly version: number }): StoredDescriptor | undefined {
    const row = this.#sql.at.get(key);
    return row && toDescriptor(key, row);
  }

  /** Newest first. */
  history({ before = Number.MAX_SAFE_INTEGER, ...key }: HistoryQuery): readonly DescriptorSpan[] {
    const budget = new PageBudget();
    const page: DescriptorSpan[] = [];
    for (const row of this.#sql.history.iterate({ ...key, before })) {
      page.push({ ...toDescriptor(key, row), endVersion: row.end_version });
      if (budget.isFullWith(row.bytes.length)) break;
    }
    return page;
  }

  async *set(version: number): AsyncGenerator<readonly StoredDescriptor[]> {
    let after: DescriptorKey | undefined = BEFORE_ALL;
    while (after !== undefined) {
      const page: StoredDescriptor[] = [];
      after = this.#fillSet(page, version, after);
      if (page.length > 0) yield page;
      if (after !== undefined) await nextTurn();
    }
  }

  async *diff(range: Range): AsyncGenerator<readonly StoredDifference[]> {
    const pages = this.#isLong(range) ? this.#allKeys() : this.#touchedKeys(range);
    for await (const keys of pages)
      for (let start = 0; start < keys.length; ) {
        const page: StoredDifference[] = [];
        start += this.#fillDiff(page, range, keys.slice(start));
        if (page.length > 0) yield page;
        await nextTurn();
      }
  }

  /** Answers where the next page begins. Keys without a value at `version` spend the budget too. */
  #fillSet(
    page: StoredDescriptor[],
    version: number,
    { kind, id }: DescriptorKey,
  ): DescriptorKey | undefined {
    const budget = new PageBudget();
    let before: DescriptorKey = { kind, id };
    for (const row of this.#sql.set.iterate({ kind, id, version })) {
      assertAscending(before, row);
      before = row;
      if (row.bytes !== null) page.push(toDescriptor(row, row));
      if (budget.isFullWith(row.bytes?.length ?? 0)) return row;
    }
    return undefined;
  }

  /** Answers how many of the keys it compared. */
  #fillDiff(page: StoredDifference[], range: Range, keys: readonly KeyRow[]): number {
    const budget = new PageBudget();
    const descriptors = JSON.stringify(keys.map((key) => key.descriptor));
    for (const row of this.#sql.changed.iterate({ ...range, descriptors })) {
      const { kind, id } = keys[row.place]!;
      const key = { kind, id };
      const before = toEnd(key, [row.before_version, row.before_hash, row.before_bytes]);
      const after = toEnd(key, [row.after_version, row.after_hash, row.after_bytes]);
      page.push({ ...key, before, after });
      const bytes = (before?.bytes.length ?? 0) + (after?.bytes.length ?? 0);
      if (budget.isFullWith(bytes)) return row.place + 1;
    }
    return keys.length;
  }

  /** More values began between than there are keys: to look at each key costs less, however long the history is. */
  #isLong({ from, to }: Range): boolean {
    const spansUntil = (version: number): number => this.#sql.spansUntil.get({ version }) ?? 0;
    const begun = Math.abs(spansUntil(to) - spansUntil(from));
    return begun > (this.#sql.newestDescriptor.get() ?? 0);
  }

  async *#allKeys(): AsyncGenerator<readonly KeyRow[]> {
    let last = BEFORE_ALL;
    for (;;) {
      const { kind, id } = last;
      const page = this.#sql.keys.all({ kind, id, limit: PAGE_ROWS });
      for (const row of page) {
        assertAscending(last, row);
        last = row;
      }
      yield page;
      if (page.length < PAGE_ROWS) return;
    }
  }

  async *#touchedKeys(range: Range): AsyncGenerator<readonly KeyRow[]> {
    const touched = await this.#touched(range);
    for (let start = 0; start < touched.length; start += PAGE_ROWS)
      yield touched.slice(start, start + PAGE_ROWS);
  }

  /** The keys with a span that begins or ends between two versions, sorted. */
  async #touched({ from, to }: Range): Promise<readonly TouchedRow[]> {
    const range = { low: Math.min(from, to), high: Math.max(from, to) };
    const touched = new Map<number, TouchedRow>();
    for (const statement of [this.#sql.begun, this.#sql.ended])
      for await (const rows of touchedPages(statement, range))
        for (const row of rows) touched.set(row.descriptor, row);
    return [...touched.values()].sort(compareKeys);
  }
}

/** A damaged index may name one key twice. */
function assertAscending(before: DescriptorKey, { kind, id }: DescriptorKey): void {
  if (compareKeys(before, { kind, id }) < 0) return;
  throw new RegistryError(
    'storage_damaged',
    `expected descriptors in the order of their keys, got ${excerpt(`${kind}/${id}`)} after ${excerpt(`${before.kind}/${before.id}`)}`,
  );
}

async function* touchedPages(
  statement: TouchedStatement,
  { low, high }: { low: number; high: number },
): AsyncGenerator<readonly TouchedRow[]> {
  let last = { version: low, descriptor: Number.MAX_SAFE_INTEGER };
  for (;;) {
    const { version, descriptor } = last;
    const rows = statement.all({ version, descriptor, high, limit: PAGE_ROWS });
    yield rows;
    const next = rows.at(-1);
    if (next === undefined || rows.length < PAGE_ROWS) return;
    last = next;
    await nextTurn();
  }
}

function toDescriptor(
  { kind, id }: DescriptorKey,
  { set_version, value_hash, bytes }: Omit<SpanRow, 'end_version'>,
): StoredDescriptor {
  return {
    kind,
    id,
    bytes: plainBytes(bytes),
    valueHash: plainBytes(value_hash),
    setVersion: set_version,
  };
}

/** One end of a difference; `null` where the descriptor is absent. */
function toEnd(
  key: DescriptorKey,
  [set_version, value_hash, bytes]: readonly [number | null, Uint8Array | null, Uint8Array | null],
): StoredDescriptor | null {
  if (set_version === null || value_hash === null || bytes === null) return null;
  return toDescriptor(key, { set_version, value_hash, bytes });
}
