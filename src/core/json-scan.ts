/**
 * One linear pass over JSON bytes before anything parses them, so that a hostile body costs
 * milliseconds. It bounds depth and size only; whether the text is JSON is `JSON.parse`'s answer.
 */
import { RegistryError } from './error.ts';

export interface JsonLimits {
  /** Containers inside containers; a bare scalar has depth 0. */
  readonly maxDepth: number;
  /** JSON values (objects, arrays, strings, numbers, literals; member names are not values). */
  readonly maxTokens: number;
  /** What one container at `depth` (the outermost is at 1) may hold by itself. */
  readonly each?: {
    readonly depth: number;
    readonly maxBytes: number;
    /** The container itself counts. */
    readonly maxTokens: number;
  };
}

export const JSON_LIMITS: JsonLimits = { maxDepth: 32, maxTokens: 100_000 };

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** Throws `too_deep`, naming which bound was crossed and where. */
export function assertJsonBounds(bytes: Uint8Array, limits: JsonLimits = JSON_LIMITS): void {
  let depth = 0;
  // One value for the document, one for each comma, one for the first member of each container
  // that is not empty: exact for JSON, and for nonsense it does not matter.
  let tokens = 1;
  let inString = false;
  const { each } = limits;
  let [start, tokensBefore] = [0, 0];
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i];
    if (inString) {
      if (byte === BACKSLASH) i++;
      else if (byte === QUOTE) inString = false;
    } else if (byte === QUOTE) inString = true;
    else if (byte === COMMA) tokens++;
    else if (byte === OPEN_ARRAY || byte === OPEN_OBJECT) {
      if (++depth > limits.maxDepth)
        throw tooDeep(`at most ${limits.maxDepth} nested containers`, i);
      if (depth === each?.depth) {
        start = i;
        tokensBefore = tokens - 1;
      }
      const next = bytes[i + 1];
      if (next !== CLOSE_ARRAY && next !== CLOSE_OBJECT) tokens++;
    } else if (byte === CLOSE_ARRAY || byte === CLOSE_OBJECT) {
      if (depth-- === each?.depth) {
        if (i + 1 - start > each.maxBytes)
          throw tooDeep(`at most ${each.maxBytes} bytes from byte ${start} on`, i);
        if (tokens - tokensBefore > each.maxTokens)
          throw tooDeep(`at most ${each.maxTokens} values from byte ${start} on`, i);
      }
    }
    if (tokens > limits.maxTokens) throw tooDeep(`at most ${limits.maxTokens} values`, i);
  }
}

function tooDeep(expected: string, offset: number): RegistryError {
  return new RegistryError('too_deep', `expected ${expected}, got more at byte ${offset}`, {
    details: { offset },
  });
}
