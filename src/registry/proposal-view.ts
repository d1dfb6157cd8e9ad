/** What can be said of a proposal in flight at a head: its state, its quorum, and what blocks it. */
import type { Approval } from '../core/approval.ts';
import { RegistryError } from '../core/error.ts';
import { changesOf, type DecodedPayload } from '../core/payload.ts';
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
import type { ProposalState, ProposalView } from './registry.ts';

export interface Pending {
  readonly proposal: DecodedPayload;
  readonly receivedAt: string;
  /** By signer id; verified and durable. */
  readonly approvals: Map<string, Approval>;
  /** Made once: fences are asked for at every head. */
  readonly paths: readonly Uint8Array[];
}

export function makePending(
  proposal: DecodedPayload,
  receivedAt: string,
  approvals: readonly Approval[] = [],
): Pending {
  return {
    proposal,
    receivedAt,
    approvals: new Map(approvals.map((approval) => [approval.signer_id, approval])),
    paths: changePaths(proposal.payload),
  };
}

/** As a store keeps it before anybody has approved. */
export function toRow({ proposal, receivedAt }: Pending): StoredProposal {
  const { payload, payloadB3, bytes } = proposal;
  const expiresAt = payload.expires_at;
  return { payloadB3, payload: bytes, receivedAt, expiresAt, approvals: [] };
}

export function viewPending(pending: Pending, chain: Chain | null, now: string): ProposalView {
  const { proposal, paths } = pending;
  const { payload } = proposal;
  const approvals = [...pending.approvals.values()];
  const quorum = countQuorum(payload, chain?.governance ?? null, pending.approvals.keys());
  const fences = brokenFences(chain, payload, paths);
  const blockedBy = blockReason(proposal, chain, fences);
  const state: ProposalState =
    (now > payload.expires_at && 'expired') ||
    (blockedBy !== null && 'blocked') ||
    (quorum.reached && 'ready') ||
    'pending';
  return { ...common(proposal, approvals, quorum), state, fences, blockedBy, version: null };
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
  fences: readonly BrokenFence[],
): string | null {
  const [first] = fences;
  if (first !== undefined) return `${first.kind}/${first.id} changed since it was proposed`;
  try {
    assertSupersedesHead(chain, proposal.payload);
    nextGovernance(chain, proposal);
    return null;
  } catch (error) {
    if (error instanceof RegistryError) return error.message;
    throw error;
  }
}
