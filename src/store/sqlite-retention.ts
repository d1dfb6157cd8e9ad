/**
 * Letting go: what the tables say of it, and the statements that drop bytes. Triggers hold every one of these to
 * what `retention` and `erasures` name.
 */
import type Database from 'better-sqlite3';
import { RegistryError } from '../core/error.ts';
import { compareKeys } from '../core/payload.ts';
import type { DescriptorKey, Erasure, PruneProgress, Retention } from './store.ts';

interface RetentionRow {
  readonly oldest: number;
  readonly reached: number;
}

const NOTHING: RetentionRow = { oldest: 0, reached: 0 };

export class RetentionReader {
  readonly #sql: Reads;

  constructor(db: Database.Database) {
    this.#sql = prepareReads(db);
  }

  retention(): Retention {
    const { oldest, reached } = this.#sql.retention.get() ?? NOTHING;
    return { oldest, reached, erasures: this.#sql.erasures.all() };
  }

  currentOf(version: number): readonly DescriptorKey[] {
    return this.#sql.currentOf.all(version).sort(compareKeys);
  }
}

/** Of one step, beside its commit, which takes as long again. */
export const STEP_MS = 2;

export class RetentionWriter {
  readonly #sql: Writes;
  readonly #now: () => number;

  constructor(db: Database.Database, now: () => number = () => performance.now()) {
    this.#sql = prepareWrites(db);
    this.#now = now;
  }

  setOldest(oldest: number): void {
    this.#sql.setOldest.run(oldest);
  }

  erase(version: number, erasedBy: number): void {
    this.#sql.addErasure.run(version, erasedBy);
    const { changes } = this.#sql.erasePayload.run(version);
    if (changes !== 1)
      throw new RegistryError(
        'storage_damaged',
        `expected version ${version} to erase, got ${changes} of them`,
      );
    this.#sql.eraseValues.run(version);
  }

  /** As much as fits into some milliseconds, and always something: a value, or a payload, may be a megabyte. */
  pruneStep(): PruneProgress {
    const { oldest, reached } = this.#sql.retention.get() ?? NOTHING;
    const end = this.#now() + STEP_MS;
    let version = reached;
    for (let isOver = false; version < oldest && !isOver; isOver = this.#now() >= end)
      if (!this.#dropValue(version)) {
        this.#sql.dropPayload.run(version);
        version++;
      }
    if (version > reached) this.#sql.setReached.run(version);
    return { reached: version, oldest };
  }

  /** Of those that the next entry ended; answers whether there was one. */
  #dropValue(version: number): boolean {
    const ended = this.#sql.endedAt.get(version + 1);
    if (ended === undefined) return false;
    this.#sql.dropSpan.run(ended.span);
    this.#sql.dropDescriptor.run(ended.descriptor);
    return true;
  }
}

interface Reads {
  readonly retention: Database.Statement<[], RetentionRow>;
  readonly erasures: Database.Statement<[], Erasure>;
  readonly currentOf: Database.Statement<[number], DescriptorKey>;
}

/** For a test of how they are found. */
export function prepareReads(db: Database.Database): Reads {
  return {
    retention: db.prepare('SELECT oldest, reached FROM retention'),
    erasures: db.prepare(
      `SELECT e.version, e.erased_by AS erasedBy,
         coalesce((SELECT max(end_version) FROM spans WHERE set_version = e.version), e.version) AS until
       FROM erasures e ORDER BY e.version`,
    ),
    currentOf: db.prepare(
      `SELECT d.kind, d.id FROM spans s CROSS JOIN descriptors d ON d.descriptor = s.descriptor
       WHERE s.set_version = ? AND s.end_version IS NULL`,
    ),
  };
}

interface EndedSpan {
  readonly span: number;
  readonly descriptor: number;
}

interface Writes {
  readonly retention: Database.Statement<[], RetentionRow>;
  readonly setOldest: Database.Statement<[oldest: number]>;
  readonly setReached: Database.Statement<[reached: number]>;
  readonly addErasure: Database.Statement<[version: number, erasedBy: number]>;
  readonly erasePayload: Database.Statement<[version: number]>;
  readonly eraseValues: Database.Statement<[version: number]>;
  readonly dropPayload: Database.Statement<[version: number]>;
  readonly endedAt: Database.Statement<[version: number], EndedSpan>;
  readonly dropSpan: Database.Statement<[span: number]>;
  readonly dropDescriptor: Database.Statement<[descriptor: number]>;
}

export function prepareWrites(db: Database.Database): Writes {
  return {
    retention: db.prepare('SELECT oldest, reached FROM retention'),
    setOldest: db.prepare(
      `INSERT INTO retention (only, oldest, reached) VALUES (1, ?, 0)
       ON CONFLICT (only) DO UPDATE SET oldest = excluded.oldest WHERE excluded.oldest > oldest`,
    ),
    setReached: db.prepare('UPDATE retention SET reached = ?'),
    addErasure: db.prepare('INSERT INTO erasures (version, erased_by) VALUES (?, ?)'),
    erasePayload: db.prepare("UPDATE entries SET payload = x'' WHERE version = ?"),
    eraseValues: db.prepare("UPDATE spans SET bytes = x'' WHERE set_version = ?"),
    dropPayload: db.prepare(
      `UPDATE entries SET payload = x'', approvals = x''
       WHERE version = ? AND type NOT IN ('genesis', 'governance', 'erase')`,
    ),
    endedAt: db.prepare('SELECT span, descriptor FROM spans WHERE end_version = ? LIMIT 1'),
    dropSpan: db.prepare('DELETE FROM spans WHERE span = ?'),
    dropDescriptor: db.prepare(
      `DELETE FROM descriptors WHERE descriptor = ?
         AND NOT EXISTS (SELECT 1 FROM spans WHERE spans.descriptor = descriptors.descriptor)`,
    ),
  };
}
