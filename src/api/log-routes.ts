/** The routes of the transparency log: what C2SP tlog-tiles names, and proofs for who reads no tiles. */
import { z } from 'zod';
import { EXAMPLES } from './examples.ts';
import { PATHS, QUERIES } from './parameters.ts';
import type { Route } from './route.ts';
import { ConsistencyProof, InclusionProof } from './schemas.ts';

const json = 'application/json';
const bytes = 'application/octet-stream';
const text = 'text/plain; charset=utf-8';

const INCLUSION = {
  200: {
    description: 'The proof, the sibling of the leaf first.',
    mediaType: json,
    schema: InclusionProof,
    example: EXAMPLES.inclusion,
  },
} as const;

export const LOG_ROUTES = {
  readCheckpoint: {
    method: 'get',
    path: '/checkpoint',
    tag: 'log',
    summary: 'The newest checkpoint',
    description:
      'A C2SP tlog-checkpoint as a signed note: the signatures of the log first, then cosignatures. 404 until one is signed. It changes when the log grows and when a cosigner has signed.',
    caching: 'head',
    query: QUERIES.none,
    answers: {
      200: {
        description: 'The note.',
        mediaType: text,
        schema: z.string(),
        example: EXAMPLES.checkpoint,
      },
    },
    errors: [],
  },
  readEntryBundle: {
    method: 'get',
    path: '/tile/entries/{index}',
    tag: 'log',
    summary: 'The leaves under one tile of level 0',
    description:
      'C2SP tlog-tiles: each leaf after its length in two bytes. Leaf i of the log is the canonical leaf of version i. 404 beyond the checkpoint.',
    caching: 'immutable',
    params: PATHS.bundle,
    query: QUERIES.none,
    answers: {
      200: {
        description: 'The bundle; br, zstd or gzip when accepted.',
        mediaType: bytes,
        schema: z.unknown(),
      },
    },
    errors: [],
  },
  readTile: {
    method: 'get',
    path: '/tile/{level}/{index}',
    tag: 'log',
    summary: 'One tile of the tree',
    description:
      'C2SP tlog-tiles: up to 256 hashes of 32 bytes, one after the other. 404 beyond the checkpoint.',
    caching: 'immutable',
    params: PATHS.tile,
    query: QUERIES.none,
    answers: { 200: { description: 'The hashes.', mediaType: bytes, schema: z.unknown() } },
    errors: [],
  },
  readInclusionProof: {
    method: 'get',
    path: '/registry/proof/inclusion/{version}/{size}',
    tag: 'log',
    summary: 'That a version is in the tree of a size',
    description: '404 unless version < size <= the size of the checkpoint.',
    caching: 'immutable',
    params: PATHS.inclusion,
    query: QUERIES.none,
    answers: INCLUSION,
    errors: [],
  },
  findInclusionProof: {
    method: 'get',
    path: '/registry/proof/inclusion/{version}',
    tag: 'log',
    summary: 'That a version is in the tree of the checkpoint, or of a size',
    description:
      'Not stored by caches, for some of them ignore the query; `Content-Location` names the same proof where they may.',
    caching: 'none',
    params: PATHS.version,
    query: QUERIES.inclusion,
    answers: INCLUSION,
    errors: [],
  },
  readConsistencyProof: {
    method: 'get',
    path: '/registry/proof/consistency/{from}/{size}',
    tag: 'log',
    summary: 'That the tree of one size begins with the tree of another',
    description: '404 unless from <= size <= the size of the checkpoint.',
    caching: 'immutable',
    params: PATHS.consistency,
    query: QUERIES.none,
    answers: {
      200: {
        description: 'The proof; empty from 0 and from the size itself.',
        mediaType: json,
        schema: ConsistencyProof,
        example: EXAMPLES.consistency,
      },
    },
    errors: [],
  },
  readProofFile: {
    method: 'get',
    path: '/registry/{version}/tlog-proof',
    tag: 'log',
    summary: 'A proof of one version to keep',
    description:
      'A C2SP tlog-proof: the inclusion of the leaf and the newest checkpoint, in one text that can be checked without this server. 404 until a checkpoint covers the version.',
    caching: 'head',
    params: PATHS.versionOrHead,
    query: QUERIES.none,
    answers: {
      200: {
        description: 'The text.',
        mediaType: text,
        schema: z.string(),
        example: EXAMPLES.proofFile,
      },
    },
    errors: ['not_initialised'],
  },
} as const satisfies Record<string, Route>;
