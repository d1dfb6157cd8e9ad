/** A review as text and as JSON. Pure. */
import { escapeText } from '../core/error.ts';
import { changesOf, type DecodedPayload, type ErasePayload } from '../core/payload.ts';
import type { Quorum } from '../core/quorum.ts';
import { countChanges } from './plan.ts';
import type { Review } from './review.ts';
import { showChanges } from './show-changes.ts';
import { erasureText, showEntry } from './show-entry.ts';
import { showGovernance, showHandover, showSuccession } from './show-governance.ts';
import type { Style } from './style.ts';
import { relativeTime, showJson } from './text.ts';

export function showReview(
  review: Review,
  { style, now }: { readonly style: Style; readonly now: number },
): string {
  return [
    ...showPayload(review.proposal, style, now),
    '',
    ...showContent(review, style),
    '',
    ...showApprovals(review, style),
    ...review.broken.map((text) => style('bad', `cannot be committed: ${escapeText(text)}`)),
    ...review.warnings.map((text) => style('warn', `warning: ${escapeText(text)}`)),
  ].join('\n');
}

/** What `--json` prints: the same facts, and the payload as it would be signed. */
export function reviewJson({ proposal, approvals, quorum, broken, warnings }: Review): object {
  return {
    payload_b3: proposal.payloadB3,
    payload: proposal.payload,
    approvals: approvals.map(({ approval, verdict }) => ({ ...approval, verdict })),
    quorum: quorum ?? null,
    broken,
    warnings,
  };
}

/** `2 of 2 approvals`, and for governance each rule it must meet. */
export function showQuorum({
  rules,
  missing,
  reached,
}: Pick<Quorum, 'missing' | 'reached'> & { readonly rules: readonly RuleCount[] }): string {
  const counts = rules
    .filter(({ threshold }) => threshold > 0)
    .map(
      ({ rule, approved, threshold }) =>
        `${approved.length} of ${threshold}${RULES[rule] ?? ` (${rule})`}`,
    )
    .join(', ');
  return reached
    ? `approvals: ${counts}: ready to commit`
    : `approvals: ${counts}; missing: ${missing.join(', ')}`;
}

interface RuleCount {
  readonly rule: string;
  readonly threshold: number;
  readonly approved: readonly string[];
}

const RULES: Readonly<Record<string, string>> = {
  all: ' (every signer)',
  previous: ' of the log before',
  current: '',
  next: ' of the next governance',
  entering: ' entering',
};

function showPayload(
  { payload, payloadB3, bytes }: DecodedPayload,
  style: Style,
  now: number,
): string[] {
  const expires = Date.parse(payload.expires_at);
  return [
    `${style('strong', payload.type)} ${payloadB3}`,
    `  origin    ${payload.origin}`,
    `  registry  ${payload.type === 'genesis' ? `${payloadB3} (this payload begins it)` : payload.registry}`,
    `  note      ${showJson(payload.note)}`,
    `  created   ${payload.created_at}`,
    `  expires   ${payload.expires_at} (${relativeTime(expires, now)})`,
    `  bytes     ${bytes.length}, canonical, hashed here`,
  ];
}

function showContent(
  { proposal: { payload }, governance, current, target }: Review,
  style: Style,
): string[] {
  if (payload.type === 'erase') return [...showErasure(payload, target, style)];
  if (payload.type === 'genesis' && payload.previous !== undefined)
    return [...showHandover(payload.previous), ...showGovernance(payload.governance)];
  if ('governance' in payload) return [...showSuccession(governance, payload.governance, style)];
  const changes = changesOf(payload);
  const { added, changed, removed } = countChanges(changes);
  return [
    ...(payload.type === 'supersede'
      ? [`supersedes ${payload.supersedes}, reason ${payload.reason}`]
      : []),
    ...showChanges(changes, { current, style }),
    `${added} added, ${changed} changed, ${removed} removed`,
  ];
}

/** What will be gone, and what will not. */
function showErasure(
  payload: ErasePayload,
  target: Review['target'],
  style: Style,
): readonly string[] {
  const { entry } = target ?? {};
  return [
    `erases ${erasureText(payload)}`,
    'for ever: the payload of that entry, and the values that it put, in this registry and in snapshots taken later',
    'stays: its leaf, its hashes, its approvals, the signer ids in them, the kinds and ids of what it put, and that this happened',
    'not reached: snapshots and copies taken before, mirrors, and whoever has read it: ask them',
    ...(entry === undefined
      ? [style('warn', 'what it holds is not known here')]
      : ['', showEntry(entry, style)]),
  ];
}

function showApprovals({ approvals, quorum }: Review, style: Style): string[] {
  return [
    ...approvals.map(({ approval, verdict }) => {
      const line = `  ${escapeText(approval.signer_id)} signed at ${escapeText(approval.signed_at)}: ${verdict}`;
      return style(verdict === 'valid' ? 'good' : 'bad', line);
    }),
    quorum === undefined ? 'approvals: not known offline' : showQuorum(quorum),
  ];
}
