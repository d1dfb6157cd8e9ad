/** Entries of a running registry, written as any signer would: propose, approve, commit. */
import { canonicalBytes } from '../../src/core/canonical.ts';
import type { Change, DecodedPayload } from '../../src/core/payload.ts';
import { put } from '../support/registry.ts';
import { descriptorsPayload } from '../support/signers.ts';
import type { Poster } from './poster.ts';
import type { RegistryProcess } from './registry-process.ts';

type Served = Pick<RegistryProcess, 'registry' | 'signers'>;

interface EntryPlan {
  /** No two entries may have the same. */
  readonly id: string;
  /** About as large is the payload. */
  readonly bytes: number;
}

/** Signed and encoded before anything is timed. */
export interface Entry {
  readonly proposal: Uint8Array;
  /** As many as a commit needs. */
  readonly approvals: readonly Uint8Array[];
  readonly approvePath: string;
  readonly commitPath: string;
}

export function entryOf(served: Served, { id, bytes }: EntryPlan): Entry {
  return signedEntry(served, [put(id, { text: 'x'.repeat(bytes) })]);
}

export function signedEntry(served: Served, changes: readonly Change[]): Entry {
  return approvedEntry(served, descriptorsPayload(served.registry, changes, createdNow()));
}

/** What a clock says that is a little behind. */
export function createdNow(): { readonly createdAt: number } {
  return { createdAt: Date.now() - 1_000 };
}

export function approvedEntry(
  { signers }: Pick<Served, 'signers'>,
  proposal: DecodedPayload,
): Entry {
  return {
    proposal: proposal.bytes,
    approvals: signers.map((signer) => canonicalBytes({ ...signer.approve(proposal) })),
    approvePath: `/registry/approvals/${proposal.payloadB3}`,
    commitPath: `/registry/commit/${proposal.payloadB3}`,
  };
}

/** So that only the commit is left. */
export async function postEntry(poster: Poster, entry: Entry): Promise<void> {
  await poster.post('/registry/proposals', entry.proposal);
  await Promise.all(entry.approvals.map((body) => poster.post(entry.approvePath, body)));
}

export async function writeEntry(poster: Poster, entry: Entry): Promise<void> {
  await postEntry(poster, entry);
  await poster.post(entry.commitPath);
}

/** At most `atOnce` of them at a time. */
export async function inFlight<T>(
  items: readonly T[],
  atOnce: number,
  run: (item: T) => Promise<unknown>,
): Promise<void> {
  const queue = items.values();
  const lanes = Array.from({ length: atOnce }, async () => {
    for (const item of queue) await run(item);
  });
  await Promise.all(lanes);
}
