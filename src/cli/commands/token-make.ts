/** `quorate token keygen` and `mint`: what whoever runs a registry does with the token key. */

import { formatTime } from '../../core/time.ts';
import { formatTokenKey } from '../../server/token-key.ts';
import { mintToken, openToken } from '../../server/tokens/make.ts';
import type { Context } from '../context.ts';
import { usageError } from '../failure.ts';
import { createKeyFile, isOpenToOthers, readKeyFile } from '../key-file.ts';
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
  const publicPath = `${path.replace(/\.pem$/, '')}.pub`;
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
  await (context.globals.isJson
    ? context.printJson({ token, expires_at: expiresAt, revocation_ids: revocationIds })
    : context.print(token));
  await context.say(`valid until ${expiresAt}; revocation id ${revocationIds[0]}`);
}
