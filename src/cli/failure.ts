/** What becomes of an error: an exit code, one line, and a hint what to do. The texts are data below. */
import { CommanderError } from 'commander';
import { type ErrorCode, escapeText, firstError, RegistryError } from '../core/error.ts';

export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  unverified: 3,
  unavailable: 4,
  interrupted: 130,
  terminated: 143,
} as const;

export interface Failure {
  readonly exitCode: number;
  readonly code: string;
  readonly message: string;
  readonly hint: string | undefined;
  readonly details: Readonly<Record<string, unknown>>;
}

/** What a verifier found in a registry's answers: whatever its code, the registry cannot be believed. */
export class Unverified extends Error {
  override readonly name = 'Unverified';
  readonly found: RegistryError;

  constructor(found: RegistryError) {
    super(found.message, { cause: found });
    this.found = found;
  }
}

/** A mistake in the configuration: like one in the arguments, found before anything was done. */
export class Misconfigured extends Error {
  override readonly name = 'Misconfigured';
  readonly found: RegistryError;

  constructor(found: RegistryError) {
    super(found.message, { cause: found });
    this.found = found;
  }
}

/** Its own message says what to do: the hints speak of a registry that is asked. */
class Explained extends Error {
  override readonly name = 'Explained';
  readonly found: RegistryError | Unverified;

  constructor(found: RegistryError | Unverified) {
    super(found.message, { cause: found });
    this.found = found;
  }
}

/** Awaits work whose errors say what to do. `hinted`: codes whose hints are right there too. */
export async function explained<T>(work: Promise<T>, hinted: readonly ErrorCode[]): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const first = firstError(error);
    if (!(first instanceof RegistryError) && !(first instanceof Unverified)) throw error;
    const { code } = first instanceof Unverified ? first.found : first;
    throw hinted.includes(code) ? error : new Explained(first);
  }
}

/** Codes that a request gets as a refusal and a verifier as a finding: who asked decides which. */
const FINDINGS: ReadonlySet<ErrorCode> = new Set([
  'malformed',
  'not_canonical',
  'too_deep',
  'invalid_payload',
  'wrong_registry',
  'unknown_signer',
  'invalid_approval',
  'expired',
  'quorum_not_reached',
  'fence_broken',
  'invalid_governance',
  'replayed',
  'unexpected_answer',
]);

/** Awaits a verified read; what the verification found becomes `Unverified`. */
export async function verified<T>(read: Promise<T>): Promise<T> {
  try {
    return await read;
  } catch (error) {
    throw asFinding(error);
  }
}

export function asFinding(error: unknown): unknown {
  const found = firstError(error);
  return found instanceof RegistryError && FINDINGS.has(found.code) ? new Unverified(found) : error;
}

/** For a mistake in the arguments that only a command can see. */
export function usageError(message: string): CommanderError {
  return new CommanderError(EXIT.usage, 'usage', message);
}

export function failureOf(thrown: unknown): Failure {
  const error = firstError(thrown);
  if (error instanceof Explained) return { ...failureOf(error.found), hint: undefined };
  if (error instanceof CommanderError) return usageFailure(error);
  if (error instanceof Unverified) return registryFailure(error.found, EXIT.unverified);
  if (error instanceof Misconfigured) return registryFailure(error.found, EXIT.usage);
  if (error instanceof RegistryError) return registryFailure(error, EXIT_CODES[error.code]);
  const message = error instanceof Error ? error.message : String(error);
  const hint = 'this is a defect of quorate: QUORATE_DEBUG=1 shows where';
  return { exitCode: EXIT.failed, code: 'internal', message, hint, details: {} };
}

/** One line for a person, safe in a terminal whatever a stranger wrote into the message. */
export function renderFailure({ message, hint }: Failure): string {
  const lines = message.split('\n').map(escapeText).join('\n');
  return `quorate: ${lines}\n${hint === undefined ? '' : `  ${hint}\n`}`;
}

function usageFailure({ exitCode, message }: CommanderError): Failure {
  return {
    exitCode: exitCode === 0 ? EXIT.done : EXIT.usage,
    code: 'usage',
    message: message.replace(/^error: /, '').replaceAll('\n', ' '),
    hint: '`quorate --help` lists the commands, `quorate help COMMAND` explains one',
    details: {},
  };
}

function registryFailure({ code, message, details }: RegistryError, exitCode: number): Failure {
  // Of a place elsewhere the message itself says what to do; the hints speak of registries. So it does of a gap
  // that was accepted: to accept it is what the hint says.
  const hint = 'place' in details || 'accepted' in details ? undefined : HINTS[code];
  return { exitCode, code, message, hint, details };
}

/** Total by type: a new code without an exit code does not compile. */
const EXIT_CODES: Readonly<Record<ErrorCode, number>> = {
  malformed: EXIT.failed,
  not_canonical: EXIT.failed,
  too_deep: EXIT.failed,
  too_large: EXIT.failed,
  unsupported_media_type: EXIT.failed,
  unsupported_encoding: EXIT.failed,
  invalid_request: EXIT.failed,
  invalid_payload: EXIT.failed,
  hash_mismatch: EXIT.failed,
  range_not_satisfiable: EXIT.failed,
  not_found: EXIT.failed,
  pruned: EXIT.failed,
  erased: EXIT.failed,
  method_not_allowed: EXIT.failed,
  unauthenticated: EXIT.failed,
  forbidden: EXIT.failed,
  wrong_registry: EXIT.failed,
  unknown_proposal: EXIT.failed,
  unknown_signer: EXIT.failed,
  invalid_approval: EXIT.failed,
  expired: EXIT.failed,
  quorum_not_reached: EXIT.failed,
  fence_broken: EXIT.failed,
  invalid_governance: EXIT.failed,
  replayed: EXIT.failed,
  conflict: EXIT.failed,
  not_initialised: EXIT.failed,
  internal: EXIT.failed,
  unexpected_answer: EXIT.failed,
  no_room: EXIT.failed,
  storage_newer: EXIT.failed,
  storage_foreign: EXIT.failed,
  storage_failed: EXIT.failed,
  invalid_signature: EXIT.unverified,
  invalid_entry: EXIT.unverified,
  invalid_proof: EXIT.unverified,
  invalid_checkpoint: EXIT.unverified,
  unwitnessed: EXIT.unverified,
  rollback: EXIT.unverified,
  fork: EXIT.unverified,
  stale: EXIT.unverified,
  storage_damaged: EXIT.unverified,
  rate_limited: EXIT.unavailable,
  too_many_streams: EXIT.unavailable,
  too_many_proposals: EXIT.unavailable,
  overloaded: EXIT.unavailable,
  not_ready: EXIT.unavailable,
  frozen: EXIT.unavailable,
  storage_slow: EXIT.unavailable,
  loop_late: EXIT.unavailable,
  read_only: EXIT.unavailable,
  outcome_unknown: EXIT.unavailable,
  draining: EXIT.unavailable,
  unavailable: EXIT.unavailable,
  storage_locked: EXIT.unavailable,
};

const HINTS: Readonly<Partial<Record<ErrorCode, string>>> = {
  too_large: 'propose it in parts, such as one file or one --kind at a time',
  unauthenticated:
    'give a token of this registry in QUORATE_TOKEN or with --token-file: its operator mints one with `quorate token mint`',
  forbidden:
    '`quorate token inspect` shows what a token allows; without tokens, writes are open to the machine of the registry only',
  pruned: '--accept-pruned goes on without what is gone; `quorate head` tells of it from then on',
  erased: 'the signers had it forgotten: `quorate log` shows which entry says so',
  not_initialised: 'the registry is empty: `quorate init` begins it',
  wrong_registry: 'compare --registry and --url with what the operator published',
  unknown_proposal: '`quorate proposals` lists what is there',
  unknown_signer: '`quorate signers` lists who may sign',
  expired: 'propose it again: a new proposal needs new approvals',
  quorum_not_reached: '`quorate review ID` shows whose approval is missing',
  fence_broken: 'the registry has moved on: plan and propose again',
  rollback: 'the registry lost what it had shown: believe nothing newer, and tell its operator',
  fork: 'two histories were shown: keep both answers, and tell its operator and its signers',
  unwitnessed:
    'its witnesses have not all signed yet: try again in a moment, then ask its operator',
  stale: 'the registry may be cut off or kept from you: try another network or --url',
  storage_damaged:
    'take another copy, or restore the database from a replica, a snapshot or a backup, then verify again',
  unavailable: 'is it running, and is --url right? `quorate serve` starts one',
  not_ready: 'try again in a moment',
  frozen: 'an operator has frozen the registry: ask when it is thawed',
  storage_slow: 'repeat the command in a moment',
  loop_late: 'repeat the command in a moment',
  overloaded: 'repeat the command in a moment',
  outcome_unknown: 'repeat the same command: it is done at most once',
  draining: 'try again in a moment',
  storage_locked: 'another process holds the database: stop it first',
  no_room:
    'blobs that nothing names make room once they are collected; else ask its operator for a larger quota',
  read_only: 'the disk is full: make room, then repeat the command',
};
