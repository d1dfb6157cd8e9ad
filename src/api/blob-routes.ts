/** The routes of blobs: bytes under their own hash, which descriptors may name. */
import { z } from 'zod';
import { EXAMPLES } from './examples.ts';
import { HEADERS, PATHS, QUERIES } from './parameters.ts';
import { type Route, WRITE_ERRORS } from './route.ts';
import { StoredBlob } from './schemas.ts';

const bytes = 'application/octet-stream';
const json = 'application/json';

export const BLOB_ROUTES = {
  readBlob: {
    method: 'get',
    path: '/blobs/{address}',
    tag: 'blob',
    summary: 'The bytes that have a hash',
    description:
      'Whoever reads them hashes them: what does not hash to its address is no such blob. 404 where blobs are off, or none has this hash. One range of bytes is answered as such; several are answered with the whole.',
    caching: 'immutable',
    params: PATHS.blob,
    query: QUERIES.none,
    headers: HEADERS.range,
    answers: {
      200: { description: 'The bytes.', mediaType: bytes, schema: z.unknown() },
      206: { description: 'The bytes of the range.', mediaType: bytes, schema: z.unknown() },
    },
    errors: ['range_not_satisfiable', 'too_many_streams'],
  },
  putBlob: {
    method: 'put',
    path: '/blobs/{address}',
    tag: 'blob',
    summary: 'Keep bytes under their hash',
    description:
      'Idempotent, and hashed while they arrive: kept only if they are what the address says. A blob that no version and no proposal names is removed once it is older than the server allows; putting it again makes it young.',
    caching: 'none',
    params: PATHS.blob,
    query: QUERIES.none,
    body: {
      schema: z.unknown(),
      description: 'The bytes as they are, without a content coding. Any content type.',
      mediaType: bytes,
    },
    answers: {
      200: {
        description: 'It was there.',
        mediaType: json,
        schema: StoredBlob,
        example: EXAMPLES.blob,
      },
      201: {
        description: 'New, and durable.',
        mediaType: json,
        schema: StoredBlob,
        example: EXAMPLES.blob,
      },
    },
    errors: [
      ...WRITE_ERRORS,
      'unsupported_encoding',
      'too_large',
      'malformed',
      'hash_mismatch',
      'no_room',
      'not_initialised',
    ],
  },
} as const satisfies Record<string, Route>;
