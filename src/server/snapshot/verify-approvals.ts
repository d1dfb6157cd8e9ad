/**
 * The approvals that all else hangs on, in a copy that came from elsewhere: of each governance by the one
 * before it, from genesis on. What is under the checkpoint is vouched for by a log key that these governances name.
 */
import { assertApproved } from '../../core/approved.ts';
import { assertApprovals, decodeEntry } from '../../core/chain.ts';
import { RegistryError } from '../../core/error.ts';
import type { Governance } from '../../core/governance.ts';
import type { Verifier } from '../../core/verifier.ts';
import type { ReadStore } from '../../store/sqlite-read.ts';
import type { StoredEntry } from '../../store/store.ts';

/** Expects the log to have been verified but for its signatures. Throws what `verifyEntry` throws, with the version. */
export async function verifyApprovals(store: ReadStore, verifier: Verifier): Promise<void> {
  let before: Governance | null = null;
  for (const entry of await store.governanceEntries()) {
    const { payload } = await assertCarried(entry, before, verifier);
    if ('governance' in payload) before = payload.governance;
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
    throw atEntry(entry, cause);
  }
}

/** The same with the version that it was found at. */
export function atEntry({ version }: StoredEntry, cause: unknown): unknown {
  if (!(cause instanceof RegistryError)) return cause;
  return new RegistryError(cause.code, `entry ${version}: ${cause.message}`, {
    cause,
    details: { ...cause.details, version },
  });
}
