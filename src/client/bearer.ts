/** The access token that writes bring: told to nobody but the registry, and never part of an error. */
import { RegistryError } from '../core/error.ts';

/** As it is, or asked for before each write. */
export type BearerToken = string | (() => string | Promise<string>);

/** Throws `invalid_request` for text that is no token; the message does not quote it, as `fetch` would. */
export async function bearerOf(token: BearerToken | undefined): Promise<string | undefined> {
  if (token === undefined) return undefined;
  const text = typeof token === 'string' ? token : await token();
  if (/^[A-Za-z0-9_=-]{1,4096}$/.test(text)) return text;
  throw new RegistryError(
    'invalid_request',
    `expected a token: 1 to 4096 of [A-Za-z0-9_=-], got ${text.length} other characters`,
  );
}

/** The body of a refusal: a registry, or something on the way to it, may say back what it was sent. */
export function withoutToken(bytes: Uint8Array, token: string | undefined): Uint8Array {
  if (token === undefined) return bytes;
  const text = new TextDecoder().decode(bytes);
  return text.includes(token) ? new TextEncoder().encode(text.replaceAll(token, '[token]')) : bytes;
}
