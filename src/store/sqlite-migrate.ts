/**
 * Brings a database of an older schema version up to this program's: in the caller's one transaction, so
 * that a crash leaves the one or the other, whole.
 */
import type Database from 'better-sqlite3';
import { isEqualBytes } from '../core/bytes.ts';
import { RegistryError } from '../core/error.ts';
import { blake3Bytes } from '../core/hash.ts';
import { LogTree } from '../core/tlog/log-tree.ts';
import { PAGE_ROWS } from './paging.ts';
import { prepareAddNode } from './sqlite-nodes.ts';
import { ADDED_BY_VERSION_2, ADDED_BY_VERSION_3, DROPPED_BY_VERSION_3 } from './sqlite-schema.ts';

interface LeafRow {
  readonly version: number;
  readonly entry_hash: Uint8Array;
  readonly leaf: Uint8Array;
}

/** Expects a transaction. Throws `storage_damaged`: a tree that only grows is not built on damage. */
export function migrate(db: Database.Database, from: number): void {
  if (from < 2) addLogTree(db);
  if (from < 3) addRetention(db);
}

/**
 * Rewrites the whole file, which leaves nothing of what was deleted in it before deleting overwrote. Atomic by
 * itself, and not possible in a transaction. Needs as much space again as the file has.
 */
export function wipeFreeSpace(db: Database.Database): void {
  db.exec('VACUUM');
}

function addRetention(db: Database.Database): void {
  for (const name of DROPPED_BY_VERSION_3) db.exec(`DROP TRIGGER ${name}`);
  for (const statement of ADDED_BY_VERSION_3) db.exec(statement);
}

function addLogTree(db: Database.Database): void {
  for (const statement of ADDED_BY_VERSION_2) db.exec(statement);
  const addNode = prepareAddNode(db);
  const leavesFrom = db.prepare<[number, number], LeafRow>(
    'SELECT version, entry_hash, leaf FROM entries WHERE version >= ? ORDER BY version LIMIT ?',
  );
  let tree = LogTree.EMPTY;
  for (let isMore = true; isMore; ) {
    // A page at a time: a connection that is iterating cannot write.
    const rows = leavesFrom.all(tree.size, PAGE_ROWS);
    for (const row of rows) {
      assertLeaf(row, tree.size);
      const next = tree.with(row.leaf);
      for (const { level, index, hash } of next.nodes) addNode.run(level, index, hash);
      tree = next.tree;
    }
    isMore = rows.length > 0;
  }
}

function assertLeaf({ version, entry_hash, leaf }: LeafRow, expected: number): void {
  if (version === expected && isEqualBytes(blake3Bytes(leaf), entry_hash)) return;
  throw new RegistryError(
    'storage_damaged',
    `expected a leaf of version ${expected} that hashes to its entry, got version ${version} with other bytes`,
  );
}
