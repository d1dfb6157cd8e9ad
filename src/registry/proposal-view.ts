/** What can be said of a proposal in flight at a head: its state, its quorum, and what blocks it. */
import type { Approval } from '../core/approval.ts';
import { assertErasable, type ErasureTarget } from '../core/erasure.ts';
import { RegistryError } from '../core/error.ts';
import {
  changesOf,
  type DecodedPayload,
  type ErasePayload,
  type Payload,
} from '../core/payload.ts';
import { countQuorum, type Quorum } from '../core/quorum.ts';
import {
  assertSupersedesHead,
  type BrokenFence,
  brokenFences,
  type Chain,
  changePaths,
  nextGovernance,
} from '../core/rules.ts';
import type { StoredProposal } from '../store/store.ts';
import type { ReadPayload, RegistryTimers } from './options.ts';
import type { ProposalState, ProposalView, PublishedHead } from './registry.ts';

export interface Pending {
  readonly proposal: DecodedPayload;
  readonly receivedAt: string;
  /** By signer id; verified and durable. */
  readonly approvals: Map<string, Approval>;
  /** Made once: fences are asked for at every head. */
  readonly paths: readonly Uint8Array[];
  /** Those that are broken at `chain`, for whoever asks again. */
  fences?: { readonly chain: Chain | null; readonly broken: readonly BrokenFence[] };
}

export function makePending(
  proposal: ReadPayload,
  receivedAt: string,
  approvals: readonly Approval[] = [],
): Pending {
  return {
    proposal,
    receivedAt,
    approvals: new Map(approvals.map((approval) => [approval.signer_id, approval])),
    paths: proposal.paths ?? changePaths(proposal.payload),
  };
}

/** As a store keeps it before anybody has approved. */
export function toRow({ proposal, receivedAt }: Pending): StoredProposal {
  const { payload, payloadB3, bytes } = proposal;
  const expiresAt = payload.expires_at;
  return { payloadB3, payload: bytes, receivedAt, expiresAt, approvals: [] };
}

/** A payload may have ten thousand fences: tens of milliseconds in which nothing else would be answered. */
const FENCES_AT_ONCE = 1_000;

/** Gives way to what else is due, once a caller has looked at so many. */
export type Pause = (looked: number) => Promise<void> | undefined;

export function pauseBetween(soon: RegistryTimers['soon']): Pause {
  let since = 0;
  return (looked) => {
    since += looked;
    if (since < FENCES_AT_ONCE) return undefined;
    since = 0;
    return new Promise(soon);
  };
}

async function fencesAt(
  pending: Pending,
  chain: Chain | null,
  pause: Pause,
): Promise<readonly BrokenFence[]> {
  if (pending.fences?.chain === chain) return pending.fences.broken;
  const changes = changesOf(pending.proposal.payload);
  const broken: BrokenFence[] = [];
  for (let from = 0; from < changes.length; from += FENCES_AT_ONCE) {
    const to = from + FENCES_AT_ONCE;
    const some = changes.slice(from, to);
    broken.push(...brokenFences(chain, some, pending.paths.slice(from, to)));
    await pause(some.length);
  }
  pending.fences = { chain, broken };
  return broken;
}

export interface ViewedAt {
  readonly chain: Chain | null;
  readonly now: string;
  readonly pause: Pause;
  readonly findErasable: FindErasable;
}

/** What stands where payloads erase. */
export type FindErasable = (
  payloads: readonly Payload[],
) => Promise<ReadonlyMap<ErasePayload, ErasureTarget>>;

/** A thousand proposals may have ten thousand each. */
const FENCES_LISTED = 10;

/** In their order, all at one head, with the first of their broken fences. */
export async function viewAllPending(
  all: readonly Pending[],
  at: ViewedAt,
): Promise<readonly ProposalView[]> {
  const views: ProposalView[] = [];
  for (const pending of all) {
    const view = await viewPending(pending, at);
    views.push({ ...view, fences: view.fences.slice(0, FENCES_LISTED) });
  }
  return views;
}

export async function viewPending(
  pending: Pending,
  { chain, now, pause, findErasable }: ViewedAt,
): Promise<ProposalView> {
  const { proposal } = pending;
  const { payload } = proposal;
  const fences = await fencesAt(pending, chain, pause);
  const approvals = [...pending.approvals.values()];
  const quorum = countQuorum(payload, chain?.governance ?? null, pending.approvals.keys());
  const target =
    payload.type === 'erase' ? (await findErasable([payload])).get(payload) : undefined;
  const blockedBy = blockReason(proposal, chain, { fences, target });
  const state: ProposalState =
    (now > payload.expires_at && 'expired') ||
    (blockedBy !== null && 'blocked') ||
    (quorum.reached && 'ready') ||
    'pending';
  return { ...common(proposal, approvals, quorum), state, fences, blockedBy, version: null };
}

/** A committed entry as a proposal's reader wants it. */
export interface CommittedProposal {
  readonly proposal: DecodedPayload;
  readonly approvals: readonly Approval[];
  readonly chain: Pick<Chain, 'governance'> | null;
  readonly head: PublishedHead;
}

/** `governance`: in force before the entry. */
export function viewCommitted(
  proposal: DecodedPayload,
  {
    approvals,
    chain,
    version,
  }: { approvals: readonly Approval[]; chain: Pick<Chain, 'governance'> | null; version: number },
): ProposalView {
  const quorum = countQuorum(
    proposal.payload,
    chain?.governance ?? null,
    approvals.map((a) => a.signer_id),
  );
  return {
    ...common(proposal, approvals, quorum),
    state: 'committed',
    fences: [],
    blockedBy: null,
    version,
  };
}

/** A view tells of what it was made from: that of an erased payload goes with it. */
export function forgetErased(views: ProposalView[], payload: Payload): void {
  if (payload.type !== 'erase') return;
  const index = views.findIndex(({ version }) => version === payload.version);
  if (index >= 0) views.splice(index, 1);
}

function common(
  { payload, payloadB3, bytes }: DecodedPayload,
  approvals: readonly Approval[],
  quorum: Quorum,
) {
  return {
    id: payloadB3,
    type: payload.type,
    note: payload.note,
    createdAt: payload.created_at,
    expiresAt: payload.expires_at,
    payloadBytes: bytes.length,
    changes: changesOf(payload).length,
    approvals,
    quorum,
  };
}

function blockReason(
  proposal: DecodedPayload,
  chain: Chain | null,
  {
    fences,
    target,
  }: { readonly fences: readonly BrokenFence[]; readonly target: ErasureTarget | undefined },
): string | null {
  const [first] = fences;
  if (first !== undefined) return `${first.kind}/${first.id} changed since it was proposed`;
  try {
    assertSupersedesHead(chain, proposal.payload);
    assertErasable(chain, proposal.payload, target);
    nextGovernance(chain, proposal);
    return null;
  } catch (error) {
    if (error instanceof RegistryError) return error.message;
    throw error;
  }
}
