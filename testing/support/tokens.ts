/** Access tokens for tests: keys, grants and attempts that agree unless a test says otherwise, and tokens no honest tool makes. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { TestContext } from 'node:test';
import { hashOf } from '../../src/core/hash.ts';
import type { Attempt, Authority } from '../../src/http/authority.ts';
import { type Config, loadConfig } from '../../src/server/config.ts';
import { formatTokenKey, type TokenKey } from '../../src/server/token-key.ts';
import { openAuthority, type TokenAuthority } from '../../src/server/tokens/authority.ts';
import { type Biscuit, loadLibrary } from '../../src/server/tokens/biscuit.ts';
import { type Grant, SCOPES } from '../../src/server/tokens/datalog.ts';
import { mintToken } from '../../src/server/tokens/make.ts';
import { decodeToken, encodeToken } from '../../src/server/tokens/token.ts';
import type { Log, LogFields } from '../../src/telemetry/log.ts';
import { START } from './signers.ts';
import { TestTimers } from './timers.ts';

export interface TestTokenKey {
  readonly privateKey: KeyObject;
  readonly key: TokenKey;
}

export function makeTokenKey(): TestTokenKey {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const spki = publicKey.export({ format: 'der', type: 'spki' });
  return { privateKey, key: formatTokenKey(spki.subarray(-32)) };
}

export const REGISTRY = hashOf(new TextEncoder().encode('registry'));
export const PROPOSAL = hashOf(new TextEncoder().encode('proposal'));
export const OTHER = hashOf(new TextEncoder().encode('other'));

/** Unix seconds: when tokens are minted. */
export const ISSUED = START / 1000;
export const HOUR = 3600;

/** Every scope, for an hour. */
export function grantOf(changed: Partial<Grant> = {}): Grant {
  return {
    registry: REGISTRY,
    scopes: SCOPES,
    issued: ISSUED,
    expires: ISSUED + HOUR,
    caveats: [],
    ...changed,
  };
}

export function mint(key: TestTokenKey, changed: Partial<Grant> = {}): Promise<string> {
  return mintToken(key.privateKey, grantOf(changed));
}

export function attemptOf(changed: Partial<Attempt> = {}): Attempt {
  return {
    operation: 'propose',
    registry: REGISTRY,
    proposal: PROPOSAL,
    kinds: ['route', 'service'],
    idPrefix: 'acme/web',
    ...changed,
  };
}

export interface LogRecord {
  readonly level: keyof Log;
  readonly message: string;
  readonly fields: LogFields;
}

export interface TestAuthority extends TokenAuthority {
  readonly timers: TestTimers;
  readonly records: readonly LogRecord[];
  authority(): Authority;
  /** As a reload would. */
  prepareTokens(tokens: Config['tokens']): Promise<() => void>;
  /** `allowed`, or the code of the error. */
  ask(token: string, attempt?: Attempt): Promise<string>;
}

export async function openTestAuthority(
  t: TestContext,
  tokens: Partial<Config['tokens']>,
): Promise<TestAuthority> {
  const timers = new TestTimers(START);
  const records: LogRecord[] = [];
  const at =
    (level: keyof Log) =>
    (message: string, fields: LogFields = {}) =>
      void records.push({ level, message, fields });
  const log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  const opened = await openAuthority(
    { tokens: { keys: [], revocations: null, ...tokens } },
    { log, timers, now: () => timers.now() },
  );
  t.after(() => opened.close());
  const authority = () => opened.current() ?? missing();
  const ask = async (token: string, attempt = attemptOf()) => {
    try {
      await (await authority().authenticate(token)).authorize(attempt);
      return 'allowed';
    } catch (error) {
      return error instanceof Error && 'code' in error ? String(error.code) : String(error);
    }
  };
  const prepareTokens = (next: Config['tokens']) =>
    opened.prepare({ ...loadConfig(), tokens: next });
  return { ...opened, timers, records, authority, prepareTokens, ask };
}

function missing(): never {
  throw new Error('expected an authority');
}

/** A first block of any Datalog, signed by `key`. */
export async function mintRaw({ privateKey }: TestTokenKey, source: string): Promise<string> {
  const { d = '' } = privateKey.export({ format: 'jwk' });
  const bytes = Buffer.from(d, 'base64url');
  return (await loadLibrary()).use((biscuit) => {
    using key = biscuit.PrivateKey.fromBytes(bytes, biscuit.SignatureAlgorithm.Ed25519);
    const builder = biscuit.Biscuit.builder();
    builder.addCode(source);
    using token = builder.build(key);
    return encodeToken(token.toBytes());
  });
}

type OpenToken = Biscuit['Biscuit']['prototype'];

/** The token after `change`, which is given the library and the token as it opens it. */
export async function rebuilt(
  text: string,
  { key }: Pick<TestTokenKey, 'key'>,
  change: (token: OpenToken, biscuit: Biscuit) => OpenToken,
): Promise<string> {
  const bytes = Buffer.from(key.slice('ed25519/'.length), 'hex');
  return (await loadLibrary()).use((biscuit) => {
    using publicKey = biscuit.PublicKey.fromBytes(bytes, biscuit.SignatureAlgorithm.Ed25519);
    using token = biscuit.Biscuit.fromBytes(decodeToken(text), publicKey);
    using changed = change(token, biscuit);
    return encodeToken(changed.toBytes());
  });
}

/** One more block of any Datalog. */
export function appendRaw(
  text: string,
  key: Pick<TestTokenKey, 'key'>,
  source: string,
): Promise<string> {
  return rebuilt(text, key, (token, biscuit) => {
    using block = biscuit.Biscuit.block_builder();
    block.addCode(source);
    return token.appendBlock(block);
  });
}
