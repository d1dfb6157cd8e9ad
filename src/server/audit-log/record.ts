/**
 * One audit record: what it holds, its line, its hash. Pure; the format is described in docs/audit-log.md
 * so that others can verify it. A line is canonical JSON, so its bytes are the record.
 */
import { z } from 'zod';
import { canonicalBytes, parseCanonical } from '../../core/canonical.ts';
import { RegistryError } from '../../core/error.ts';
import { type Hash, hashOf, isHash } from '../../core/hash.ts';
import { formatTime, isTime } from '../../core/time.ts';
import type { AuditEvent } from '../../telemetry/audit.ts';

export const AUDIT_SCHEMA = 'quorate-audit/1';
/** A line without its line feed; what a reader of foreign files need never hold more of. */
export const MAX_LINE_BYTES = 16 * 1024;
/** Of texts in an event, in UTF-16 units: longer ones are cut. With every unit escaped, a line still fits. */
const MAX_REASON = 1_024;
const MAX_TEXT = 256;
const LAST_TIME_MS = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

const ACTS = [
  'propose',
  'approve',
  'commit',
  'supersede',
  'freeze',
  'thaw',
  'reload',
  'snapshot',
  'compact',
  'collect',
  'prune',
  'start',
  'stop',
] as const satisfies readonly AuditEvent['act'][];

const hash = z.custom<Hash>(isHash, 'b3: and 64 lower-case hex digits');
const time = z.custom<string>(isTime, 'a time such as 2026-11-21T09:30:00.000Z');
const count = z.int().min(0);
const text = z.string().max(MAX_TEXT).nullable();

const linked = {
  schema: z.literal(AUDIT_SCHEMA),
  seq: z.int().min(1),
  time,
  /** `null` in the first record of a log, and there only. */
  prev: hash.nullable(),
};

const event = {
  ...linked,
  decision: z.enum(['accepted', 'refused']),
  code: text,
  reason: z.string().max(MAX_REASON).nullable(),
  client: text,
  token: text,
  signer: text,
  proposal: text,
  version: count.nullable(),
  corr_id: text,
};

const recordSchema = z.discriminatedUnion('act', [
  z.strictObject({ ...event, act: z.enum(ACTS) }),
  z.strictObject({ ...event, act: z.literal('blob'), blob: text }),
  z.strictObject({
    ...linked,
    act: z.literal('segment'),
    log: z.string().regex(/^[0-9a-f]{32}$/, '32 lower-case hex digits'),
    segment: z.int().min(1),
  }),
  z.strictObject({
    ...linked,
    act: z.literal('deleted'),
    segment: z.int().min(1),
    first_seq: z.int().min(1),
    last_seq: z.int().min(1),
    last_hash: hash,
  }),
  z.strictObject({ ...linked, act: z.literal('recovered'), bytes: z.int().min(1) }),
  z.strictObject({
    ...linked,
    act: z.literal('suppressed'),
    since: time,
    clients: count,
    codes: z.record(z.string().max(MAX_TEXT), z.int().min(1)),
  }),
  z.strictObject({
    ...linked,
    act: z.literal('lost'),
    since: time,
    accepted: count,
    refused: count,
  }),
]);

export type AuditRecord = z.infer<typeof recordSchema>;

type Unlinked<R> = R extends unknown ? Omit<R, keyof typeof linked> : never;

/** A record before it has a place in a log. */
export interface Draft {
  readonly members: Unlinked<AuditRecord>;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** The end of a log: what its next record is chained to. */
export interface Position {
  readonly seq: number;
  readonly hash: Hash | null;
  readonly time: string;
}

export const BEFORE_FIRST: Position = { seq: 0, hash: null, time: formatTime(0) };

export interface SealedLine {
  /** With its line feed. */
  readonly bytes: Uint8Array;
  readonly position: Position;
}

/** Whatever the clock says, time does not go back in a log. */
export function sealRecord({ members, at }: Draft, after: Position): SealedLine {
  const said = clockTime(at);
  const isLate = said < after.time;
  const record = {
    ...members,
    schema: AUDIT_SCHEMA,
    seq: after.seq + 1,
    time: isLate ? after.time : said,
    prev: after.hash,
  };
  const line = canonicalBytes(record);
  const bytes = new Uint8Array(line.length + 1);
  bytes.set(line);
  bytes[line.length] = 0x0a;
  return { bytes, position: { seq: record.seq, hash: hashOf(line), time: record.time } };
}

/** A clock that says no time of the wire's form says the earliest. */
export function clockTime(at: number): string {
  return formatTime(at >= 0 && at <= LAST_TIME_MS ? at : 0);
}

/** `line`: without its line feed. Throws `malformed`, `not_canonical`, `too_deep` or `invalid_entry`. */
export function parseRecord(line: Uint8Array): AuditRecord {
  if (line.length > MAX_LINE_BYTES)
    throw new RegistryError(
      'invalid_entry',
      `expected an audit record of at most ${MAX_LINE_BYTES} bytes, got ${line.length}`,
    );
  const parsed = recordSchema.safeParse(parseCanonical(line));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const place = issue?.path.join('.');
  throw new RegistryError(
    'invalid_entry',
    `expected an audit record of ${AUDIT_SCHEMA}, got ${place ? `${place}: ` : ''}${issue?.message}`,
  );
}

/** Nothing an event may hold makes it unfit: it is recorded as far as it can be said. */
export function eventDraft(event: AuditEvent, at: number): Draft {
  const { act, blob = null } = event;
  const members = {
    decision: event.decision,
    code: fit(event.code),
    reason: fit(event.reason, MAX_REASON),
    client: fit(event.client),
    token: fit(event.token),
    signer: fit(event.signer),
    proposal: fit(event.proposal),
    version: fitVersion(event.version),
    corr_id: fit(event.corrId),
  };
  if (act === 'blob') return { at, members: { ...members, act, blob: fit(blob) } };
  return { at, members: { ...members, act } };
}

function fit(said: string | null, max = MAX_TEXT): string | null {
  return said === null ? null : said.slice(0, max).toWellFormed();
}

function fitVersion(version: number | null): number | null {
  return version !== null && Number.isSafeInteger(version) && version >= 0 ? version : null;
}
