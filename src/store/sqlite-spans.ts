/**
 * Reads of the descriptor index. What is true at a visible version stays true: later entries only add
 * spans above it and end spans above it. So the pages of one answer agree with each other although
 * commits go on between them and no transaction is held.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type Database from 'better-sqlite3';
import { compareKeys } from '../core/payload.ts';
import { isSameValue } from './difference.ts';
import { PAGE_ROWS, PageBudget } from './paging.ts';
import { plainBytes } from './sqlite-bytes.ts';
import type { DescriptorKey, DescriptorSpan, StoredDescriptor, StoredDifference } from './store.ts';

interface SpanRow {
  readonly set_version: number;
  readonly end_version: number | null;
  readonly value_hash: Uint8Array;
  readonly bytes: Uint8Array;
}

/** A key, and its span at the version asked for, if it has one. */
type SetRow = DescriptorKey & (SpanRow | { readonly bytes: null });

/** A key that an entry put or removed, and one of the versions that did. */
interface TouchedRow extends DescriptorKey {
  readonly descriptor: number;
  readonly version: number;
}

type TouchedStatement = Database.Statement<[number, number, number, number], TouchedRow>;

/** Sorts before every key: kinds are never empty. */
const BEFORE_ALL: DescriptorKey = { kind: '', id: '' };

export class SpanReader {
  readonly #sql: ReturnType<typeof prepare>;

  constructor(db: Database.Database) {
    this.#sql = prepare(db);
  }

  at(key: DescriptorKey & { readonly version: number }): StoredDescriptor | undefined {
    const descriptor = this.#sql.descriptor.get(key.kind, key.id);
    return descriptor === undefined ? undefined : this.#at({ ...key, descriptor }, key.version);
  }

  /** Newest first. */
  history(key: DescriptorKey & { readonly limit: number }): readonly DescriptorSpan[] {
    const descriptor = this.#sql.descriptor.get(key.kind, key.id);
    if (descriptor === undefined) return [];
    return this.#sql.history
      .all(descriptor, key.limit)
      .map((row) => ({ ...toDescriptor(key, row), endVersion: row.end_version }));
  }

  async *set(version: number): AsyncGenerator<readonly StoredDescriptor[]> {
    let after: DescriptorKey | undefined = BEFORE_ALL;
    while (after !== undefined) {
      const page: StoredDescriptor[] = [];
      after = this.#fillPage(page, version, after);
      if (page.length > 0) yield page;
      if (after !== undefined) await nextTurn();
    }
  }

  async *diff(range: { from: number; to: number }): AsyncGenerator<readonly StoredDifference[]> {
    let page: StoredDifference[] = [];
    let budget = new PageBudget();
    for (const key of await this.#touched(range)) {
      const before = this.#at(key, range.from) ?? null;
      const after = this.#at(key, range.to) ?? null;
      if (!isSameValue(before, after)) page.push({ kind: key.kind, id: key.id, before, after });
      if (!budget.isFullWith(lengthOf(before) + lengthOf(after))) continue;
      if (page.length > 0) yield page;
      page = [];
      budget = new PageBudget();
      await nextTurn();
    }
    if (page.length > 0) yield page;
  }

  #at(key: Omit<TouchedRow, 'version'>, version: number): StoredDescriptor | undefined {
    const row = this.#sql.span.get(key.descriptor, version);
    if (row === undefined || (row.end_version !== null && row.end_version <= version)) return;
    return toDescriptor(key, row);
  }

  /** Answers where the next page begins. Keys without a value at `version` spend the budget too. */
  #fillPage(
    page: StoredDescriptor[],
    version: number,
    after: DescriptorKey,
  ): DescriptorKey | undefined {
    const budget = new PageBudget();
    for (const row of this.#sql.set.iterate(version, version, after.kind, after.id)) {
      if (row.bytes !== null) page.push(toDescriptor(row, row));
      if (budget.isFullWith(row.bytes?.length ?? 0)) return { kind: row.kind, id: row.id };
    }
    return undefined;
  }

  /** The keys with a span that begins or ends between two versions, sorted. */
  async #touched({ from, to }: { from: number; to: number }): Promise<readonly TouchedRow[]> {
    const range = { low: Math.min(from, to), high: Math.max(from, to) };
    const touched = new Map<number, TouchedRow>();
    for (const statement of [this.#sql.begun, this.#sql.ended])
      for await (const rows of touchedPages(statement, range))
        for (const row of rows) touched.set(row.descriptor, row);
    return [...touched.values()].sort(compareKeys);
  }
}

async function* touchedPages(
  statement: TouchedStatement,
  { low, high }: { low: number; high: number },
): AsyncGenerator<readonly TouchedRow[]> {
  let version = low;
  let descriptor = Number.MAX_SAFE_INTEGER;
  for (;;) {
    const rows = statement.all(version, descriptor, high, PAGE_ROWS);
    yield rows;
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE_ROWS) return;
    ({ version, descriptor } = last);
    await nextTurn();
  }
}

function toDescriptor({ kind, id }: DescriptorKey, row: SpanRow): StoredDescriptor {
  return {
    kind,
    id,
    bytes: plainBytes(row.bytes),
    valueHash: plainBytes(row.value_hash),
    setVersion: row.set_version,
  };
}

function lengthOf(descriptor: StoredDescriptor | null): number {
  return descriptor?.bytes.length ?? 0;
}

function prepare(db: Database.Database) {
  return {
    descriptor: db
      .prepare<[string, string], number>(
        'SELECT descriptor FROM descriptors WHERE kind = ? AND id = ?',
      )
      .pluck(),
    span: db.prepare<[number, number], SpanRow>(
      `SELECT set_version, end_version, value_hash, bytes FROM spans
       WHERE descriptor = ? AND set_version <= ? ORDER BY set_version DESC LIMIT 1`,
    ),
    history: db.prepare<[number, number], SpanRow>(
      `SELECT set_version, end_version, value_hash, bytes FROM spans
       WHERE descriptor = ? ORDER BY set_version DESC LIMIT ?`,
    ),
    // For each key one seek to the newest span that had begun; how long its history is costs nothing.
    set: db.prepare<[number, number, string, string], SetRow>(
      `SELECT d.kind, d.id, s.set_version, s.end_version, s.value_hash, s.bytes
       FROM descriptors d LEFT JOIN spans s
         ON s.span = (SELECT span FROM spans WHERE descriptor = d.descriptor AND set_version <= ?
                      ORDER BY set_version DESC LIMIT 1)
         AND (s.end_version IS NULL OR s.end_version > ?)
       WHERE (d.kind, d.id) > (?, ?) ORDER BY d.kind, d.id`,
    ),
    begun: db.prepare<[number, number, number, number], TouchedRow>(
      `SELECT s.set_version AS version, s.descriptor, d.kind, d.id
       FROM spans s CROSS JOIN descriptors d ON d.descriptor = s.descriptor
       WHERE (s.set_version, s.descriptor) > (?, ?) AND s.set_version <= ?
       ORDER BY s.set_version, s.descriptor LIMIT ?`,
    ),
    ended: db.prepare<[number, number, number, number], TouchedRow>(
      `SELECT s.end_version AS version, s.descriptor, d.kind, d.id
       FROM spans s CROSS JOIN descriptors d ON d.descriptor = s.descriptor
       WHERE s.end_version IS NOT NULL AND (s.end_version, s.descriptor) > (?, ?) AND s.end_version <= ?
       ORDER BY s.end_version, s.descriptor LIMIT ?`,
    ),
  };
}
