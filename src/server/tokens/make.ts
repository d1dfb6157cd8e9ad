/** Tokens made, narrowed and looked into: what a holder does, with or without the root key. No server is asked. */
import type { KeyObject } from 'node:crypto';
import { RegistryError } from '../../core/error.ts';
import type { TokenKey } from '../token-key.ts';
import { type Biscuit, loadLibrary } from './biscuit.ts';
import { type Borrowed, borrow } from './container.ts';
import { type Caveat, encodeCaveats, encodeGrant, type Grant } from './datalog.ts';
import {
  decodeToken,
  encodeToken,
  MAX_BLOCKS,
  MAX_TOKEN_CHARS,
  parse,
  type Token,
  verifyToken,
} from './token.ts';

/** `privateKey`: Ed25519. Throws `invalid_request` for what no token can say, or no server would take. */
export async function mintToken(privateKey: KeyObject, grant: Grant): Promise<string> {
  const source = encodeGrant(grant);
  const { d = '' } = privateKey.export({ format: 'jwk' });
  const bytes = Buffer.from(d, 'base64url');
  return (await loadLibrary()).use((biscuit) => {
    using key = biscuit.PrivateKey.fromBytes(bytes, biscuit.SignatureAlgorithm.Ed25519);
    const builder = biscuit.Biscuit.builder();
    builder.addCode(source);
    // Takes the builder with it.
    using token = builder.build(key);
    return usableText(biscuit, token.toBytes());
  });
}

/** One more block. Throws `unauthenticated` for what is no token, `invalid_request` for one that cannot be narrowed. */
export async function attenuateToken(text: string, caveats: readonly Caveat[]): Promise<string> {
  const source = encodeCaveats(caveats);
  const borrowed = assertBorrowed(decodeToken(text));
  return (await loadLibrary()).use((biscuit) => {
    using token = parse(biscuit, borrowed.bytes, borrowed.key);
    if (token === undefined)
      throw invalid('a token whose blocks follow from each other', 'another');
    if (token.countBlocks() >= MAX_BLOCKS)
      throw invalid(`a token of less than ${MAX_BLOCKS} blocks`, `${token.countBlocks()}`);
    using block = biscuit.Biscuit.block_builder();
    block.addCode(source);
    using narrower = token.appendBlock(block);
    return usableText(biscuit, borrowed.restore(narrower.toBytes()));
  });
}

/**
 * What a token says. With `key` its signatures are checked (throws `invalid_signature`); without, nobody
 * but its text vouches for it.
 */
export async function openToken(text: string, key?: TokenKey): Promise<Token> {
  const bytes = decodeToken(text);
  return (await loadLibrary()).use((biscuit) => {
    if (key === undefined) return openUnverified(biscuit, bytes);
    using signed = parse(biscuit, bytes, key);
    if (signed === undefined)
      throw new RegistryError(
        'invalid_signature',
        `expected a token signed by ${key}, got another`,
      );
    return verifyToken(biscuit, bytes, [key]);
  });
}

function openUnverified(biscuit: Biscuit, bytes: Uint8Array): Token {
  const borrowed = assertBorrowed(bytes);
  const token = verifyToken(biscuit, borrowed.bytes, [borrowed.key]);
  const [, ...others] = token.revocationIds;
  return { ...token, bytes, revocationIds: [borrowed.signature, ...others] };
}

function assertBorrowed(bytes: Uint8Array): Borrowed {
  const borrowed = borrow(bytes);
  if (borrowed === undefined)
    throw invalid('a token as `quorate token mint` makes them', 'one of another form');
  return borrowed;
}

/** What was made is read as a server would, but for the key. */
function usableText(biscuit: Biscuit, bytes: Uint8Array): string {
  const text = encodeToken(bytes);
  if (text.length > MAX_TOKEN_CHARS)
    throw invalid(`a token of at most ${MAX_TOKEN_CHARS} characters`, `${text.length}`);
  try {
    openUnverified(biscuit, bytes);
  } catch (cause) {
    const got = cause instanceof Error ? cause.message : String(cause);
    throw new RegistryError('invalid_request', `expected a token that a server takes: ${got}`, {
      cause,
    });
  }
  return text;
}

function invalid(expected: string, got: string): RegistryError {
  return new RegistryError('invalid_request', `expected ${expected}, got ${got}`);
}
