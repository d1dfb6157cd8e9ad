/** `quorate token keygen` and `mint`: what whoever runs a registry does with the token key. */
import { readFile } from 'node:fs/promises';
import { RegistryError } from '../../core/error.ts';
import { formatTime } from '../../core/time.ts';
import { formatTokenKey, parseTokenKeys, type TokenKey } from '../../server/token-key.ts';
import { mintToken, openToken } from '../../server/tokens/make.ts';
import type { Context } from '../context.ts';
import { usageError } from '../failure.ts';
import { createKeyFile, isOpenToOthers, readKeyFile } from '../key-file.ts';
import { ownerOf } from '../key-owner.ts';
import { knownPassphrase, newPassphrase } from '../passphrase.ts';
import { boundsOf, type TokenOptions } from '../token-options.ts';

export interface KeygenOptions {
  readonly output: string;
  readonly passphraseFile?: string;
  readonly plain?: boolean;
}

export interface MintOptions extends TokenOptions {
  readonly key: string;
  readonly passphraseFile?: string;
}

const DEFAULT_TTL_SECONDS = 24 * 60 * 60;

export async function keygen(
  context: Context,
  { output: path, passphraseFile: file, plain }: KeygenOptions,
): Promise<void> {
  const publicPath = tokenKeyPath(path);
  const publicKey = await createKeyFile({
    path,
    passphrase: plain === true ? undefined : await newPassphrase(context, { keyPath: path, file }),
    publicPath,
    publicText: (key) => `${formatTokenKey(key)}\n`,
  });
  const key = formatTokenKey(publicKey);
  await (context.globals.isJson ? context.printJson({ token_key: key }) : context.print(key));
  await context.say(`wrote ${path} (mints tokens: keep it) and ${publicPath} (for token_key)`);
}

export async function mint(context: Context, options: MintOptions): Promise<void> {
  const { registry } = context.globals;
  const { key: path, passphraseFile: file, scope, ttl = DEFAULT_TTL_SECONDS } = options;
  if (registry === undefined)
    throw usageError('expected --registry: a token is for one registry alone');
  if (scope === undefined) throw usageError('expected --scope with what the token is for');
  const key = await readKeyFile(path, () => knownPassphrase(context.io, { keyPath: path, file }));
  const owner = await ownerOf(context.io, { path, publicKey: key.publicKey });
  if (owner !== undefined)
    throw new RegistryError(
      'invalid_request',
      `expected a key for tokens alone at ${path}, got that of ${owner.name}, as ${owner.place} says: \`quorate token keygen\` makes one`,
    );
  if (await isOpenToOthers(path))
    await context.say(`warning: ${path} is open to others; chmod 600 closes it`);
  const issued = Math.floor(context.io.now() / 1000);
  const expires = issued + ttl;
  const token = await mintToken(key.privateKey, {
    registry,
    scopes: [...new Set(scope)],
    issued,
    expires,
    caveats: boundsOf(options),
  });
  const { revocationIds } = await openToken(token);
  const expiresAt = formatTime(expires * 1000);
  const tokenKey = formatTokenKey(key.publicKey);
  await (context.globals.isJson
    ? context.printJson({
        token,
        token_key: tokenKey,
        expires_at: expiresAt,
        revocation_ids: revocationIds,
      })
    : context.print(token));
  await context.say(`valid until ${expiresAt}; revocation id ${revocationIds[0]}`);
  if (!(await isBeside(path, tokenKey)))
    await context.say(`for registries whose token_key has ${tokenKey}`);
}

/** `token.pem` to `token.pub`. */
function tokenKeyPath(keyPath: string): string {
  return `${keyPath.replace(/\.pem$/, '')}.pub`;
}

async function isBeside(keyPath: string, key: TokenKey): Promise<boolean> {
  const text = await readFile(tokenKeyPath(keyPath), 'utf8').catch(() => '');
  return parseTokenKeys(text.trim())?.includes(key) === true;
}
