/** The routes about the program itself. */
import { z } from 'zod';
import { EXAMPLES } from './examples.ts';
import { PATHS, QUERIES } from './parameters.ts';
import type { Route, RouteAnswer } from './route.ts';
import { Build, Readiness } from './schemas.ts';

const json = 'application/json';

const ALIVE: RouteAnswer = {
  description: 'The process answers. Says nothing of the store.',
  mediaType: 'text/plain',
  schema: z.literal('ok\n'),
};

export const SERVICE_ROUTES = {
  readBuild: {
    method: 'get',
    path: '/version',
    tag: 'service',
    summary: 'The program and the wire format versions it speaks',
    caching: 'none',
    query: QUERIES.none,
    answers: {
      200: { description: 'The build.', mediaType: json, schema: Build, example: EXAMPLES.build },
    },
    errors: [],
  },
  readHealth: {
    method: 'get',
    path: '/healthz',
    tag: 'service',
    summary: 'Liveness; the same as /livez',
    caching: 'none',
    answers: { 200: ALIVE },
    errors: [],
  },
  readLiveness: {
    method: 'get',
    path: '/livez',
    tag: 'service',
    summary: 'Liveness',
    caching: 'none',
    answers: { 200: ALIVE },
    errors: [],
  },
  readReadiness: {
    method: 'get',
    path: '/readyz',
    tag: 'service',
    summary: 'Readiness to serve reads, and writes',
    description:
      'The status is about reads: it stays 200 while writes alone are refused, which `write_ready` says.',
    caching: 'none',
    query: QUERIES.readiness,
    answers: {
      200: {
        description: 'Reads are served; `missing` says why writes are not, if so.',
        mediaType: json,
        schema: Readiness,
        example: EXAMPLES.readiness,
      },
      503: {
        description:
          'There is nothing to read yet, or the service is stopping; `missing` says which.',
        mediaType: json,
        schema: Readiness,
        example: EXAMPLES.unready,
      },
    },
    errors: [],
  },
  readOpenApi: {
    method: 'get',
    path: '/openapi.json',
    tag: 'service',
    summary: 'This document',
    caching: 'none',
    query: QUERIES.none,
    answers: {
      200: { description: 'OpenAPI 3.1.', mediaType: json, schema: z.looseObject({}) },
    },
    errors: [],
  },
  readSchema: {
    method: 'get',
    path: '/schema/{name}',
    tag: 'service',
    summary: 'A document of the wire format as JSON Schema 2020-12',
    caching: 'none',
    params: PATHS.schema,
    query: QUERIES.none,
    answers: {
      200: {
        description: 'The schema.',
        mediaType: 'application/schema+json',
        schema: z.looseObject({}),
      },
    },
    errors: [],
  },
} as const satisfies Record<string, Route>;
