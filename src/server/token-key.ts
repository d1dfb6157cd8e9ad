/**
 * The public keys whose access tokens are taken, as settings write them: reading only, so that a start
 * without tokens loads nothing of their library.
 */

/** `ed25519/` and 64 lower-case hex digits: the form `quorate token keygen` prints. */
export type TokenKey = `ed25519/${string}`;

/** Separated by commas; the empty text is none. `undefined` for anything else, and for a key named twice. */
export function parseTokenKeys(text: string): readonly TokenKey[] | undefined {
  if (text === '') return [];
  const keys = text.split(',').map((part) => part.trim());
  return keys.every(isTokenKey) && new Set(keys).size === keys.length ? keys : undefined;
}

/** `publicKey`: 32 bytes. */
export function formatTokenKey(publicKey: Uint8Array): TokenKey {
  return `ed25519/${Buffer.from(publicKey).toString('hex')}`;
}

function isTokenKey(text: string): text is TokenKey {
  return /^ed25519\/[0-9a-f]{64}$/.test(text);
}
