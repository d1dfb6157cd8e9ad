/**
 * The operator's acts over HTTP: what the Unix socket of an operator answers. There are no other routes
 * here, and none of these can append, approve or change who may. Every act ends as one audit event.
 */
import { decodeUtf8 } from '../core/bytes.ts';
import { canonicalText, type Json } from '../core/canonical.ts';
import { Check, NOTE, type TextRule } from '../core/check.ts';
import { errorCode, excerpt, RegistryError } from '../core/error.ts';
import { assertJsonBounds } from '../core/json-scan.ts';
import type { AuditEvent, AuditTrail } from '../telemetry/audit.ts';
import type { Log } from '../telemetry/log.ts';
import { type Answer, answerJson } from './answer.ts';
import { bodyOfRequest, readJsonBody } from './body.ts';
import { CORR_ID_HEADER, correlationOf } from './correlation.ts';
import { problemOf } from './problem.ts';

export const OPERATOR_ACTS = [
  'freeze',
  'thaw',
  'reload',
  'snapshot',
  'compact',
  'collect',
  'prune',
] as const;
export type OperatorAct = (typeof OPERATOR_ACTS)[number];

export interface ActRequest {
  /** Empty where none was given and none is needed. */
  readonly reason: string;
  /** Of `prune`: the lowest version to keep; `undefined` where none was given. */
  readonly oldest?: number | undefined;
  /** Aborts when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
}

export interface ActAnswer {
  readonly body: Readonly<Record<string, Json>>;
  /** The version at which the registry stood; `null` before genesis. */
  readonly version: number | null;
}

export type OperatorActs = Readonly<
  Record<OperatorAct, (request: ActRequest) => Promise<ActAnswer>>
> & {
  readonly status: () => Promise<Readonly<Record<string, Json>>>;
};

export interface OperatorOptions {
  readonly acts: OperatorActs;
  readonly audit: AuditTrail;
  readonly log: Log;
  readonly newCorrId: () => string;
}

export const OPERATOR_PREFIX = '/operator';
/** Who acts, as they say: recorded, and proof of nothing. */
export const OPERATOR_HEADER = 'X-Operator';

const MAX_BODY_BYTES = 16 * 1024;
const OPERATOR_NAME = /^[A-Za-z0-9._@-]{1,64}$/;
const REASONED: readonly OperatorAct[] = ['freeze', 'thaw'];

const REASON: TextRule = {
  expected:
    'a reason of 1 to 1024 characters, not all blank, without control, bidi or zero-width characters',
  test: (text) => NOTE.test(text) && text.trim() !== '',
};

/** Answers every request; never rejects. */
export function createOperatorHandler(
  options: OperatorOptions,
): (request: Request) => Promise<Response> {
  return async (request) => {
    const header = request.headers.get(CORR_ID_HEADER) ?? undefined;
    const corrId = correlationOf(header, options.newCorrId);
    try {
      return respond(answerJson(await route(options, request, corrId)), corrId);
    } catch (error) {
      return respond(refusalOf(options.log, error, corrId), corrId);
    }
  };
}

async function route(
  options: OperatorOptions,
  request: Request,
  corrId: string,
): Promise<Readonly<Record<string, Json>>> {
  const { pathname } = new URL(request.url);
  if (pathname === `${OPERATOR_PREFIX}/status`) {
    assertMethod(request, 'GET');
    return options.acts.status();
  }
  const act = OPERATOR_ACTS.find((name) => pathname === `${OPERATOR_PREFIX}/${name}`);
  if (act === undefined)
    throw new RegistryError(
      'not_found',
      `expected ${OPERATOR_PREFIX}/status or one of ${OPERATOR_ACTS.join(', ')}, got ${excerpt(pathname)}`,
    );
  assertMethod(request, 'POST');
  return perform(options, request, { act, corrId });
}

/** The record is kept before the answer is given. */
async function perform(
  { acts, audit, log }: OperatorOptions,
  request: Request,
  { act, corrId }: { readonly act: OperatorAct; readonly corrId: string },
): Promise<Readonly<Record<string, Json>>> {
  const event = { act, client: 'operator', reason: null as string | null, corrId };
  try {
    event.client = clientOf(request.headers.get(OPERATOR_HEADER));
    const { reason, oldest } = await readAsked(request, act);
    event.reason = reason === '' ? null : reason;
    const { body, version } = await acts[act]({ reason, oldest, signal: request.signal });
    await audit.record(recordOf({ ...event, decision: 'accepted', code: null, version }));
    log.info('operator act done', { act, client: event.client, corr_id: corrId });
    return body;
  } catch (error) {
    const code = errorCode(error);
    await audit.record(recordOf({ ...event, decision: 'refused', code, version: null }));
    throw error;
  }
}

function recordOf(
  event: Pick<AuditEvent, 'act' | 'client' | 'reason' | 'corrId' | 'decision' | 'code' | 'version'>,
): AuditEvent {
  return { ...event, token: null, signer: null, proposal: null };
}

function clientOf(header: string | null): string {
  if (header === null) return 'operator';
  if (!OPERATOR_NAME.test(header))
    throw new RegistryError(
      'invalid_request',
      `expected 1 to 64 of [A-Za-z0-9._@-] in ${OPERATOR_HEADER}, got ${excerpt(header)}`,
    );
  return `operator:${header}`;
}

/** The body is `{"reason": "..."}`, or `{}` where an act needs none; of `prune` with `oldest` beside it. */
async function readAsked(
  request: Request,
  act: OperatorAct,
): Promise<Pick<ActRequest, 'reason' | 'oldest'>> {
  if (new URL(request.url).search !== '')
    throw new RegistryError(
      'invalid_request',
      'expected no query, got one: a reason is in the body',
    );
  const bytes = await readJsonBody(bodyOfRequest(request), { maxBytes: MAX_BODY_BYTES });
  assertJsonBounds(bytes);
  const check = new Check('invalid_request');
  const value = check.object(parse(decodeUtf8(bytes)), '');
  const hasOldest = act === 'prune' && Object.hasOwn(value, 'oldest');
  const hasReason = REASONED.includes(act) || Object.hasOwn(value, 'reason');
  const names = [...(hasReason ? ['reason'] : []), ...(hasOldest ? ['oldest'] : [])];
  const given = check.members(value, '', names);
  return {
    reason: hasReason ? check.text(given.reason, '/reason', REASON) : '',
    oldest: hasOldest ? check.integer(given.oldest, '/oldest', { min: 0 }) : undefined,
  };
}

function parse(text: string): Json {
  try {
    const value = JSON.parse(text) as Json;
    // Escapes can make halves of characters, which neither the freeze file nor an answer could carry.
    canonicalText(value);
    return value;
  } catch (cause) {
    throw new RegistryError('malformed', `expected json, got ${excerpt(text.slice(0, 40))}`, {
      cause,
    });
  }
}

function assertMethod({ method }: Request, allowed: 'GET' | 'POST'): void {
  if (method !== allowed)
    throw new RegistryError('method_not_allowed', `expected ${allowed} here, got ${method}`, {
      details: { allow: [allowed] },
    });
}

/** Unlike the API's, an operator's problem says what went wrong inside: only operators see it. */
function refusalOf(log: Log, error: unknown, corrId: string): Answer {
  const { code, answer } = problemOf(error, corrId, { tellsInside: true });
  const line = { code, corr_id: corrId };
  if (answer.status === 500) log.error('operator act failed', { ...line, cause: error });
  else log.info('operator act refused', line);
  return answer;
}

function respond({ status, headers, body }: Answer, corrId: string): Response {
  // The cast drops SharedArrayBuffer from the type: no bytes here are shared memory.
  return new Response(body as BodyInit, {
    status,
    headers: { ...headers, 'X-Content-Type-Options': 'nosniff', [CORR_ID_HEADER]: corrId },
  });
}
