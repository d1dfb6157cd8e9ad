/**
 * RFC 8785 canonical JSON, where bytes are the truth: a document is accepted only when it already is
 * its own canonical form, so what was seen, hashed, stored and served are the same bytes.
 */
import canonicalize from 'canonicalize';
import { decodeUtf8, encodeUtf8 } from './bytes.ts';
import { excerpt, RegistryError } from './error.ts';
import { assertJsonBounds, JSON_LIMITS, type JsonLimits } from './json-scan.ts';

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [member: string]: Json;
}

// Names that turn a careless copy of an object into a change of its prototype.
const FORBIDDEN_MEMBERS = new Set(['__proto__', 'constructor', 'prototype']);

/** The canonical bytes of a value that came out of strict validation: plain JSON data, nothing live. */
export function canonicalBytes(value: unknown): Uint8Array {
  return encodeUtf8(canonicalText(value));
}

/** Throws `malformed` for what JSON cannot say (lone surrogates, NaN, undefined). */
export function canonicalText(value: unknown): string {
  let text: string | undefined;
  try {
    text = canonicalize(value);
  } catch (cause) {
    throw new RegistryError(
      'malformed',
      `expected a value that canonical json can carry, got another: ${excerpt(String(cause))}`,
      { cause },
    );
  }
  if (text === undefined)
    throw new RegistryError('malformed', 'expected a json value, got nothing to write');
  return text;
}

/**
 * Parses bytes that must be canonical JSON. Throws `malformed` (UTF-8, syntax), `too_deep`,
 * `not_canonical` (with the offset of the first difference) or `invalid_payload` (a member name or a
 * number that no document may carry).
 */
export function parseCanonical(bytes: Uint8Array, limits: JsonLimits = JSON_LIMITS): Json {
  assertJsonBounds(bytes, limits);
  const text = decodeUtf8(bytes);
  const value = parseJson(text);
  const canonical = canonicalText(value);
  if (canonical !== text) {
    const offset = firstDifference(canonical, text);
    throw new RegistryError(
      'not_canonical',
      `expected rfc 8785 canonical json, got a difference at character ${offset}: ` +
        `${excerpt(text.slice(offset, offset + 20))} where ${excerpt(canonical.slice(offset, offset + 20))} belongs`,
      { details: { offset } },
    );
  }
  assertPlain(value, '');
  return value;
}

function parseJson(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch (cause) {
    throw new RegistryError('malformed', `expected json, got ${excerpt(text.slice(0, 40))}`, {
      cause,
    });
  }
}

function firstDifference(a: string, b: string): number {
  let i = 0;
  while (i < a.length && a[i] === b[i]) i++;
  return i;
}

/** Depth is bounded by the scan before it, so recursion is safe here. */
function assertPlain(value: Json, pointer: string): void {
  if (typeof value === 'number') {
    if (Number.isInteger(value) && !Number.isSafeInteger(value))
      throw new RegistryError(
        'invalid_payload',
        `expected integers within 2^53-1 at ${pointer || '/'}, got ${value}`,
        {
          details: { pointer },
        },
      );
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  for (const [name, member] of Object.entries(value)) {
    if (!Array.isArray(value) && FORBIDDEN_MEMBERS.has(name))
      throw new RegistryError(
        'invalid_payload',
        `expected no member named ${name}, got one at ${pointer || '/'}`,
        {
          details: { pointer },
        },
      );
    assertPlain(member, `${pointer}/${name}`);
  }
}
