/** The one place where errors become answers: RFC 9457 problems that say nothing of the inside. */
import { PROBLEM_MEDIA_TYPE, PROBLEMS, problemType } from '../api/problems.ts';
import { type ErrorCode, firstError, RegistryError } from '../core/error.ts';
import { type Answer, answerJson } from './answer.ts';

export interface Problem {
  readonly code: ErrorCode;
  readonly answer: Answer;
}

/**
 * `error`: whatever was thrown. `internal` for everything that is no `RegistryError`. `tellsInside`: to operators,
 * who may know what went wrong inside.
 */
export function problemOf(
  error: unknown,
  corrId: string,
  { tellsInside = false }: { tellsInside?: boolean } = {},
): Problem {
  const first = firstError(error);
  const known = first instanceof RegistryError ? first : undefined;
  const code = known?.code ?? 'internal';
  const { status, title, retryAfterSeconds } = PROBLEMS[code];
  // Else it is for the log: its message may name paths, its details hold state.
  const told = status === 500 && !tellsInside ? undefined : known;
  const body = {
    type: problemType(code),
    title,
    status,
    detail: told?.message ?? 'expected no failure, got one: the log has it under this corr_id',
    code,
    corr_id: corrId,
    details: told?.details ?? {},
  };
  const retryAfter = told?.details.retry_after_seconds ?? retryAfterSeconds;
  const allow = told?.details.allow;
  const headers = {
    ...(retryAfter !== undefined && { 'Retry-After': `${retryAfter}` }),
    ...(Array.isArray(allow) && { Allow: allow.join(', ') }),
    ...(code === 'unauthenticated' && { 'WWW-Authenticate': 'Bearer realm="quorate"' }),
    ...(code === 'range_not_satisfiable' && { 'Content-Range': `bytes */${told?.details.bytes}` }),
    ...(code === 'unsupported_encoding' && { 'Accept-Encoding': 'identity' }),
  };
  return { code, answer: answerJson(body, { status, mediaType: PROBLEM_MEDIA_TYPE, headers }) };
}
