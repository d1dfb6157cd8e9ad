/**
 * What tokens of a set of keys allow. Whatever was found out about a token is remembered by the hash of
 * its text; time and revocation are looked at each time, so a memory never outlives them.
 */
import { createHash } from 'node:crypto';
import { RegistryError } from '../../core/error.ts';
import type { Attempt, Authority, Principal } from '../../http/authority.ts';
import type { Log } from '../../telemetry/log.ts';
import type { TokenKey } from '../token-key.ts';
import type { TokenLibrary } from './biscuit.ts';
import { MAX_KINDS } from './datalog.ts';
import { refusalOf } from './decide.ts';
import { Lru } from './lru.ts';
import { decodeToken, MAX_TOKEN_CHARS, type Token, unauthenticated, verifyToken } from './token.ts';

/** Some 2 KiB each. */
const MAX_TOKENS = 1_000;
const MAX_REFUSED = 10_000;
const MAX_VERDICTS = 10_000;
const REFUSED_FOR_MS = 10_000;
/** Of the clock of whoever minted it. */
const LEEWAY_SECONDS = 60;

interface KeyedParts {
  readonly library: Pick<TokenLibrary, 'use'>;
  readonly keys: readonly TokenKey[];
  /** Asked each time: a reload may take a key away from who was authenticated before. */
  readonly isKeyInForce: (key: TokenKey) => boolean;
  readonly isRevoked: (id: string) => boolean;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

interface Refused {
  readonly message: string;
  readonly atMs: number;
}

export class KeyedAuthority implements Authority {
  readonly #parts: KeyedParts;
  readonly #tokens = new Lru<Token>(MAX_TOKENS);
  /** Apart from the others: a flood of bad tokens pushes out no good one. */
  readonly #refused = new Lru<Refused>(MAX_REFUSED);
  readonly #verdicts = new Lru<'allowed' | 'refused'>(MAX_VERDICTS);

  constructor(parts: KeyedParts) {
    this.#parts = parts;
  }

  async authenticate(text: string): Promise<Principal> {
    const digest = digestOf(text.slice(0, MAX_TOKEN_CHARS + 1));
    const token = this.#tokens.get(digest) ?? this.#verify(text, digest);
    this.#assertLive(token);
    return {
      id: token.revocationIds[0],
      authorize: async (attempt) => this.#authorize(token, { digest, attempt }),
    };
  }

  #verify(text: string, digest: string): Token {
    const refused = this.#refused.get(digest);
    const ageMs = this.#parts.now() - (refused?.atMs ?? 0);
    if (refused !== undefined && ageMs >= 0 && ageMs < REFUSED_FOR_MS)
      throw new RegistryError('unauthenticated', refused.message);
    try {
      const { library, keys } = this.#parts;
      const bytes = decodeToken(text);
      const token = library.use((biscuit) => verifyToken(biscuit, bytes, keys));
      this.#tokens.set(digest, token);
      return token;
    } catch (error) {
      const refusal = this.#asRefusal(error);
      this.#refused.set(digest, { message: refusal.message, atMs: this.#parts.now() });
      throw refusal;
    }
  }

  #asRefusal(error: unknown): RegistryError {
    if (error instanceof RegistryError) return error;
    this.#parts.log.error('a token could not be checked', { error });
    return unauthenticated('a token that can be checked', 'another');
  }

  /** The facts of the first block and the expiry of every block; told by a clock that may have moved. */
  #assertLive({ key, grant, expires, revocationIds }: Token): void {
    const now = this.#nowSeconds();
    if (!this.#parts.isKeyInForce(key))
      throw unauthenticated('a token signed by a key that is configured here', 'another');
    if (revocationIds.some((id) => this.#parts.isRevoked(id))) {
      this.#parts.log.info('a revoked token was used', { token: revocationIds[0] });
      throw unauthenticated('a token that is not revoked', 'one that is');
    }
    if (now >= expires) throw unauthenticated('a token that has not expired', 'one that has');
    if (grant.issued > now + LEEWAY_SECONDS)
      throw unauthenticated(
        'a token that was issued before now',
        'one from the future: is the clock right',
      );
  }

  #authorize(
    token: Token,
    { digest, attempt }: { readonly digest: string; readonly attempt: Attempt },
  ): void {
    this.#assertLive(token);
    const question = digestOf(`${digest}${textOf(attempt)}`);
    let verdict = this.#verdicts.get(question);
    if (verdict === undefined) {
      verdict = this.#decide(token, attempt);
      this.#verdicts.set(question, verdict);
    }
    if (verdict === 'refused')
      throw new RegistryError(
        'forbidden',
        `expected a token that allows this ${attempt.operation}, got one that does not`,
      );
  }

  #decide(token: Token, attempt: Attempt): 'allowed' | 'refused' {
    const { library, log } = this.#parts;
    const question = { attempt, now: this.#nowSeconds() };
    const reason = library.use((biscuit) => refusalOf(biscuit, token, question));
    if (reason === undefined) return 'allowed';
    const { operation, proposal } = attempt;
    log.info('a token does not allow a write', {
      token: token.revocationIds[0],
      operation,
      proposal,
      reason,
    });
    return 'refused';
  }

  #nowSeconds(): number {
    return Math.floor(this.#parts.now() / 1000);
  }
}

/** Everything that a verdict depends on but the token and the time. */
function textOf({ operation, registry, proposal, kinds, idPrefix }: Attempt): string {
  const told = kinds.length > MAX_KINDS ? null : kinds;
  return JSON.stringify([operation, registry, proposal, told, idPrefix]);
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
