/** Answers of the write plane, read member by member: their form is checked, their truth is not. */
import { readApproval } from '../core/approval.ts';
import type { Json } from '../core/canonical.ts';
import { Check, ID, KIND, SIGNER_ID, type TextRule } from '../core/check.ts';
import type { Hash } from '../core/hash.ts';
import { PAYLOAD_TYPES } from '../core/payload.ts';
import type { ProposalJson, QuorumJson } from './client.ts';

const STATES = ['pending', 'ready', 'blocked', 'expired', 'committed'] as const;
const RULES = ['all', 'previous', 'current', 'next', 'entering'] as const;
const TEXT: TextRule = { expected: 'text', test: () => true };

const check = new Check('unexpected_answer');

export interface ProposedJson {
  readonly proposal_id: Hash;
  readonly expires_at: string;
  readonly quorum: QuorumJson;
}

/** Throws `unexpected_answer`, as all readers here do. */
export function readProposed(value: Json): ProposedJson {
  const object = check.object(value, '');
  return {
    proposal_id: check.hash(object.proposal_id, '/proposal_id'),
    expires_at: check.time(object.expires_at, '/expires_at'),
    quorum: readQuorum(object.quorum, '/quorum'),
  };
}

export function readProposals(value: Json): readonly ProposalJson[] {
  return readAll(check.object(value, '').proposals, '/proposals', readProposal);
}

export function readProposal(value: Json, pointer = ''): ProposalJson {
  const object = check.object(value, pointer);
  const count = (name: string) => check.integer(object[name], `${pointer}/${name}`, { min: 0 });
  return {
    proposal_id: check.hash(object.proposal_id, `${pointer}/proposal_id`),
    payload_b3: check.hash(object.payload_b3, `${pointer}/payload_b3`),
    type: check.literal(object.type, `${pointer}/type`, ...PAYLOAD_TYPES),
    state: check.literal(object.state, `${pointer}/state`, ...STATES),
    note: check.text(object.note, `${pointer}/note`, TEXT),
    created_at: check.time(object.created_at, `${pointer}/created_at`),
    expires_at: check.time(object.expires_at, `${pointer}/expires_at`),
    payload_bytes: count('payload_bytes'),
    changes: count('changes'),
    approvals: readAll(object.approvals, `${pointer}/approvals`, readApproval),
    quorum: readQuorum(object.quorum, `${pointer}/quorum`),
    fences: readAll(object.fences, `${pointer}/fences`, readFence),
    blocked_by: orNull(object.blocked_by, (text) =>
      check.text(text, `${pointer}/blocked_by`, TEXT),
    ),
    version: orNull(object.version, () => count('version')),
  };
}

export function readQuorum(value: Json | undefined, pointer = ''): QuorumJson {
  const object = check.object(value, pointer);
  return {
    reached: readBoolean(object.reached, `${pointer}/reached`),
    approvals: readSigners(object.approvals, `${pointer}/approvals`),
    threshold: check.integer(object.threshold, `${pointer}/threshold`, { min: 0 }),
    missing: readSigners(object.missing, `${pointer}/missing`),
    rules: readAll(object.rules, `${pointer}/rules`, readRule),
  };
}

function readRule(value: Json, pointer: string): QuorumJson['rules'][number] {
  const object = check.object(value, pointer);
  return {
    rule: check.literal(object.rule, `${pointer}/rule`, ...RULES),
    threshold: check.integer(object.threshold, `${pointer}/threshold`, { min: 0 }),
    signers: readSigners(object.signers, `${pointer}/signers`),
    approved: readSigners(object.approved, `${pointer}/approved`),
  };
}

function readFence(value: Json, pointer: string): ProposalJson['fences'][number] {
  const object = check.object(value, pointer);
  const hash = (name: string) =>
    orNull(object[name], (text) => check.hash(text, `${pointer}/${name}`));
  return {
    kind: check.text(object.kind, `${pointer}/kind`, KIND),
    id: check.text(object.id, `${pointer}/id`, ID),
    expected: hash('expected'),
    actual: hash('actual'),
  };
}

function readSigners(value: Json | undefined, pointer: string): readonly string[] {
  return readAll(value, pointer, (id, at) => check.text(id, at, SIGNER_ID));
}

function readBoolean(value: Json | undefined, pointer: string): boolean {
  return typeof value === 'boolean' ? value : check.fail(pointer, 'true or false', value);
}

function orNull<T>(value: Json | undefined, read: (value: Json) => T): T | null {
  return value === undefined || value === null ? null : read(value);
}

function readAll<T>(
  value: Json | undefined,
  pointer: string,
  read: (value: Json, pointer: string) => T,
): readonly T[] {
  return check
    .array(value, pointer, { min: 0, max: Number.MAX_SAFE_INTEGER })
    .map((item, i) => read(item, `${pointer}/${i}`));
}
