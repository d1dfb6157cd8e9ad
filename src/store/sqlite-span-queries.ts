/** The statements behind `sqlite-spans`, and the shapes of their rows. */
import type Database from 'better-sqlite3';
import type { DescriptorKey, HistoryQuery } from './store.ts';

export interface SpanRow {
  readonly set_version: number;
  readonly end_version: number | null;
  readonly value_hash: Uint8Array;
  readonly bytes: Uint8Array;
}

/** A key, and its span at the version asked for, if it has one. */
export type SetRow = DescriptorKey & (SpanRow | { readonly bytes: null });

export interface KeyRow extends DescriptorKey {
  readonly descriptor: number;
}

/** A key that an entry put or removed, and the version that did. */
export interface TouchedRow extends KeyRow {
  readonly version: number;
}

/** A key whose values at two versions differ; its place among the keys asked for. */
export interface ChangedRow {
  readonly place: number;
  readonly before_version: number | null;
  readonly before_hash: Uint8Array | null;
  readonly before_bytes: Uint8Array | null;
  readonly after_version: number | null;
  readonly after_hash: Uint8Array | null;
  readonly after_bytes: Uint8Array | null;
}

/** Begins after `version`, `descriptor`. */
interface TouchedParameters {
  readonly version: number;
  readonly descriptor: number;
  readonly high: number;
  readonly limit: number;
}

export type TouchedStatement = Database.Statement<[TouchedParameters], TouchedRow>;

/** One seek to the newest span that had begun: how long a history is costs nothing. */
function isAt(span: string, descriptor: string, version: string): string {
  return `${span}.span = (SELECT span FROM spans WHERE descriptor = ${descriptor}
      AND set_version <= ${version} ORDER BY set_version DESC LIMIT 1)
    AND (${span}.end_version IS NULL OR ${span}.end_version > ${version})`;
}

const DESCRIPTOR = '(SELECT descriptor FROM descriptors WHERE kind = $kind AND id = $id)';

export interface SpanQueries {
  readonly at: Database.Statement<[DescriptorKey & { readonly version: number }], SpanRow>;
  readonly history: Database.Statement<[Required<HistoryQuery>], SpanRow>;
  readonly set: Database.Statement<[DescriptorKey & { readonly version: number }], SetRow>;
  readonly begun: TouchedStatement;
  readonly ended: TouchedStatement;
  readonly spansUntil: Database.Statement<[{ readonly version: number }], number>;
  readonly newestDescriptor: Database.Statement<[], number>;
  readonly keys: Database.Statement<[DescriptorKey & { readonly limit: number }], KeyRow>;
  readonly changed: Database.Statement<
    [{ readonly from: number; readonly to: number; readonly descriptors: string }],
    ChangedRow
  >;
}

export function prepareSpanQueries(db: Database.Database): SpanQueries {
  return {
    at: db.prepare<[DescriptorKey & { readonly version: number }], SpanRow>(
      `SELECT s.set_version, s.end_version, s.value_hash, s.bytes FROM spans s
       WHERE ${isAt('s', DESCRIPTOR, '$version')}`,
    ),
    history: db.prepare<[Required<HistoryQuery>], SpanRow>(
      `SELECT set_version, end_version, value_hash, bytes FROM spans
       WHERE descriptor = ${DESCRIPTOR} AND set_version < $before
       ORDER BY set_version DESC LIMIT $limit`,
    ),
    /** The key is where it begins: after it. */
    set: db.prepare<[DescriptorKey & { readonly version: number }], SetRow>(
      `SELECT d.kind, d.id, s.set_version, s.end_version, s.value_hash, s.bytes
       FROM descriptors d LEFT JOIN spans s ON ${isAt('s', 'd.descriptor', '$version')}
       WHERE (d.kind, d.id) > ($kind, $id) ORDER BY d.kind, d.id`,
    ),
    begun: db.prepare<[TouchedParameters], TouchedRow>(
      `SELECT s.set_version AS version, s.descriptor, d.kind, d.id
       FROM spans s CROSS JOIN descriptors d ON d.descriptor = s.descriptor
       WHERE (s.set_version, s.descriptor) > ($version, $descriptor) AND s.set_version <= $high
       ORDER BY s.set_version, s.descriptor LIMIT $limit`,
    ),
    ended: db.prepare<[TouchedParameters], TouchedRow>(
      `SELECT s.end_version AS version, s.descriptor, d.kind, d.id
       FROM spans s CROSS JOIN descriptors d ON d.descriptor = s.descriptor
       WHERE s.end_version IS NOT NULL
         AND (s.end_version, s.descriptor) > ($version, $descriptor) AND s.end_version <= $high
       ORDER BY s.end_version, s.descriptor LIMIT $limit`,
    ),
    /** About how many there were: numbers go up with versions. */
    spansUntil: db
      .prepare<[{ readonly version: number }], number>(
        `SELECT span FROM spans WHERE set_version <= $version
         ORDER BY set_version DESC, descriptor DESC LIMIT 1`,
      )
      .pluck(),
    newestDescriptor: db.prepare<[], number>('SELECT max(descriptor) FROM descriptors').pluck(),
    /** The key is where it begins: after it. */
    keys: db.prepare<[DescriptorKey & { readonly limit: number }], KeyRow>(
      `SELECT descriptor, kind, id FROM descriptors
       WHERE (kind, id) > ($kind, $id) ORDER BY kind, id LIMIT $limit`,
    ),
    /** `descriptors`: a JSON array, whose order the rows keep. One call for a page of keys. */
    changed: db.prepare<
      [{ readonly from: number; readonly to: number; readonly descriptors: string }],
      ChangedRow
    >(
      `SELECT k.key AS place,
         b.set_version AS before_version, b.value_hash AS before_hash, b.bytes AS before_bytes,
         a.set_version AS after_version, a.value_hash AS after_hash, a.bytes AS after_bytes
       FROM json_each($descriptors) k
         LEFT JOIN spans b ON ${isAt('b', 'k.value', '$from')}
         LEFT JOIN spans a ON ${isAt('a', 'k.value', '$to')}
       WHERE b.value_hash IS NOT a.value_hash`,
    ),
  };
}
