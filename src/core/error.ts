/**
 * The one error class of the project and its closed list of codes. A code is at once the problem
 * type on the wire, the metric label and the log field; HTTP statuses live in `api`, not here.
 */

/** Every way a request, an entry, a store or a peer can be refused. */
export const ERROR_CODES = [
  // the request or document itself
  'malformed',
  'not_canonical',
  'too_deep',
  'too_large',
  'unsupported_media_type',
  'unsupported_encoding',
  'invalid_request',
  'invalid_payload',
  'hash_mismatch',
  'range_not_satisfiable',
  'not_found',
  'pruned',
  'erased',
  'method_not_allowed',
  'unauthenticated',
  'forbidden',
  'rate_limited',
  'overloaded',
  'too_many_streams',
  'too_many_proposals',
  // approvals and commits
  'wrong_registry',
  'unknown_proposal',
  'unknown_signer',
  'invalid_approval',
  'invalid_signature',
  'expired',
  'quorum_not_reached',
  'fence_broken',
  'invalid_governance',
  'replayed',
  'conflict',
  'not_initialised',
  // the service
  'not_ready',
  'frozen',
  'storage_slow',
  'loop_late',
  'read_only',
  'no_room',
  'outcome_unknown',
  'draining',
  'internal',
  // what a verifier found
  'invalid_entry',
  'invalid_proof',
  'invalid_checkpoint',
  'unwitnessed',
  'rollback',
  'fork',
  'stale',
  'unavailable',
  'unexpected_answer',
  // the store
  'storage_locked',
  'storage_damaged',
  'storage_newer',
  'storage_foreign',
  'storage_failed',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

export interface ErrorOptions {
  readonly cause?: unknown;
  /** What a retry or a fix needs: plain JSON, no secret, shown to the caller. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** The message is lower case and says what was expected and what came. */
export class RegistryError extends Error {
  override readonly name = 'RegistryError';
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
  }
}

export function isErrorCode(text: unknown): text is ErrorCode {
  return (ERROR_CODES as readonly unknown[]).includes(text);
}

/** What failed first: a clean-up that fails after it hides it in a `SuppressedError`, which says nothing of either. */
export function firstError(error: unknown): unknown {
  let first = error;
  // By its name: not every browser knows the class.
  while (first instanceof Error && first.name === 'SuppressedError' && 'suppressed' in first)
    first = first.suppressed;
  return first;
}

/** Answers what is to be thrown after a clean-up: `first`, or a `SuppressedError` of both where that fails too. */
export async function cleanedUp(first: unknown, cleanUp: () => Promise<unknown>): Promise<unknown> {
  try {
    await cleanUp();
    return first;
  } catch (error) {
    return bothOf(error, first);
  }
}

/** In the form of the class where a browser has none. */
function bothOf(error: unknown, suppressed: unknown): Error {
  if (typeof SuppressedError === 'function') return new SuppressedError(error, suppressed);
  return Object.assign(new Error(), { name: 'SuppressedError', error, suppressed });
}

/** What an error is known by: the code of what failed first, and `internal` of everything that has none. */
export function errorCode(error: unknown): ErrorCode {
  const first = firstError(error);
  return first instanceof RegistryError ? first.code : 'internal';
}

/** A value from outside, shortened and escaped so that it is safe in a terminal and in a log. */
export function excerpt(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  const safe = escapeText(text.length > 80 ? `${text.slice(0, 77)}...` : text);
  return safe;
}

/** Every character outside printable ASCII as `\u{...}`: invisible and look-alike text becomes visible. */
export function escapeText(text: string): string {
  return text.replace(/[^\x20-\x7e]/gu, (c) => `\\u{${c.codePointAt(0)?.toString(16)}}`);
}
