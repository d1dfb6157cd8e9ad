/**
 * Whether a copy of the database is a whole registry: every entry re-hashed and linked, their tree the one
 * that a log key signed, and the rows beside the log as the entries give them. Signatures of approvals are
 * left to `quorate snapshot verify`.
 */
import type { NoteVerifier } from '../../core/tlog/note-signatures.ts';
import { loadKept } from '../../registry/kept-checkpoint.ts';
import { loadGovernance } from '../../registry/load.ts';
import { loadTree } from '../../registry/log-nodes.ts';
import { Retained } from '../../registry/retained.ts';
import { openSqliteReader } from '../../store/sqlite.ts';
import { readFacts } from './facts.ts';
import type { SnapshotFacts } from './header.ts';
import { assertLog } from './verify-log.ts';
import { verifyRows } from './verify-rows.ts';

export interface VerifyOptions {
  readonly verifier: NoteVerifier;
  readonly onProgress: (done: number, total: number) => void;
}

/** SQLite's own check of it is for others. Throws `not_initialised` for an empty one, `storage_damaged`, or what opening it throws. */
export async function verifyCopy(
  path: string,
  { verifier, onProgress }: VerifyOptions,
): Promise<SnapshotFacts> {
  const half = (walk: number) => (done: number, total: number) =>
    onProgress(Math.floor((walk * total + done) / 2), total);
  const facts = await verifyLog(path, { verifier, onProgress: half(0) });
  await verifyRows(path, { verifier, onProgress: half(1) });
  return facts;
}

/** The entries, their tree, the governance chain and the checkpoint. Throws like `verifyCopy`. */
export async function verifyLog(
  path: string,
  { verifier, onProgress }: VerifyOptions,
): Promise<SnapshotFacts> {
  await using store = openSqliteReader({ path });
  const facts = await readFacts(store);
  const { governances } = await loadGovernance(store);
  const { version, entryHash, origin } = facts;
  const tree = await loadTree(store, version + 1);
  const retained = new Retained();
  await retained.load(store);
  await loadKept(store, { chain: { origin, tree }, governances, verifier, retained });
  assertLog(path, {
    end: { version, entryHash, root: tree.root },
    retained,
    erasures: retained.state.erasures.length,
    onProgress: (done) => onProgress(done, version + 1),
  });
  return facts;
}
