/** Whose access tokens open the write routes: keys and revocations as the settings name them, now and after a reload. */
import type { Authority } from '../../http/authority.ts';
import type { Log } from '../../telemetry/log.ts';
import type { Config } from '../config.ts';
import type { Reloadable } from '../reload.ts';
import { TIMERS } from '../timers.ts';
import type { TokenKey } from '../token-key.ts';
import { loadLibrary } from './biscuit.ts';
import { KeyedAuthority } from './keyed-authority.ts';
import { RevocationFile } from './revocation-file.ts';
import { readRevocations } from './revocations.ts';
import { assertTokenKey } from './token.ts';

export interface TokenAuthority extends Reloadable {
  /** `undefined` while no token key is configured. */
  current(): Authority | undefined;
  close(): void;
}

export interface AuthorityParts {
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Default: Node's. */
  readonly timers?: typeof TIMERS;
}

type TokenConfig = Pick<Config, 'tokens'>;

/** Throws `invalid_request`: a key that is none, a list of revocations that cannot be read. */
export async function openAuthority(
  config: TokenConfig,
  { log, now, timers = TIMERS }: AuthorityParts,
): Promise<TokenAuthority> {
  const revoked = new RevocationFile({ log, timers });
  let inForce: TokenConfig['tokens']['keys'] = [];
  let authority: Authority | undefined;
  const prepare = async ({ tokens: { keys, revocations: path } }: TokenConfig) => {
    const before = revoked.current;
    const read = path === null ? NOTHING : await readRevocations(path);
    const next = keys.length === 0 ? undefined : await openKeys(keys);
    return () => {
      revoked.take(path, read, before);
      inForce = keys;
      authority = next;
    };
  };
  const openKeys = async (keys: TokenConfig['tokens']['keys']) => {
    for (const key of keys) assertTokenKey(key);
    const library = await loadLibrary();
    const isKeyInForce = (key: TokenKey) => inForce.includes(key);
    const isRevoked = (id: string) => revoked.has(id);
    return new KeyedAuthority({ library, keys, log, now, isKeyInForce, isRevoked });
  };
  const apply = await prepare(config);
  apply();
  return { current: () => authority, close: () => revoked.close(), prepare };
}

const NOTHING = { ids: new Set<string>(), stamp: '' };
