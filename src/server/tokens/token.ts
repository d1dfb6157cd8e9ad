/**
 * A token from its text to what it says: canonical base64url, a signature chain from a root key, and
 * blocks of known forms. Time, revocation and what is asked of it are judged by `authority`.
 */
import { RegistryError } from '../../core/error.ts';
import { admitKey } from '../../core/verifier.ts';
import type { TokenKey } from '../token-key.ts';
import type { Biscuit } from './biscuit.ts';
import { type Caveat, type Grant, readCaveats, readGrant } from './datalog.ts';

/** Of the text. A grant takes some 450, an attenuation 200 to 450. */
export const MAX_TOKEN_CHARS = 4096;
export const MAX_BLOCKS = 16;

export const MAX_LIFETIME_SECONDS = 30 * 24 * 60 * 60;

export interface Token {
  readonly bytes: Uint8Array;
  readonly key: TokenKey;
  readonly grant: Grant;
  /** Of each later block. */
  readonly attenuations: readonly (readonly Caveat[])[];
  /** Unix seconds: the earliest that any block says. */
  readonly expires: number;
  /** Of each block, hex; the first is who the token is. */
  readonly revocationIds: readonly [string, ...string[]];
}

/** Throws `unauthenticated`; the message never quotes the token. */
export function decodeToken(text: string): Uint8Array {
  if (text.length > MAX_TOKEN_CHARS)
    throw unauthenticated(`a token of at most ${MAX_TOKEN_CHARS} characters`, `${text.length}`);
  const bytes = Uint8Array.from(Buffer.from(text, 'base64url'));
  // One token, one text: what is remembered of a token is remembered by its text.
  if (text === '' || encodeToken(bytes) !== text)
    throw unauthenticated('a token in padded base64url', 'other text');
  return bytes;
}

export function encodeToken(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64').replaceAll('+', '-').replaceAll('/', '_');
}

/** `keys`: whose tokens are taken, tried one after the other. Throws `unauthenticated`. */
export function verifyToken(biscuit: Biscuit, bytes: Uint8Array, keys: readonly TokenKey[]): Token {
  for (const key of keys) {
    using token = parse(biscuit, bytes, key);
    if (token !== undefined) return readToken(token, { bytes, key });
  }
  throw unauthenticated('a token signed by a key that is configured here', 'another');
}

/** To be freed. `undefined`: not of this key. */
export function parse(
  biscuit: Biscuit,
  bytes: Uint8Array,
  key: TokenKey,
): Biscuit['Biscuit']['prototype'] | undefined {
  using publicKey = publicKeyOf(biscuit, key);
  try {
    return biscuit.Biscuit.fromBytes(bytes, publicKey);
  } catch (error) {
    // The library broke: its refusals are plain objects.
    if (error instanceof Error) throw error;
    return undefined;
  }
}

/** Throws `invalid_request` for a key that is none, or that others could sign for too. */
export function assertTokenKey(key: TokenKey): void {
  if (admitKey(bytesOf(key)) === undefined)
    throw new RegistryError('invalid_request', `expected an ed25519 public key, got ${key}`);
}

/** To be freed. */
function publicKeyOf(biscuit: Biscuit, key: TokenKey): Biscuit['PublicKey']['prototype'] {
  return biscuit.PublicKey.fromBytes(bytesOf(key), biscuit.SignatureAlgorithm.Ed25519);
}

function bytesOf(key: TokenKey): Uint8Array {
  return Uint8Array.from(Buffer.from(key.slice('ed25519/'.length), 'hex'));
}

/** Of an Ed25519 signature, in hex. */
const ID_DIGITS = 128;

/** The tag of the first block; only the id of a root key, which nothing signs, may come before it. */
const FIRST_BLOCK = 0x12;

function readToken(
  token: Biscuit['Biscuit']['prototype'],
  { bytes, key }: Pick<Token, 'bytes' | 'key'>,
): Token {
  // The signatures do not cover how blocks are packed: two packings would be two tokens with one id.
  if (bytes[0] !== FIRST_BLOCK || !Buffer.from(token.toBytes()).equals(bytes))
    throw unauthenticated('a token packed as the library packs it', 'another packing');
  const blocks = token.countBlocks();
  if (blocks > MAX_BLOCKS) throw unauthenticated(`at most ${MAX_BLOCKS} blocks`, `${blocks}`);
  const grant = readGrant(token.getBlockSource(0));
  const lifetime = grant.expires - grant.issued;
  if (lifetime <= 0 || lifetime > MAX_LIFETIME_SECONDS)
    throw unauthenticated('a lifetime of at most 30 days', `one of ${lifetime} seconds`);
  const attenuations: (readonly Caveat[])[] = [];
  for (let block = 1; block < blocks; block++)
    attenuations.push(readCaveats(token.getBlockSource(block)));
  return {
    bytes,
    key,
    grant,
    attenuations,
    expires: earliest(grant, attenuations),
    revocationIds: revocationIdsOf(token),
  };
}

function earliest(grant: Grant, attenuations: Token['attenuations']): number {
  const caveats = [...grant.caveats, ...attenuations.flat()];
  const expiries = caveats.flatMap((caveat) => ('expires' in caveat ? [caveat.expires] : []));
  return Math.min(grant.expires, ...expiries);
}

/** A P-256 signature has a twin that anybody can compute: a list would name only one of the two. */
function revocationIdsOf(token: Biscuit['Biscuit']['prototype']): Token['revocationIds'] {
  const [first, ...others] = token.getRevocationIdentifiers().map(String);
  if (first === undefined) throw unauthenticated('a token with revocation ids', 'none');
  const other = [first, ...others].find((id) => id.length !== ID_DIGITS);
  if (other !== undefined)
    throw unauthenticated(
      'blocks signed by ed25519 keys',
      `one with a signature of ${other.length / 2} bytes`,
    );
  return [first, ...others];
}

export function unauthenticated(expected: string, got: string): RegistryError {
  return new RegistryError('unauthenticated', `expected ${expected}, got ${got}`);
}
