/** What the contract says of one route. Data only: `http` serves it, `openapi` describes it. */
import type { z } from 'zod';
import type { ErrorCode } from '../core/error.ts';
import type { Caching } from './caching.ts';

export const TAGS = {
  read: 'Open to everybody; every answer can be verified.',
  follow: 'Hear of new versions as they are committed.',
  log: 'The transparency log as C2SP describes it: checkpoints, tiles, and proofs against them.',
  blob: 'Bytes that descriptors name by hash. Off by default.',
  write: 'Propose, approve, commit. The signatures decide, nothing else.',
  service: 'The program itself.',
} as const;

export interface RouteAnswer {
  readonly description: string;
  readonly mediaType:
    | 'application/json'
    | 'application/octet-stream'
    | 'application/schema+json'
    | 'application/x-ndjson'
    | 'text/event-stream'
    | 'text/plain'
    | 'text/plain; charset=utf-8';
  /** Of the body; for NDJSON and events, of one line. */
  readonly schema: z.ZodType;
  readonly example?: unknown;
}

/** From the texts of a URL or of headers. */
export type ParameterSchema = z.ZodType<unknown, Record<string, unknown>>;

export interface Route {
  readonly method: 'get' | 'post' | 'put';
  /** An OpenAPI template; the label of metrics and logs. `{id}` and `{index}` may hold slashes where they are last. */
  readonly path: string;
  readonly tag: keyof typeof TAGS;
  readonly summary: string;
  readonly description?: string;
  /**
   * `version`: immutable under a number, like the head under `head`; `range`: immutable when the URL
   * names everything the answer depends on.
   */
  readonly caching: Caching | 'version' | 'range';
  readonly params?: ParameterSchema;
  readonly query?: ParameterSchema;
  readonly headers?: ParameterSchema;
  readonly body?: {
    readonly schema: z.ZodType;
    readonly description: string;
    readonly example?: unknown;
    /** Default: JSON. */
    readonly mediaType?: 'application/octet-stream';
  };
  readonly answers: Readonly<Record<number, RouteAnswer>>;
  /** Codes beside those that any route may answer. */
  readonly errors: readonly ErrorCode[];
}

/** Any route may answer these; a path or method outside the table, the first two. */
export const COMMON_ERRORS = [
  'not_found',
  'method_not_allowed',
  'invalid_request',
  'rate_limited',
  'overloaded',
  'not_ready',
  'draining',
  'internal',
  'storage_damaged',
  'storage_failed',
] as const satisfies readonly ErrorCode[];

/** A write may also answer these; `outcome_unknown`: repeat the same request. */
export const WRITE_ERRORS = [
  'unauthenticated',
  'forbidden',
  'frozen',
  'storage_slow',
  'loop_late',
  'outcome_unknown',
  'read_only',
  'storage_locked',
] as const satisfies readonly ErrorCode[];

/** What reading a body may answer. */
export const BODY_ERRORS = [
  'unsupported_encoding',
  'unsupported_media_type',
  'too_large',
  'malformed',
  'too_deep',
  'not_canonical',
  'invalid_payload',
] as const satisfies readonly ErrorCode[];
