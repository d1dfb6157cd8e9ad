/**
 * The texts and numbers of the wire as zod schemas. Everything is said with what JSON Schema can
 * carry (patterns, bounds), so that the published documents refuse what the schemas refuse.
 */
import { z } from 'zod';
import { ID, KIND } from '../core/check.ts';
import type { Hash as HashText } from '../core/hash.ts';

const MAX_INTEGER = Number.MAX_SAFE_INTEGER;

export const Hash: z.ZodType<HashText> = z
  .templateLiteral(['b3:', z.string().regex(/[0-9a-f]{64}/)], {
    error: 'b3: and 64 lower-case hex digits',
  })
  .meta({ id: 'Hash', description: 'BLAKE3-256: `b3:` and 64 lower-case hex digits.' });

export const Time = z
  .string()
  .regex(
    /^\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)|02-(?:0[1-9]|[12]\d))T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z$/,
  )
  .meta({
    id: 'Time',
    description: 'RFC 3339 in UTC with milliseconds.',
    examples: ['2026-11-21T09:30:00.000Z'],
  });

export const Kind = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,62}$/, { error: KIND.expected })
  .meta({ id: 'Kind', description: 'What sort of thing a descriptor describes.' });

export const Id = z
  .string()
  .max(256, { error: ID.expected })
  .regex(/^(?!\.\.?(?:\/|$))[A-Za-z0-9._~:@+-]+(?:\/(?!\.\.?(?:\/|$))[A-Za-z0-9._~:@+-]+)*$/, {
    error: ID.expected,
  })
  .meta({
    id: 'Id',
    description: 'Names one descriptor of its kind. No empty, `.` or `..` path segment.',
  });

export const Origin = z
  .string()
  .max(255)
  .regex(/^[a-z0-9.-]+(?:\/[A-Za-z0-9._~-]+)*$/)
  .meta({
    id: 'Origin',
    description: 'The name of the registry: a schema-less URL.',
    examples: ['registry.example.com/prod'],
  });

// Length is in the pattern because zod counts UTF-16 units and JSON Schema counts characters.
export const Note = z
  .string()
  .regex(
    /^[^\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff\u{e0000}-\u{e007f}]{0,1024}$/u,
  )
  .meta({
    id: 'Note',
    description: 'At most 1024 characters, none of them control, bidi or zero-width.',
  });

export const SignerId = z
  .string()
  .max(128)
  .regex(/^org:[a-z0-9._-]+#[a-z0-9._-]+$/)
  .meta({
    id: 'SignerId',
    description: 'Names one key for the life of the registry.',
    examples: ['org:acme#alice-2026'],
  });

// The last sextet before the padding carries spare bits, which must be zero: one spelling per value.
export const PublicKey = z
  .string()
  .regex(/^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/)
  .meta({ id: 'PublicKey', description: 'Ed25519, 32 bytes in base64.' });

export const Signature = z
  .string()
  .regex(/^[A-Za-z0-9+/]{85}[AQgw]==$/)
  .meta({ id: 'Signature', description: 'Ed25519, 64 bytes in base64.' });

export const VerifierKey = z
  .string()
  .regex(/^[^+\s]+\+[0-9a-f]{8}\+A[Q-Za-f][A-Za-z0-9+/]{42}$/)
  .meta({ id: 'VerifierKey', description: 'A C2SP signed-note verifier key, type Ed25519.' });

export const Version = z.int().min(0).meta({
  id: 'Version',
  description: 'The number of an entry; genesis is 0.',
});

/** Any count of things or bytes. */
export const Count = z.int().min(0);

type JsonValue = null | boolean | number | string | JsonValue[] | { [member: string]: JsonValue };

const MemberName = z.string().regex(/^(?!(?:__proto__|constructor|prototype)$)/);

const JsonValue: z.ZodType<JsonValue> = z
  .lazy(() =>
    z.union([
      z.null(),
      z.boolean(),
      // A double beyond this is an integer that has lost precision.
      z.number().min(-MAX_INTEGER).max(MAX_INTEGER),
      z.string(),
      z.array(JsonValue),
      z.record(MemberName, JsonValue),
    ]),
  )
  .meta({ id: 'JsonValue' });

export const Spec = z.record(MemberName, JsonValue).meta({
  id: 'Spec',
  description: 'Any JSON object: at most 32 levels and 100,000 values in the whole payload.',
});
