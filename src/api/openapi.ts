/** The OpenAPI 3.1 document, made from the route table and the schemas; `scripts/openapi.ts` writes it. */
import {
  createDocument,
  type ZodOpenApiOperationObject,
  type ZodOpenApiResponseObject,
} from 'zod-openapi';
import type { ErrorCode } from '../core/error.ts';
import { SCHEMA_VERSION } from '../core/payload.ts';
import { CACHE_CONTROL } from './caching.ts';
import { PROBLEM_MEDIA_TYPE, PROBLEMS } from './problems.ts';
import { COMMON_ERRORS, type Route, type RouteAnswer, TAGS } from './route.ts';
import { operations } from './routes.ts';
import { Problem } from './schemas.ts';

const DESCRIPTION = `An append-only registry of signed descriptors. Every answer about the log can be verified: descriptors and entries by signature and hash, absence by proof, all of them against the signed checkpoint of a C2SP transparency log.

Refusals are RFC 9457 problems with a \`code\` from a closed list. 2xx: done. 4xx: certainly not done. 5xx, a timeout or a broken connection: the outcome is unknown, and repeating the same request resolves it, for every write is idempotent by payload hash.

\`X-Corr-ID\` (1 to 64 of [A-Za-z0-9-]) is echoed, or made when it is absent. Every GET answers HEAD. Reads carry \`Access-Control-Allow-Origin: *\`; writes are not open to browsers of other origins.`;

const CACHING: Readonly<Record<Route['caching'], string>> = {
  immutable: CACHE_CONTROL.immutable,
  head: CACHE_CONTROL.head,
  none: CACHE_CONTROL.none,
  version: `Under a number: ${CACHE_CONTROL.immutable}. Under head: ${CACHE_CONTROL.head}`,
  range: `When the URL names everything the answer depends on: ${CACHE_CONTROL.immutable}. Else: ${CACHE_CONTROL.head}, or ${CACHE_CONTROL.none}`,
};

const HEADERS = {
  all: { 'X-Corr-ID': { schema: { type: 'string', pattern: '^[A-Za-z0-9-]{1,64}$' } } },
  conditional: {
    ETag: { description: 'Strong.', schema: { type: 'string' } },
    'Content-Location': {
      description: 'Of answers under `head`: the URL that names the version, if there is one.',
      schema: { type: 'string' },
    },
  },
  retry: { 'Retry-After': { description: 'Seconds.', schema: { type: 'integer' } } },
} as const;

/** `version`: of the wire contract, not of the program. */
export function createOpenApi(): object {
  const paths: Record<string, Record<string, ZodOpenApiOperationObject>> = {};
  for (const [operationId, route] of operations())
    paths[route.path] = {
      ...paths[route.path],
      [route.method]: describeOperation(operationId, route),
    };
  return createDocument({
    openapi: '3.1.0',
    info: {
      title: 'Quorate',
      version: SCHEMA_VERSION,
      description: DESCRIPTION,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: 'http://127.0.0.1:7070', description: 'The default listener.' }],
    security: [],
    components: {
      securitySchemes: {
        token: {
          type: 'http',
          scheme: 'bearer',
          description:
            'A capability token (Biscuit) of this registry: with the scope of the operation, in this header alone. It opens the route; the signatures decide. A server without a token key takes writes from its own machine only.',
        },
      },
    },
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    paths,
  });
}

function describeOperation(operationId: string, route: Route): ZodOpenApiOperationObject {
  const { params, query, headers, body } = route;
  return {
    operationId,
    tags: [route.tag],
    summary: route.summary,
    ...(route.description !== undefined && { description: route.description }),
    requestParams: {
      ...(params !== undefined && { path: params }),
      ...(query !== undefined && { query }),
      ...(headers !== undefined && { header: headers }),
    },
    ...(route.method !== 'get' && { security: [{ token: [] }, {}] }),
    ...(body !== undefined && {
      requestBody: {
        required: true,
        description: body.description,
        content: { [body.mediaType ?? 'application/json']: describeContent(body) },
      },
    }),
    responses: { ...describeAnswers(route), ...describeErrors(route) },
  };
}

function describeAnswers(route: Route): Record<string, ZodOpenApiResponseObject> {
  const cacheControl = { description: CACHING[route.caching], schema: { type: 'string' } } as const;
  const headers = { 'Cache-Control': cacheControl, ...HEADERS.all };
  const isConditional = route.method === 'get' && route.caching !== 'none';
  const answers = Object.entries(route.answers).map(([status, answer]) => [
    status,
    {
      description: answer.description,
      headers: isConditional ? { ...headers, ...HEADERS.conditional } : headers,
      content: { [answer.mediaType]: describeContent(answer) },
    },
  ]);
  const notModified = {
    description: 'What `If-None-Match` names is still true.',
    headers: { ...headers, ...HEADERS.conditional },
  };
  return Object.fromEntries([...answers, ...(isConditional ? [['304', notModified]] : [])]);
}

function describeContent({ schema, example }: Pick<RouteAnswer, 'schema' | 'example'>) {
  return { schema, ...(example !== undefined && { example }) };
}

/** One answer for each status; the description lists its codes. */
function describeErrors(route: Route): Record<string, ZodOpenApiResponseObject> {
  const byStatus = Map.groupBy(
    new Set<ErrorCode>([...COMMON_ERRORS, ...route.errors]),
    (code) => PROBLEMS[code].status,
  );
  const described = [...byStatus].filter(([status]) => route.answers[status] === undefined);
  return Object.fromEntries(
    described
      .sort(([a], [b]) => a - b)
      .map(([status, codes]) => [
        `${status}`,
        {
          description: codes.map((code) => `\`${code}\`: ${PROBLEMS[code].title}.`).join(' '),
          headers:
            status === 429 || status === 503 ? { ...HEADERS.all, ...HEADERS.retry } : HEADERS.all,
          content: { [PROBLEM_MEDIA_TYPE]: { schema: Problem } },
        },
      ]),
  );
}
