/** A committed entry in one line, as JSON, and in full. Pure. */
import type { VerifiedEntry } from '../client/client.ts';
import { decodeUtf8 } from '../core/bytes.ts';
import { changesOf } from '../core/payload.ts';
import { countChanges } from './plan.ts';
import { showChanges } from './show-changes.ts';
import { showGovernance } from './show-governance.ts';
import type { Style } from './style.ts';
import { showJson } from './text.ts';

/** Version, time, type, what changed, who approved, note. */
export function entryCells({
  version,
  leaf,
  proposal,
  approvals,
}: VerifiedEntry): readonly string[] {
  return [
    String(version),
    leaf.committed_at,
    leaf.type,
    whatChanged(proposal.payload),
    approvals.map((approval) => approval.signer_id).join(','),
    showJson(proposal.payload.note),
  ];
}

/** The facts of the line, for programs; the whole entry is `quorate get`'s. */
export function entryJson({
  version,
  entryHash,
  leaf,
  proposal,
  approvals,
}: VerifiedEntry): object {
  return {
    version,
    entry_hash: entryHash,
    payload_b3: proposal.payloadB3,
    type: leaf.type,
    committed_at: leaf.committed_at,
    set_root: leaf.set_root,
    set_size: leaf.set_size,
    signers: approvals.map((approval) => approval.signer_id),
    note: proposal.payload.note,
    ...countChanges(changesOf(proposal.payload)),
  };
}

/** The stored bytes of each part, as `GET /registry/{version}` serves them. */
export function entryText({ bytes }: VerifiedEntry): string {
  const [approvals, leaf, payload] = [bytes.approvals, bytes.leaf, bytes.payload].map(decodeUtf8);
  return `{"approvals":${approvals},"leaf":${leaf},"payload":${payload}}`;
}

export function showEntry(
  { version, entryHash, leaf, proposal, approvals }: VerifiedEntry,
  style: Style,
): string {
  const { payload } = proposal;
  return [
    `${style('strong', `version ${version}`)} ${leaf.type} ${entryHash}`,
    `  committed at  ${leaf.committed_at}`,
    `  payload       ${proposal.payloadB3}, ${leaf.payload_bytes} bytes`,
    `  follows       ${leaf.prev_hash ?? 'nothing'}`,
    `  set           ${leaf.set_size} descriptors, root ${leaf.set_root}`,
    `  note          ${showJson(payload.note)}`,
    ...approvals.map(
      (approval) => `  approved by   ${approval.signer_id} at ${approval.signed_at}`,
    ),
    ...(payload.type === 'supersede'
      ? [`  supersedes    ${payload.supersedes}, reason ${payload.reason}`]
      : []),
    ...('governance' in payload ? showGovernance(payload.governance) : []),
    ...showChanges(changesOf(payload), { current: () => undefined, style }),
  ].join('\n');
}

function whatChanged(payload: VerifiedEntry['proposal']['payload']): string {
  if ('governance' in payload)
    return `${payload.governance.threshold} of ${payload.governance.signers.length}`;
  const { added, changed, removed } = countChanges(changesOf(payload));
  return `+${added} ~${changed} -${removed}`;
}
