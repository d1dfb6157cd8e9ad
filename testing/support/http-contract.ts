/**
 * Holds an answer against the contract of its route: status, media type, schema, caching, the headers
 * every answer has. Tests send all their requests through it, so that no answer goes unchecked.
 */
import assert from 'node:assert/strict';
import { CACHE_CONTROL } from '../../src/api/caching.ts';
import { PROBLEM_MEDIA_TYPE, PROBLEMS, problemType } from '../../src/api/problems.ts';
import { COMMON_ERRORS, type Route, type RouteAnswer } from '../../src/api/route.ts';
import { operations } from '../../src/api/routes.ts';
import { Problem } from '../../src/api/schemas.ts';
import type { ErrorCode } from '../../src/core/error.ts';

const MATCHERS = operations().map(([, route]) => ({ route, pattern: patternOf(route.path) }));

function patternOf(template: string): RegExp {
  const pattern = template
    .replace(/\{version\}$/, '[0-9]+')
    .replace('{version}', '(?:head|[0-9]+)')
    .replace(/(?<=\{kind\}\/)\{id\}$/, '.+')
    .replace(/\{index\}$/, '.+')
    .replace(/\{\w+\}/g, '[^/]+');
  return new RegExp(`^${pattern}$`);
}

function routeOf(method: string, path: string): Route | undefined {
  const wanted = method === 'HEAD' ? 'GET' : method;
  return MATCHERS.find(
    ({ route, pattern }) => route.method.toUpperCase() === wanted && pattern.test(path),
  )?.route;
}

function decoded(pathname: string): string {
  try {
    return decodeURIComponent(pathname);
  } catch {
    return pathname;
  }
}

/** Reads a copy: the body is still there for the test. Bodies of events are not read. */
export async function assertContract(request: Request, response: Response): Promise<void> {
  const route = routeOf(request.method, decoded(new URL(request.url).pathname));
  assertHeaders(request, response);
  if (response.status === 204) return assert.equal(request.method, 'OPTIONS');
  if (response.status === 304) return assertNotModified(response);
  const answer = route?.answers[response.status];
  if (answer === undefined) return assertProblem(request, response, route);
  const type = response.headers.get('content-type');
  assert.equal(type, answer.mediaType);
  assertCaching(route, response);
  if (request.method === 'HEAD') return assert.equal(response.body, null);
  if (response.headers.get('content-encoding') === null) await assertBody(answer, response);
}

function assertHeaders({ method }: Request, { headers }: Response): void {
  assert.match(headers.get('x-corr-id') ?? '', /^[A-Za-z0-9-]{1,64}$/);
  assert.equal(headers.get('x-content-type-options'), 'nosniff');
  assert.equal(headers.get('strict-transport-security'), null);
  if (method === 'OPTIONS') return;
  const isOpen = method === 'GET' || method === 'HEAD';
  assert.equal(headers.get('access-control-allow-origin'), isOpen ? '*' : null);
}

function assertCaching(route: Route | undefined, { headers }: Response): void {
  const allowed = {
    version: [CACHE_CONTROL.immutable, CACHE_CONTROL.head],
    range: [CACHE_CONTROL.immutable, CACHE_CONTROL.head, CACHE_CONTROL.none],
    head: [CACHE_CONTROL.head, CACHE_CONTROL.none],
    immutable: [CACHE_CONTROL.immutable],
    none: [CACHE_CONTROL.none],
  } as const;
  const found = headers.get('cache-control');
  assert.ok((allowed[route?.caching ?? 'none'] as readonly unknown[]).includes(found), `${found}`);
  if (found !== CACHE_CONTROL.none) assert.match(headers.get('etag') ?? '', /^"[\x21\x23-\x7e]+"$/);
}

async function assertBody({ mediaType, schema }: RouteAnswer, response: Response): Promise<void> {
  if (mediaType === 'text/event-stream') return;
  const bytes = await response.clone().bytes();
  const length = response.headers.get('content-length');
  if (length !== null) assert.equal(Number(length), bytes.length);
  if (mediaType === 'application/octet-stream') return;
  const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  if (mediaType.startsWith('text/plain')) schema.parse(text);
  else if (mediaType === 'application/x-ndjson')
    for (const line of text.split('\n').slice(0, -1)) schema.parse(JSON.parse(line));
  else schema.parse(JSON.parse(text));
}

function assertNotModified({ headers, body }: Response): void {
  assert.equal(body, null);
  assert.equal(headers.get('content-type'), null);
  assert.equal(headers.get('content-length'), null);
  assert.match(headers.get('etag') ?? '', /^"/);
  assert.ok(headers.get('cache-control'));
}

async function assertProblem(
  { method }: Request,
  response: Response,
  route: Route | undefined,
): Promise<void> {
  const { headers, status } = response;
  assert.equal(headers.get('content-type'), PROBLEM_MEDIA_TYPE, `status ${status}`);
  assert.equal(headers.get('cache-control'), 'no-store');
  if (status === 429 || status === 503) assert.match(headers.get('retry-after') ?? '', /^\d+$/);
  if (status === 405) assert.ok(headers.get('allow'));
  if (method === 'HEAD') return;
  const problem = Problem.parse(await response.clone().json());
  const expected = PROBLEMS[problem.code];
  assert.deepEqual(
    [problem.status, problem.title, problem.type, problem.corr_id],
    [status, expected.title, problemType(problem.code), headers.get('x-corr-id')],
  );
  assert.equal(status, expected.status);
  assert.match(problem.detail, /^expected /);
  const declared: readonly ErrorCode[] = [...COMMON_ERRORS, ...(route?.errors ?? [])];
  assert.ok(declared.includes(problem.code), `${problem.code} is declared by ${route?.path}`);
}
