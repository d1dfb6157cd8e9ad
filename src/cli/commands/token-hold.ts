/** `quorate token attenuate` and `inspect`: what whoever holds a token can do with it, offline. */
import { escapeText, RegistryError } from '../../core/error.ts';
import { formatTime } from '../../core/time.ts';
import { parseTokenKeys, type TokenKey } from '../../server/token-key.ts';
import { type Allowance, allowanceOf } from '../../server/tokens/allowance.ts';
import { attenuateToken, openToken } from '../../server/tokens/make.ts';
import type { Token } from '../../server/tokens/token.ts';
import type { Context } from '../context.ts';
import { usageError } from '../failure.ts';
import { readInput } from '../files.ts';
import { relativeTime, table } from '../text.ts';
import { readToken } from '../token-input.ts';
import { boundsOf, type TokenOptions } from '../token-options.ts';

export async function attenuate(context: Context, options: TokenOptions): Promise<void> {
  const { scope, ttl } = options;
  const now = Math.floor(context.io.now() / 1000);
  const caveats = [
    ...(scope === undefined ? [] : [{ operations: [...new Set(scope)] }]),
    ...boundsOf(options),
    ...(ttl === undefined ? [] : [{ expires: now + ttl }]),
  ];
  if (caveats.length === 0)
    throw usageError('expected an option that narrows the token, such as --scope, got none');
  const token = await attenuateToken(await readToken(context), caveats);
  const opened = await openToken(token);
  const { operations } = allowanceOf(opened);
  if (operations.length === 0)
    throw new RegistryError(
      'invalid_request',
      'expected a token that still allows something, got one that allows nothing: `quorate token inspect` shows what it allowed',
    );
  const expiresAt = formatTime(opened.expires * 1000);
  await (context.globals.isJson
    ? context.printJson({
        token,
        expires_at: expiresAt,
        revocation_ids: opened.revocationIds,
      })
    : context.print(token));
  await context.say(`valid until ${expiresAt}; for ${operations.join(', ')}`);
}

export async function inspect(context: Context, { key: given }: { key?: string }): Promise<void> {
  const key = given === undefined ? undefined : await readTokenKey(context, given);
  const token = await openToken(await readToken(context), key);
  const shown = { token, allowance: allowanceOf(token), key };
  await (context.globals.isJson
    ? context.printJson(inspectionJson(shown))
    : context.print(inspectionText(shown, context)));
}

/** `given`: the key, or a file that holds it. */
async function readTokenKey({ io }: Context, given: string): Promise<TokenKey> {
  const text = given.startsWith('ed25519/') ? given : (await readInput(io, given)).trim();
  const [key, ...others] = parseTokenKeys(text) ?? [];
  if (key === undefined || others.length > 0)
    throw usageError(`expected --key with ed25519/ and 64 hex digits, got ${escapeText(given)}`);
  return key;
}

interface Shown {
  readonly token: Token;
  readonly allowance: Allowance;
  /** `undefined`: nobody checked who signed it. */
  readonly key: TokenKey | undefined;
}

function inspectionJson({ token, allowance, key }: Shown): object {
  const { registry, operations, kinds, idPrefix, proposals, issued, expires } = allowance;
  return {
    registry,
    scopes: operations,
    kinds,
    id_prefix: idPrefix,
    proposals,
    issued_at: formatTime(issued * 1000),
    expires_at: formatTime(expires * 1000),
    revocation_ids: token.revocationIds,
    signed_by: key ?? null,
  };
}

function inspectionText(
  { token, allowance, key }: Shown,
  { io, style }: Pick<Context, 'io' | 'style'>,
): string {
  const { registry, operations, kinds, idPrefix, proposals, issued, expires } = allowance;
  const expiry = `${formatTime(expires * 1000)}, ${relativeTime(expires * 1000, io.now())}`;
  const isExpired = expires * 1000 <= io.now();
  const [first, ...others] = token.revocationIds;
  return table([
    ['registry', registry],
    ['allows', operations.join(', ') || style('bad', 'nothing: its blocks exclude each other')],
    ...(kinds === null ? [] : [['kinds', kinds.join(', ')]]),
    ...(idPrefix === null ? [] : [['ids', `${idPrefix}...`]]),
    ...(proposals ?? []).map((proposal) => ['proposal', proposal]),
    ['issued', formatTime(issued * 1000)],
    ['expires', isExpired ? style('bad', expiry) : expiry],
    ['signature', signatureText(key)],
    ['revoked by', first],
    ...others.map((id) => ['or by', id]),
  ]);
}

function signatureText(key: TokenKey | undefined): string {
  if (key !== undefined) return `by ${key}`;
  return 'not checked: anybody may have written this; --key checks it';
}
