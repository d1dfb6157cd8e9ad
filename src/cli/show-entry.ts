/** A committed entry in one line, as JSON, and in full. Pure. */
import type { VerifiedEntry } from '../client/client.ts';
import { decodeUtf8 } from '../core/bytes.ts';
import { changesOf, type ErasePayload, type Payload } from '../core/payload.ts';
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
  erasedBy,
}: VerifiedEntry): readonly string[] {
  return [
    String(version),
    leaf.committed_at,
    leaf.type,
    proposal === null ? `erased by ${erasedBy}` : whatChanged(proposal.payload),
    approvals.map((approval) => approval.signer_id).join(','),
    proposal === null ? '' : showJson(proposal.payload.note),
  ];
}

/** The facts of the line, for programs; the whole entry is `quorate get`'s. */
export function entryJson({
  version,
  entryHash,
  leaf,
  proposal,
  approvals,
  erasedBy,
}: VerifiedEntry): object {
  return {
    version,
    entry_hash: entryHash,
    payload_b3: leaf.payload_b3,
    type: leaf.type,
    committed_at: leaf.committed_at,
    set_root: leaf.set_root,
    set_size: leaf.set_size,
    signers: approvals.map((approval) => approval.signer_id),
    ...(proposal === null
      ? { erased_by: erasedBy }
      : { note: proposal.payload.note, ...countChanges(changesOf(proposal.payload)) }),
  };
}

/** The stored bytes of each part, as `GET /registry/entries` serves them. */
export function entryText({ bytes }: VerifiedEntry): string {
  const [approvals, leaf] = [bytes.approvals, bytes.leaf].map(decodeUtf8);
  const payload = bytes.payload === null ? null : decodeUtf8(bytes.payload);
  return `{"approvals":${approvals},"leaf":${leaf},"payload":${payload}}`;
}

export function showEntry(
  { version, entryHash, leaf, proposal, approvals, erasedBy }: VerifiedEntry,
  style: Style,
): string {
  return [
    `${style('strong', `version ${version}`)} ${leaf.type} ${entryHash}`,
    `  committed at  ${leaf.committed_at}`,
    `  payload       ${leaf.payload_b3}, ${leaf.payload_bytes} bytes`,
    `  follows       ${leaf.prev_hash ?? 'nothing'}`,
    `  set           ${leaf.set_size} descriptors, root ${leaf.set_root}`,
    ...(proposal === null ? [] : [`  note          ${showJson(proposal.payload.note)}`]),
    ...approvals.map(
      (approval) => `  approved by   ${approval.signer_id} at ${approval.signed_at}`,
    ),
    ...(proposal === null
      ? [
          style(
            'warn',
            `  erased        by version ${erasedBy}: its payload is gone, its hash stays`,
          ),
        ]
      : showPayload(proposal.payload, style)),
  ].join('\n');
}

function showPayload(payload: Payload, style: Style): readonly string[] {
  if (payload.type === 'erase') return [`  erases        ${erasureText(payload)}`];
  return [
    ...(payload.type === 'supersede'
      ? [`  supersedes    ${payload.supersedes}, reason ${payload.reason}`]
      : []),
    ...('governance' in payload ? showGovernance(payload.governance) : []),
    ...showChanges(changesOf(payload), { current: () => undefined, style }),
  ];
}

export function erasureText({ version, erases, reason }: ErasePayload): string {
  return `version ${version} ${erases}, reason ${reason}`;
}

function whatChanged(payload: Payload): string {
  if (payload.type === 'erase') return `erases ${payload.version}`;
  if ('governance' in payload)
    return `${payload.governance.threshold} of ${payload.governance.signers.length}`;
  const { added, changed, removed } = countChanges(changesOf(payload));
  return `+${added} ~${changed} -${removed}`;
}
