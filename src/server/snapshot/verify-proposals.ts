/**
 * Proposals in flight, held against what a start would take of them: each is what it was proposed as, and each of
 * its approvals verifies. One that does not would stand where the signer's own belongs.
 */
import { isApprovalValid } from '../../core/approval.ts';
import { escapeText } from '../../core/error.ts';
import { hashOf } from '../../core/hash.ts';
import { decodePayload } from '../../core/payload.ts';
import { eligibleSigners } from '../../core/quorum.ts';
import type { Verifier } from '../../core/verifier.ts';
import { approvalKey, statementOf } from '../../registry/approval-check.ts';
import { loadGovernance } from '../../registry/load.ts';
import { damaged } from '../../registry/stored.ts';
import type { ReadStore } from '../../store/sqlite-read.ts';
import type { StoredProposal } from '../../store/store.ts';

type Signing = Pick<Verifier, 'verify'>;
type Governed = Parameters<typeof approvalKey>[0];

/** Throws `storage_damaged`. */
export async function verifyProposals(store: ReadStore, verifier: Signing): Promise<void> {
  const { governances, signerKeys } = await loadGovernance(store);
  const governance = governances.at(-1)?.governance;
  const governed = governance === undefined ? null : { governance, signerKeys };
  for (const stored of await store.proposals()) await assertProposal(stored, governed, verifier);
}

async function assertProposal(
  { payload, payloadB3, expiresAt, approvals }: StoredProposal,
  governed: Governed,
  verifier: Signing,
): Promise<void> {
  const proposal = hashOf(payload) === payloadB3 ? decodePayload(payload) : undefined;
  if (proposal?.payload.expires_at !== expiresAt)
    throw damaged(`expected proposal ${payloadB3} as it was proposed, got other bytes`);
  // Whom it names may have approved it under a key that the registry has since learnt to be another's.
  const named = eligibleSigners(proposal.payload, null);
  const statement = statementOf(proposal);
  for (const approval of approvals) {
    const { signer_id } = approval;
    const keys = [approvalKey(governed, proposal, signer_id), named.get(signer_id)];
    const verdicts = keys.map(
      async (publicKey) =>
        publicKey !== undefined &&
        (await isApprovalValid(verifier, { approval, publicKey, statement })),
    );
    if (!(await Promise.all(verdicts)).includes(true))
      throw damaged(
        `expected the approvals of proposal ${payloadB3} to verify, got one as by ${escapeText(signer_id)} that does not`,
      );
  }
}
