/** The tree over the leaves and the checkpoint kept last, as SQLite has them. */
import type Database from 'better-sqlite3';
import type { NodePlace } from '../core/tlog/merkle.ts';
import { plainBytes } from './sqlite-bytes.ts';

interface NodeRow {
  readonly place: number;
  readonly hash: Uint8Array;
}

interface NodeQueries {
  readonly node: Database.Statement<[level: number, place: number], Uint8Array>;
  readonly run: Database.Statement<[NodePlace & { readonly count: number }], NodeRow>;
  readonly checkpoint: Database.Statement<[object], string>;
}

export class NodeReader {
  readonly #sql: NodeQueries;
  /** In one read transaction: to begin one costs half as much as to look up a node. */
  readonly #at: (places: readonly NodePlace[]) => readonly (Uint8Array | undefined)[];

  constructor(db: Database.Database) {
    const sql = prepareNodeQueries(db);
    this.#sql = sql;
    this.#at = db.transaction((places: readonly NodePlace[]) =>
      places.map(({ level, index }) => {
        const hash = sql.node.get(level, index);
        return hash && plainBytes(hash);
      }),
    );
  }

  at(places: readonly NodePlace[]): readonly (Uint8Array | undefined)[] {
    return this.#at(places);
  }

  run({ level, index, count }: NodePlace & { readonly count: number }): readonly Uint8Array[] {
    const hashes: Uint8Array[] = [];
    for (const { place, hash } of this.#sql.run.all({ level, index, count })) {
      // No trigger leaves a gap; damage may.
      if (place !== index + hashes.length) break;
      hashes.push(plainBytes(hash));
    }
    return hashes;
  }

  checkpoint(): string | undefined {
    return this.#sql.checkpoint.get({});
  }
}

export function prepareNodeQueries(db: Database.Database): NodeQueries {
  return {
    // Bound by position: by name a look-up costs a fifth more.
    node: db
      .prepare<[level: number, place: number], Uint8Array>(
        'SELECT hash FROM nodes WHERE level = ? AND place = ?',
      )
      .pluck(),
    run: db.prepare<[NodePlace & { readonly count: number }], NodeRow>(
      `SELECT place, hash FROM nodes WHERE level = $level AND place >= $index
       ORDER BY place LIMIT $count`,
    ),
    checkpoint: db.prepare<[object], string>('SELECT note FROM checkpoint WHERE only = 1').pluck(),
  };
}

export function prepareAddNode(
  db: Database.Database,
): Database.Statement<[number, number, Uint8Array]> {
  return db.prepare<[number, number, Uint8Array]>(
    'INSERT INTO nodes (level, place, hash) VALUES (?, ?, ?)',
  );
}
