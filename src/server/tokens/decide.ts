/** Whether a verified token allows an attempt. */
import { RegistryError } from '../../core/error.ts';
import type { Attempt } from '../../http/authority.ts';
import type { Biscuit } from './biscuit.ts';
import { encodeAttempt } from './datalog.ts';
import { parse, type Token } from './token.ts';

/** The known forms take one pass over some 80 facts, and less than a millisecond once they are warm. */
const LIMITS = { max_facts: 256, max_iterations: 4, max_time_micro: 250_000 };

/** What the library says against it, for the log alone; `undefined`: allowed. Throws `overloaded`, or what the library broke with. */
export function refusalOf(
  biscuit: Biscuit,
  token: Token,
  { attempt, now }: { readonly attempt: Attempt; readonly now: number },
): string | undefined {
  const source = encodeAttempt(attempt, now);
  using parsed = parse(biscuit, token.bytes, token.key);
  if (parsed === undefined) throw new Error('expected a token that was verified before');
  const builder = new biscuit.AuthorizerBuilder();
  builder.addCode(source);
  // Takes the builder with it: it needs no freeing.
  using authorizer = builder.buildAuthenticated(parsed);
  try {
    authorizer.authorizeWithLimits(LIMITS);
    return undefined;
  } catch (error) {
    // The library broke, and so said nothing: its refusals are plain objects.
    if (error instanceof Error) throw error;
    const reason = JSON.stringify(error) ?? String(error);
    if (!reason.includes('RunLimit')) return reason;
    throw new RegistryError(
      'overloaded',
      'expected to check a token in time, got no time: try again in a moment',
    );
  }
}
