/**
 * Everything a signer needs to judge a payload, from the bytes that are signed and from what was
 * verified; of what a server says about a proposal only the approvals are taken, and those are checked.
 */
import type { Client, VerifiedHead } from '../client/client.ts';
import { type Approval, isApprovalValid } from '../core/approval.ts';
import { RegistryError } from '../core/error.ts';
import { type Governance, governanceHash } from '../core/governance.ts';
import { changesOf, type DecodedPayload, type ErasePayload, registryOf } from '../core/payload.ts';
import { countQuorum, eligibleSigners, type Quorum } from '../core/quorum.ts';
import type { Verifier } from '../core/verifier.ts';
import { currentValues } from './current.ts';
import { type ErasureTarget, findErasureTarget, reasonsAgainst } from './erasure-target.ts';
import { verified } from './failure.ts';
import { keyOf, valueHashOf } from './plan.ts';
import type { CurrentValue } from './show-changes.ts';
import { payloadWarnings } from './warnings.ts';

export interface CheckedApproval {
  readonly approval: Approval;
  readonly verdict: 'valid' | 'invalid' | 'by no signer in force';
}

export interface Review {
  readonly proposal: DecodedPayload;
  /** In force; `undefined` when it is not known (offline) or there is none yet (genesis). */
  readonly governance: Governance | undefined;
  readonly current: CurrentValue;
  /** What an `erase` payload names; `undefined` offline, where it is not there, and for other payloads. */
  readonly target: ErasureTarget | undefined;
  readonly approvals: readonly CheckedApproval[];
  /** `undefined` offline, but for a genesis, which brings its own signers. */
  readonly quorum: Quorum | undefined;
  /** What the payload expected to find and does not. It cannot be committed then. */
  readonly broken: readonly string[];
  readonly warnings: readonly string[];
}

interface ReviewInput {
  readonly proposal: DecodedPayload;
  readonly approvals: readonly Approval[];
  readonly verifier: Verifier;
  readonly now: number;
}

/** Of the payload alone. */
export async function reviewOffline({
  proposal,
  approvals,
  verifier,
  now,
}: ReviewInput): Promise<Review> {
  const isGenesis = proposal.payload.type === 'genesis';
  const checked = isGenesis ? await checkApprovals(proposal, null, { approvals, verifier }) : [];
  return {
    proposal,
    governance: undefined,
    current: () => undefined,
    target: undefined,
    approvals: checked,
    quorum: isGenesis ? quorumOf(proposal, null, checked) : undefined,
    broken: [],
    warnings: payloadWarnings(proposal, { governance: undefined, setSize: undefined }, now),
  };
}

/** Against the verified head. */
export async function reviewOnline(client: Client, input: ReviewInput): Promise<Review> {
  const { proposal, approvals, verifier, now } = input;
  if (proposal.payload.type === 'genesis') return reviewOffline(input);
  const head = await verified(client.head());
  const { governance } = head;
  const current = await currentValues(client, changesOf(proposal.payload));
  const target = await targetOf(client, proposal, head);
  const checked = await checkApprovals(proposal, governance, { approvals, verifier });
  return {
    proposal,
    governance,
    current,
    target,
    approvals: checked,
    quorum: quorumOf(proposal, governance, checked),
    broken: brokenBy(proposal, head, { current, target }),
    warnings: payloadWarnings(proposal, { governance, setSize: head.setSize }, now),
  };
}

/** `undefined` for another payload than `erase`, and where what it names is not, or no longer, there. */
async function targetOf(
  client: Client,
  { payload }: DecodedPayload,
  head: VerifiedHead,
): Promise<ErasureTarget | undefined> {
  if (payload.type !== 'erase' || payload.version > head.version) return undefined;
  try {
    return await findErasureTarget(client, payload.version);
  } catch (error) {
    if (error instanceof RegistryError && error.code === 'pruned') return undefined;
    throw error;
  }
}

async function checkApprovals(
  proposal: DecodedPayload,
  governance: Governance | null,
  { approvals, verifier }: Pick<ReviewInput, 'approvals' | 'verifier'>,
): Promise<readonly CheckedApproval[]> {
  const keys = eligibleSigners(proposal.payload, governance);
  const { origin } = proposal.payload;
  const statement = { origin, registry: registryOf(proposal), payloadB3: proposal.payloadB3 };
  return Promise.all(
    approvals.map(async (approval): Promise<CheckedApproval> => {
      const publicKey = keys.get(approval.signer_id);
      if (publicKey === undefined) return { approval, verdict: 'by no signer in force' };
      const isValid = await isApprovalValid(verifier, { approval, publicKey, statement });
      return { approval, verdict: isValid ? 'valid' : 'invalid' };
    }),
  );
}

function quorumOf(
  { payload }: DecodedPayload,
  governance: Governance | null,
  checked: readonly CheckedApproval[],
): Quorum {
  const valid = checked.filter(({ verdict }) => verdict === 'valid');
  return countQuorum(
    payload,
    governance,
    valid.map(({ approval }) => approval.signer_id),
  );
}

function brokenBy(
  { payload }: DecodedPayload,
  head: VerifiedHead,
  { current, target }: Pick<Review, 'current' | 'target'>,
): readonly string[] {
  const { origin, registry } = head;
  if (payload.type === 'genesis') return [];
  if (payload.origin !== origin || payload.registry !== registry)
    return [
      `it is for ${payload.origin} ${payload.registry}, and this registry is ${origin} ${registry}`,
    ];
  if (payload.type === 'governance' && payload.replaces !== governanceHash(head.governance))
    return ['it replaces a governance that is no longer in force'];
  if (payload.type === 'supersede' && payload.supersedes !== head.entryHash)
    return ['it supersedes an entry that is no longer the head'];
  if (payload.type === 'erase') return brokenErasure(payload, head, target);
  return changesOf(payload).flatMap((change) => {
    const found = current(change);
    if (found === undefined) return [];
    const actual = found === null ? null : valueHashOf(found);
    if (actual === change.replaces) return [];
    return [
      `${keyOf(change)} is ${actual ?? 'absent'}, and it expects ${change.replaces ?? 'nothing there'}`,
    ];
  });
}

function brokenErasure(
  { version, erases }: ErasePayload,
  head: VerifiedHead,
  target: ErasureTarget | undefined,
): readonly string[] {
  if (version > head.version)
    return [`it erases version ${version}, and the head is version ${head.version}`];
  if (target === undefined) return [];
  const { entryHash } = target.entry;
  if (entryHash !== erases) return [`it erases ${erases}, and version ${version} is ${entryHash}`];
  return reasonsAgainst(target);
}
