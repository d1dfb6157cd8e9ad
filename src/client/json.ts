/** JSON answers whose bytes are not hashed as a whole: parsed within bounds, but not canonical by rule. */
import { decodeUtf8 } from '../core/bytes.ts';
import type { Json } from '../core/canonical.ts';
import { excerpt, RegistryError } from '../core/error.ts';
import { assertJsonBounds } from '../core/json-scan.ts';

/** A payload may use all of core's depth, and answers wrap it. */
export const ANSWER_LIMITS = { maxDepth: 40, maxTokens: 50_000_000 } as const;

/** Throws `unexpected_answer`. */
export function parseJsonBytes(bytes: Uint8Array): Json {
  try {
    assertJsonBounds(bytes, ANSWER_LIMITS);
    return JSON.parse(decodeUtf8(bytes)) as Json;
  } catch (cause) {
    const start = new TextDecoder().decode(bytes.subarray(0, 40));
    throw new RegistryError('unexpected_answer', `expected json, got ${excerpt(start)}`, { cause });
  }
}
