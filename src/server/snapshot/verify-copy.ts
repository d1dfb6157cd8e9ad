/**
 * Whether a copy of the database is a whole registry: every entry re-hashed and linked, their tree the one
 * that a log key signed, and the rows beside the log as the entries give them. Signatures of approvals are
 * left to `quorate snapshot verify`.
 */
import { RegistryError } from '../../core/error.ts';
import type { NoteVerifier } from '../../core/tlog/note-signatures.ts';
import { loadKept } from '../../registry/kept-checkpoint.ts';
import { type ChainStore, loadChain } from '../../registry/load.ts';
import { Retained } from '../../registry/retained.ts';
import { openSqliteReader } from '../../store/sqlite.ts';
import type { ReadStore } from '../../store/sqlite-read.ts';
import { DatabaseScan } from '../../store/sqlite-scan.ts';
import { readFacts } from './facts.ts';
import type { SnapshotFacts } from './header.ts';
import { assertLog } from './verify-log.ts';
import { verifyRows } from './verify-rows.ts';

export interface VerifyOptions {
  readonly verifier: NoteVerifier;
  readonly onProgress: (done: number, total: number) => void;
}

/** Expects SQLite's own check of it to have passed. Throws `not_initialised` for an empty one, `storage_damaged`, or what opening it throws. */
export async function verifyCopy(
  path: string,
  { verifier, onProgress }: VerifyOptions,
): Promise<SnapshotFacts> {
  const half = (walk: number) => (done: number, total: number) =>
    onProgress(Math.floor((walk * total + done) / 2), total);
  const facts = await verifyLog(path, { verifier, onProgress: half(0) });
  await verifyRows(path, { onProgress: half(1) });
  return facts;
}

/** The entries, their tree, the set at the head, the governance chain and the checkpoint. Throws like `verifyCopy`. */
export async function verifyLog(
  path: string,
  { verifier, onProgress }: VerifyOptions,
): Promise<SnapshotFacts> {
  await using store = openSqliteReader({ path });
  const loaded = await loadChain(withoutSeeking(store, path));
  if (loaded === undefined)
    throw new RegistryError('not_initialised', 'expected a registry to copy, got an empty one');
  const { chain } = loaded;
  const retained = new Retained(null);
  await retained.load(store);
  await loadKept(store, { ...loaded, verifier, retained });
  const total = chain.version + 1;
  const end = { ...chain, root: chain.tree.root };
  assertLog(path, { end, retained, onProgress: (done) => onProgress(done, total) });
  return await readFacts(store);
}

/** The set at the head, which a chain is loaded from, in whatever order is quickest. */
function withoutSeeking(store: ReadStore, path: string): ChainStore {
  return {
    head: () => store.head(),
    governanceEntries: () => store.governanceEntries(),
    nodes: (places) => store.nodes(places),
    set: async function* () {
      using scan = new DatabaseScan(path);
      for (const row of scan.current()) yield [row];
    },
  };
}
