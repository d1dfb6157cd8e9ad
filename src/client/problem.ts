/**
 * An answer that says no, back as the error it was on the server: the same code, or `unexpected_answer` for
 * what is no refusal of a server.
 */
import { type ErrorCode, escapeText, isErrorCode, RegistryError } from '../core/error.ts';
import { parseJsonBytes } from './json.ts';

const MAX_DETAIL = 500;

/** What a verifier finds, and no route answers: a server's word for it must not pass for a finding of ours. */
const FINDINGS: ReadonlySet<ErrorCode> = new Set([
  'invalid_entry',
  'invalid_proof',
  'invalid_checkpoint',
  'unwitnessed',
  'rollback',
  'fork',
  'stale',
]);

/** `bytes`: the body of an answer with a status of 400 or more, or of one that should not have come. */
export function readProblem(answer: {
  readonly request: string;
  readonly status: number;
  readonly contentType: string;
  readonly bytes: Uint8Array;
  readonly retryAfterMs: number | undefined;
}): RegistryError {
  const { request, status, contentType, bytes, retryAfterMs } = answer;
  const problem = contentType === 'application/problem+json' ? membersOf(bytes) : {};
  const { code, detail, corr_id } = problem;
  const details = {
    ...membersIn(problem.details),
    status,
    ...(typeof corr_id === 'string' && { corr_id }),
    ...(retryAfterMs !== undefined && { retry_after_ms: retryAfterMs }),
  };
  // The text is a stranger's: it must be safe to print.
  const said = typeof detail === 'string' ? escapeText(detail.slice(0, MAX_DETAIL)) : 'no detail';
  if (isErrorCode(code) && isFinding(request, code))
    return new RegistryError(
      'unexpected_answer',
      `expected an answer to ${request}, or a refusal that it can have, got ${code}, which is no server's to say: ${said}`,
      { details: { ...details, told: code } },
    );
  if (isErrorCode(code)) return new RegistryError(code, said, { details });
  if (status >= 500)
    return new RegistryError(
      'unavailable',
      `expected an answer to ${request}, got status ${status}`,
      { details },
    );
  return new RegistryError(
    'unexpected_answer',
    `expected a problem with a known code from ${request}, got status ${status} and ${escapeText(contentType) || 'no content type'}`,
    { details },
  );
}

/** Approvals are refused by their signatures; who only reads brings none. */
function isFinding(request: string, code: ErrorCode): boolean {
  return FINDINGS.has(code) || (code === 'invalid_signature' && request.startsWith('GET '));
}

function membersOf(bytes: Uint8Array): Record<string, unknown> {
  try {
    return membersIn(parseJsonBytes(bytes));
  } catch {
    return {};
  }
}

function membersIn(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
}
