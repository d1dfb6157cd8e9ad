/**
 * The approvals that all else hangs on, in a copy that came from elsewhere: of each governance by the one
 * before it, from genesis on, and of every entry after the checkpoint. What is under the checkpoint is
 * vouched for by a log key that these governances name.
 */
import { assertApproved, assertSigned } from '../../core/approved.ts';
import { assertApprovals, decodeEntry } from '../../core/chain.ts';
import { RegistryError } from '../../core/error.ts';
import type { Governance } from '../../core/governance.ts';
import { type Hash, hashOf } from '../../core/hash.ts';
import { assertQuorum, countErasedQuorum } from '../../core/quorum.ts';
import { readSignedCheckpoint } from '../../core/tlog/note-signatures.ts';
import type { Verifier } from '../../core/verifier.ts';
import { decodeErased, erasedChecks } from '../../core/without-payload.ts';
import { Retained } from '../../registry/retained.ts';
import type { ReadStore } from '../../store/sqlite-read.ts';
import type { StoredEntry } from '../../store/store.ts';

const PAGE = 256;

/** Expects the log to have been verified but for its signatures. Throws what `verifyEntry` throws, with the version. */
export async function verifyApprovals(store: ReadStore, verifier: Verifier): Promise<void> {
  const governances: { readonly version: number; readonly governance: Governance }[] = [];
  for (const entry of await store.governanceEntries()) {
    const before = governances.at(-1)?.governance ?? null;
    const { payload } = await assertCarried(entry, before, verifier);
    if ('governance' in payload)
      governances.push({ version: entry.version, governance: payload.governance });
  }
  const retained = new Retained();
  await retained.load(store);
  const registry = registryOf(await store.entry(0));
  const note = await store.checkpoint();
  let from = note === undefined ? 0 : readSignedCheckpoint(note).size;
  for (;;) {
    const page = await store.entries({ from, limit: PAGE });
    if (page.length === 0) return;
    await Promise.all(
      page.map((entry) => {
        const inForce = governances.findLast(({ version }) => version < entry.version)?.governance;
        const isErased = entry.payload.length === 0 && retained.isErased(entry.version);
        if (isErased && inForce !== undefined)
          return assertErasedCarried(entry, { registry, governance: inForce, verifier });
        return assertCarried(entry, inForce ?? null, verifier);
      }),
    );
    from += page.length;
  }
}

function registryOf(genesis: StoredEntry | undefined): Hash {
  return hashOf(genesis?.payload ?? new Uint8Array());
}

/** An approval names the payload by its hash alone: it holds although that payload is gone. */
async function assertErasedCarried(
  entry: StoredEntry,
  {
    registry,
    governance,
    verifier,
  }: { readonly registry: Hash; readonly governance: Governance; readonly verifier: Verifier },
): Promise<void> {
  try {
    const read = decodeErased({ ...entry, payload: null });
    const { origin } = read.leaf;
    const checks = erasedChecks({ origin, registry, governance }, read);
    await assertSigned(checks, verifier);
    const approved = read.approvals.map((approval) => approval.signer_id);
    assertQuorum(countErasedQuorum(governance, approved));
  } catch (cause) {
    throw at(entry, cause);
  }
}

async function assertCarried(
  entry: StoredEntry,
  governance: Governance | null,
  verifier: Verifier,
) {
  try {
    const read = decodeEntry(entry);
    const { leaf, proposal, approvals } = read;
    await assertApprovals(governance && { governance }, { ...read, verifier });
    const { payload } = proposal;
    assertApproved(governance, { payload, approvals, committedAt: leaf.committed_at });
    return proposal;
  } catch (cause) {
    throw at(entry, cause);
  }
}

function at({ version }: StoredEntry, cause: unknown): unknown {
  if (!(cause instanceof RegistryError)) return cause;
  return new RegistryError(cause.code, `entry ${version}: ${cause.message}`, {
    cause,
    details: { ...cause.details, version },
  });
}
