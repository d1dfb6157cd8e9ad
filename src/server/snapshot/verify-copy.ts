/**
 * Whether a copy of the database is a whole registry: every entry re-hashed and linked, their tree the
 * one that a log key signed, and the rows beside the log as the entries give them. Signatures of
 * approvals are left to `quorate snapshot verify`.
 */
import { isEqualBytes } from '../../core/bytes.ts';
import { descriptorValueHash, encodeDescriptor } from '../../core/descriptor.ts';
import { RegistryError } from '../../core/error.ts';
import { hashOf } from '../../core/hash.ts';
import { decodeLeaf } from '../../core/leaf.ts';
import { type Change, changesOf, decodePayload } from '../../core/payload.ts';
import type { NoteVerifier } from '../../core/tlog/note-signatures.ts';
import { loadKept } from '../../registry/kept-checkpoint.ts';
import { loadChain } from '../../registry/load.ts';
import { Retained } from '../../registry/retained.ts';
import { scrubLog } from '../../registry/scrub.ts';
import { damaged, storedPayload } from '../../registry/stored.ts';
import { openSqliteReader } from '../../store/sqlite.ts';
import type { ReadStore } from '../../store/sqlite-read.ts';
import { readFacts } from './facts.ts';
import type { SnapshotFacts } from './header.ts';

export interface VerifyOptions {
  readonly verifier: NoteVerifier;
  readonly onProgress: (done: number, total: number) => void;
}

const PAGE = 64;

/** Throws `not_initialised` for an empty one, `storage_damaged`, or what opening it throws. */
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
  const loaded = await loadChain(store);
  if (loaded === undefined)
    throw new RegistryError('not_initialised', 'expected a registry to copy, got an empty one');
  const { chain } = loaded;
  await loadKept(store, { ...loaded, verifier, retained: await loadRetained(store) });
  const total = chain.version + 1;
  await scrubLog(store, {
    end: { ...chain, root: chain.tree.root },
    onProgress: (done) => onProgress(done, total),
    signal: new AbortController().signal,
  });
  return await readFacts(store);
}

/** The rows beside the log, held against the payloads, and the proposals. Throws `storage_damaged`. */
export async function verifyRows(
  path: string,
  { onProgress }: Pick<VerifyOptions, 'onProgress'>,
): Promise<void> {
  await using store = openSqliteReader({ path });
  const total = ((await store.head())?.version ?? -1) + 1;
  await assertRows(store, total, (done) => onProgress(done, total));
  await assertProposals(store);
}

/**
 * Every value that an entry put or removed is found at its version, and governance where it is due. Of an entry
 * without its payload nothing can be said: `scrubLog` has found that it may lack it.
 */
async function assertRows(
  store: ReadStore,
  size: number,
  onProgress: (checked: number) => void,
): Promise<void> {
  const governance = new Set((await store.governanceEntries()).map(({ version }) => version));
  const retained = await loadRetained(store);
  for (let from = 0; from < size; ) {
    const page = await store.entries({ from, limit: PAGE });
    for (const entry of page) {
      const { type } = decodeLeaf(entry.leaf);
      if (retained.isPruned(entry.version, type) || retained.isErased(entry.version)) continue;
      const { payload } = storedPayload(entry);
      if ('governance' in payload !== governance.has(entry.version))
        throw damaged(
          `expected version ${entry.version} ${'governance' in payload ? 'among' : 'not among'} the governances, got it otherwise`,
        );
      for (const change of changesOf(payload)) await assertRow(store, change, entry.version);
    }
    from += page.length;
    if (page.length === 0) throw damaged(`expected version ${from} in the log, got nothing`);
    onProgress(Math.min(from, size));
  }
}

async function loadRetained(store: ReadStore): Promise<Retained> {
  const retained = new Retained(null);
  await retained.load(store);
  return retained;
}

async function assertRow(store: ReadStore, change: Change, version: number): Promise<void> {
  const { kind, id } = change;
  const row = await store.descriptor({ kind, id, version });
  const bytes = change.op === 'put' ? encodeDescriptor(change) : undefined;
  const isRight =
    bytes === undefined || row === undefined
      ? bytes === undefined && row === undefined
      : row.setVersion === version &&
        isEqualBytes(row.bytes, bytes) &&
        isEqualBytes(row.valueHash, descriptorValueHash(bytes));
  if (!isRight)
    throw damaged(`expected ${kind}/${id} at version ${version} as its entry says, got another`);
}

async function assertProposals(store: ReadStore): Promise<void> {
  for (const { payload, payloadB3, expiresAt } of await store.proposals())
    if (hashOf(payload) !== payloadB3 || decodePayload(payload).payload.expires_at !== expiresAt)
      throw damaged(`expected proposal ${payloadB3} as it was proposed, got other bytes`);
}
