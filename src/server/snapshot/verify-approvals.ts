/**
 * The approvals that all else hangs on, in a copy that came from elsewhere: of each governance by the one
 * before it, from genesis on, and of every entry after the checkpoint. What is under the checkpoint is
 * vouched for by a log key that these governances name.
 */
import { assertApproved } from '../../core/approved.ts';
import { assertApprovals, decodeEntry } from '../../core/chain.ts';
import { RegistryError } from '../../core/error.ts';
import type { Governance } from '../../core/governance.ts';
import { readSignedCheckpoint } from '../../core/tlog/note-signatures.ts';
import type { Verifier } from '../../core/verifier.ts';
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
  const note = await store.checkpoint();
  let from = note === undefined ? 0 : readSignedCheckpoint(note).size;
  for (;;) {
    const page = await store.entries({ from, limit: PAGE });
    if (page.length === 0) return;
    await Promise.all(
      page.map((entry) => {
        // The approvals of the entry that erased it name its hash, and are verified in their turn.
        if (entry.payload.length === 0 && retained.isErased(entry.version)) return undefined;
        const inForce = governances.findLast(({ version }) => version < entry.version);
        return assertCarried(entry, inForce?.governance ?? null, verifier);
      }),
    );
    from += page.length;
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
    if (!(cause instanceof RegistryError)) throw cause;
    const { version } = entry;
    throw new RegistryError(cause.code, `entry ${version}: ${cause.message}`, {
      cause,
      details: { ...cause.details, version },
    });
  }
}
