/**
 * Bytes to text and back, strictly: every decoder re-encodes and compares, so one value has one
 * spelling. Lenient decoding of base64 or UTF-8 would let two texts mean one key.
 */
import { RegistryError } from './error.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export function encodeUtf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** Throws `malformed` for anything that is not well-formed UTF-8; a BOM is kept as U+FEFF. */
export function decodeUtf8(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw new RegistryError('malformed', 'expected well-formed utf-8, got other bytes', { cause });
  }
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const NO_DIGIT = 64;
const DIGITS = new Uint8Array(128).fill(NO_DIGIT);
for (let digit = 0; digit < ALPHABET.length; digit++) DIGITS[ALPHABET.charCodeAt(digit)] = digit;

/** RFC 4648 section 4, with padding. */
export function encodeBase64(bytes: Uint8Array): string {
  let binary = '';
  // Not spread: a proof is 20 hashes, and that would take each of them twice as long.
  for (let at = 0; at < bytes.length; at += 0x8000)
    binary += Reflect.apply(String.fromCharCode, null, bytes.subarray(at, at + 0x8000));
  return btoa(binary);
}

/** `undefined` unless the text is exactly what `encodeBase64` gives for the bytes it decodes to. */
export function decodeBase64(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0) return undefined;
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  let [bits, held, at] = [0, 0, 0];
  for (let i = 0; i < text.length - padding; i++) {
    const digit = DIGITS[text.charCodeAt(i)];
    if (digit === undefined || digit === NO_DIGIT) return undefined;
    bits = (bits << 6) | digit;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    bytes[at++] = bits >> held;
    bits &= (1 << held) - 1;
  }
  // What is left over must be nothing, or two texts would mean the same bytes.
  return bits === 0 ? bytes : undefined;
}

/** As `decodeBase64`, of text that was read strictly before. Throws `malformed` where it was not. */
export function parseBase64(text: string): Uint8Array {
  const bytes = decodeBase64(text);
  if (bytes === undefined)
    throw new RegistryError('malformed', `expected padded base64, got ${text.length} characters`);
  return bytes;
}

export function isEqualBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
