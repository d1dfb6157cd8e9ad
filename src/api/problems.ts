/**
 * Error codes as HTTP answers (RFC 9457): the one place where a code gets its status and its title.
 * Total by type: a new code without a row does not compile. The texts of one answer are `http`'s.
 */
import type { ErrorCode } from '../core/error.ts';

export interface ProblemKind {
  readonly status:
    | 400
    | 401
    | 403
    | 404
    | 405
    | 409
    | 410
    | 413
    | 415
    | 416
    | 422
    | 429
    | 500
    | 503
    | 507;
  /** Constant for the code. */
  readonly title: string;
  /** When the same request may succeed; always there for 429 and 503. */
  readonly retryAfterSeconds?: number;
}

export const PROBLEM_MEDIA_TYPE = 'application/problem+json';

export const PROBLEMS: Readonly<Record<ErrorCode, ProblemKind>> = {
  malformed: { status: 400, title: 'The body is not JSON in UTF-8' },
  not_canonical: { status: 400, title: 'The body is not canonical JSON' },
  too_deep: { status: 400, title: 'The body is nested too deeply or has too many values' },
  too_large: { status: 413, title: 'The body is too large' },
  unsupported_media_type: { status: 415, title: 'The body is not application/json' },
  unsupported_encoding: { status: 415, title: 'The body is content-encoded' },
  invalid_request: { status: 400, title: 'A parameter or header is not valid' },
  invalid_payload: { status: 400, title: 'The payload is not valid' },
  hash_mismatch: { status: 422, title: 'The bytes do not have that hash' },
  range_not_satisfiable: { status: 416, title: 'The range lies outside of the bytes' },
  not_found: { status: 404, title: 'There is nothing here' },
  pruned: { status: 410, title: 'The version was pruned' },
  erased: { status: 410, title: 'The payload was erased' },
  method_not_allowed: { status: 405, title: 'The method is not allowed here' },
  unauthenticated: { status: 401, title: 'The request brings no valid access token' },
  forbidden: { status: 403, title: 'The request is not allowed' },
  rate_limited: { status: 429, title: 'Too many requests', retryAfterSeconds: 1 },
  overloaded: { status: 429, title: 'Too much at once', retryAfterSeconds: 1 },
  too_many_streams: { status: 429, title: 'Too many open streams', retryAfterSeconds: 10 },
  too_many_proposals: { status: 429, title: 'Too many proposals in flight', retryAfterSeconds: 60 },

  wrong_registry: { status: 422, title: 'The payload is for another registry' },
  unknown_proposal: { status: 404, title: 'There is no such proposal' },
  unknown_signer: { status: 422, title: 'The signer is not in force' },
  invalid_approval: { status: 400, title: 'The approval is not valid' },
  invalid_signature: { status: 422, title: 'The signature does not verify' },
  expired: { status: 409, title: 'The proposal has expired' },
  quorum_not_reached: { status: 409, title: 'Too few signers have approved' },
  fence_broken: { status: 409, title: 'What the payload replaces has changed' },
  invalid_governance: { status: 422, title: 'The governance may not follow the one in force' },
  replayed: { status: 409, title: 'The payload was committed before' },
  conflict: { status: 409, title: 'Another entry was committed first' },
  not_initialised: { status: 404, title: 'The registry has no genesis yet' },

  not_ready: { status: 503, title: 'The service is not ready', retryAfterSeconds: 5 },
  frozen: { status: 503, title: 'Writes are frozen by an operator', retryAfterSeconds: 60 },
  storage_slow: { status: 503, title: 'The store is too slow to write', retryAfterSeconds: 5 },
  loop_late: { status: 503, title: 'The service is too busy to write', retryAfterSeconds: 2 },
  read_only: { status: 503, title: 'There is no space left to write', retryAfterSeconds: 30 },
  no_room: { status: 507, title: 'The quota is used up' },
  outcome_unknown: {
    status: 503,
    title: 'The outcome is unknown: repeat it',
    retryAfterSeconds: 2,
  },
  draining: { status: 503, title: 'The service is stopping', retryAfterSeconds: 5 },
  internal: { status: 500, title: 'The service failed' },

  invalid_entry: { status: 500, title: 'An entry does not verify' },
  invalid_proof: { status: 500, title: 'A proof does not verify' },
  invalid_checkpoint: { status: 500, title: 'A checkpoint does not verify' },
  unwitnessed: { status: 500, title: 'Too few witnesses have cosigned a checkpoint' },
  rollback: { status: 500, title: 'A head is older than the trusted one' },
  fork: { status: 500, title: 'Two histories claim to be one registry' },
  stale: { status: 500, title: 'Nothing new was heard for too long' },
  unavailable: { status: 500, title: 'A peer did not answer' },
  unexpected_answer: { status: 500, title: 'A peer gave an answer outside the contract' },

  storage_locked: { status: 503, title: 'The store is in use', retryAfterSeconds: 5 },
  storage_damaged: { status: 500, title: 'The store is damaged' },
  storage_newer: { status: 500, title: 'The store was written by a newer program' },
  storage_foreign: { status: 500, title: 'The store holds another registry' },
  storage_failed: { status: 500, title: 'The store failed' },
};

/** The stable `type` of a problem, a URN: it names, it is not fetched. */
export function problemType(code: ErrorCode): string {
  return `urn:quorate:problem:${code}`;
}
