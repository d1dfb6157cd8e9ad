/**
 * Strict readers for parsed JSON. Each names what it expected, what came and where (a JSON pointer);
 * unknown members are refused. Written by hand because they run on every payload and in the browser.
 */
import { decodeBase64 } from './bytes.ts';
import type { Json, JsonObject } from './canonical.ts';
import { type ErrorCode, excerpt, RegistryError } from './error.ts';
import { type Hash, isHash } from './hash.ts';
import { isTime } from './time.ts';

/** Reads one document; every failure has `code` and a pointer into the document. */
export class Check {
  readonly #code: ErrorCode;

  constructor(code: ErrorCode) {
    this.#code = code;
  }

  fail(pointer: string, expected: string, got: unknown): never {
    throw new RegistryError(
      this.#code,
      `expected ${expected} at ${pointer || '/'}, got ${excerpt(got)}`,
      {
        details: { pointer: pointer || '/', expected },
      },
    );
  }

  object(value: Json | undefined, pointer: string): JsonObject {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      return this.fail(pointer, 'an object', value);
    return value as JsonObject;
  }

  /** The object, with exactly these members. */
  members(value: Json | undefined, pointer: string, names: readonly string[]): JsonObject {
    const object = this.object(value, pointer);
    for (const name of names)
      if (!Object.hasOwn(object, name)) this.fail(`${pointer}/${name}`, 'a member', undefined);
    for (const name of Object.keys(object))
      if (!names.includes(name))
        this.fail(`${pointer}/${name}`, `no member but ${names.join(', ')}`, name);
    return object;
  }

  array(
    value: Json | undefined,
    pointer: string,
    size: { min: number; max: number },
  ): readonly Json[] {
    if (!Array.isArray(value)) return this.fail(pointer, 'an array', value);
    if (value.length < size.min || value.length > size.max)
      this.fail(pointer, `${size.min} to ${size.max} elements`, value.length);
    return value;
  }

  text(value: Json | undefined, pointer: string, rule: TextRule): string {
    if (typeof value !== 'string' || !rule.test(value))
      return this.fail(pointer, rule.expected, value);
    return value;
  }

  literal<const T extends string>(
    value: Json | undefined,
    pointer: string,
    ...allowed: readonly T[]
  ): T {
    if (!allowed.includes(value as T)) this.fail(pointer, allowed.join(' or '), value);
    return value as T;
  }

  integer(value: Json | undefined, pointer: string, range: { min: number; max?: number }): number {
    const max = range.max ?? Number.MAX_SAFE_INTEGER;
    if (
      typeof value !== 'number' ||
      !Number.isSafeInteger(value) ||
      value < range.min ||
      value > max
    )
      return this.fail(pointer, `an integer from ${range.min} to ${max}`, value);
    return value;
  }

  hash(value: Json | undefined, pointer: string): Hash {
    if (!isHash(value)) return this.fail(pointer, 'b3: and 64 lower-case hex digits', value);
    return value;
  }

  time(value: Json | undefined, pointer: string): string {
    if (!isTime(value)) return this.fail(pointer, 'a time like 2026-11-21T09:30:00.000Z', value);
    return value;
  }

  /** Base64 text that decodes to exactly `length` bytes and back to itself. */
  base64(value: Json | undefined, pointer: string, length: number): string {
    const bytes = typeof value === 'string' ? decodeBase64(value) : undefined;
    if (bytes?.length !== length) this.fail(pointer, `padded base64 of ${length} bytes`, value);
    return value as string;
  }
}

export interface TextRule {
  readonly expected: string;
  test(text: string): boolean;
}

export const KIND: TextRule = {
  expected: 'a kind: [a-z][a-z0-9-]{0,62}',
  test: (text) => /^[a-z][a-z0-9-]{0,62}$/.test(text),
};

export const ID: TextRule = {
  expected: 'an id: 1 to 256 of [A-Za-z0-9._~:@/+-], no empty, . or .. path segment',
  test: (text) =>
    /^[A-Za-z0-9._~:@/+-]{1,256}$/.test(text) &&
    text.split('/').every((segment) => segment !== '' && segment !== '.' && segment !== '..'),
};

export const ORIGIN: TextRule = {
  expected:
    'an origin: a schema-less url of at most 255 characters such as registry.example.com/prod',
  test: (text) => text.length <= 255 && /^[a-z0-9.-]+(\/[A-Za-z0-9._~-]+)*$/.test(text),
};

// C0, C1 and DEL; bidi marks, embeddings and isolates; zero-width characters; invisible tag characters.
const NOTE_REFUSED =
  /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]|[\u{e0000}-\u{e007f}]/u;

export const NOTE: TextRule = {
  expected: 'a note of at most 1024 characters without control, bidi or zero-width characters',
  test: (text) => [...text].length <= 1024 && !NOTE_REFUSED.test(text),
};

export const SIGNER_ID: TextRule = {
  expected: 'a signer id: org:<realm>#<key> over [a-z0-9._-], at most 128 characters',
  test: (text) => text.length <= 128 && /^org:[a-z0-9._-]+#[a-z0-9._-]+$/.test(text),
};
