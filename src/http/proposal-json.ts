/** A proposal as its JSON answers have it. */
import type { ProposalView } from '../registry/registry.ts';

export function proposalJson(proposal: ProposalView): object {
  return {
    proposal_id: proposal.id,
    payload_b3: proposal.id,
    type: proposal.type,
    state: proposal.state,
    note: proposal.note,
    created_at: proposal.createdAt,
    expires_at: proposal.expiresAt,
    payload_bytes: proposal.payloadBytes,
    changes: proposal.changes,
    approvals: proposal.approvals,
    quorum: proposal.quorum,
    fences: proposal.fences,
    blocked_by: proposal.blockedBy,
    version: proposal.version,
  };
}

export function proposedJson({ id, expiresAt, quorum }: ProposalView): object {
  return { proposal_id: id, payload_b3: id, expires_at: expiresAt, quorum };
}
