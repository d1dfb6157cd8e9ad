/** JSON answers whose bytes are not hashed as a whole: parsed within bounds, but not canonical by rule. */
import { decodeUtf8 } from '../core/bytes.ts';
import type { Json } from '../core/canonical.ts';
import { excerpt, RegistryError } from '../core/error.ts';
import { assertJsonBounds, JSON_LIMITS, type JsonLimits } from '../core/json-scan.ts';
import { MAX_PAYLOAD_BYTES } from '../core/payload.ts';

/** A payload may use all of core's depth, and answers wrap it. */
export const ANSWER_LIMITS = { maxDepth: 40, maxTokens: 50_000_000 } as const;
const MAX_SET_BYTES = 256 * 1024 * 1024;

/** What an answer says beside its items. */
const MAX_BESIDE = { tokens: 1_000, bytes: 64 * 1024 } as const;
/** As in `{"items": [{`. */
const ITEM_DEPTH = 3;
/** A descriptor came in a payload. */
const DESCRIPTOR_MAX = { maxBytes: MAX_PAYLOAD_BYTES, maxTokens: JSON_LIMITS.maxTokens } as const;
/** A path and a value hash, and what a later server says beside them. */
const LEAF_MAX = { maxBytes: 4 * 1024, maxTokens: 32 } as const;

/** An answer of one descriptor and its proof. */
export const DESCRIPTOR_LIMITS: JsonLimits = {
  ...ANSWER_LIMITS,
  maxTokens: DESCRIPTOR_MAX.maxTokens + MAX_BESIDE.tokens,
};

/** Of an answer with `size` items: what is not read is not paid for. */
export interface ItemsLimits {
  readonly maxBytes: number;
  readonly json: JsonLimits;
}

/** `size`: as a verified leaf says it is. */
export function itemsLimits(size: number, of: 'descriptors' | 'hashes'): ItemsLimits {
  const each = { depth: ITEM_DEPTH, ...(of === 'descriptors' ? DESCRIPTOR_MAX : LEAF_MAX) };
  // An item and the comma after it.
  const maxBytes = Math.min(MAX_SET_BYTES, size * (each.maxBytes + 1) + MAX_BESIDE.bytes);
  const maxTokens = size * each.maxTokens + MAX_BESIDE.tokens;
  return {
    maxBytes,
    json: { ...ANSWER_LIMITS, maxTokens: Math.min(ANSWER_LIMITS.maxTokens, maxTokens), each },
  };
}

/** Throws `unexpected_answer`. */
export function parseJsonBytes(bytes: Uint8Array, limits: JsonLimits = ANSWER_LIMITS): Json {
  try {
    assertJsonBounds(bytes, limits);
    return JSON.parse(decodeUtf8(bytes)) as Json;
  } catch (cause) {
    if (cause instanceof RegistryError && cause.code === 'too_deep')
      throw new RegistryError('unexpected_answer', cause.message, { cause });
    const start = new TextDecoder().decode(bytes.subarray(0, 40));
    throw new RegistryError('unexpected_answer', `expected json, got ${excerpt(start)}`, { cause });
  }
}
