/**
 * Who may sign, how many must, and which keys sign checkpoints; and the rules by which one governance
 * may follow another. Whether enough signers approved is `quorum`'s question.
 */

import { encodeBase64 } from './bytes.ts';
import { canonicalBytes, type Json } from './canonical.ts';
import { Check, SIGNER_ID } from './check.ts';
import { RegistryError } from './error.ts';
import { type Hash, hashOf } from './hash.ts';
import { parseVerifierKey } from './vkey.ts';

export const MAX_SIGNERS = 255;

export interface Signer {
  readonly signer_id: string;
  readonly algo: 'ed25519';
  /** Base64 of 32 bytes. */
  readonly public_key: string;
}

export interface Governance {
  /** 1 at genesis, then one more with each governance entry. */
  readonly version: number;
  readonly threshold: number;
  /** Sorted by `signer_id`. */
  readonly signers: readonly Signer[];
  /** 1 to 4 C2SP verifier keys, named after the origin, at least one of them Ed25519. */
  readonly log_keys: readonly string[];
}

/** What every signer id ever named, `signer_id` to base64 key: an id never gets a second key. */
export type SignerKeys = ReadonlyMap<string, string>;

/** Reads the `governance` member of a payload for `origin`; throws `invalid_payload`. */
export function readGovernance(
  value: Json | undefined,
  pointer: string,
  origin: string,
): Governance {
  const check = new Check('invalid_payload');
  const object = check.members(value, pointer, ['log_keys', 'signers', 'threshold', 'version']);
  const signers = check
    .array(object.signers, `${pointer}/signers`, { min: 1, max: MAX_SIGNERS })
    .map((signer, i) => readSigner(check, signer, `${pointer}/signers/${i}`));
  signers.forEach((signer, i) => {
    const before = signers[i - 1];
    if (before !== undefined && before.signer_id >= signer.signer_id)
      check.fail(
        `${pointer}/signers/${i}`,
        'signers sorted by signer_id, each once',
        signer.signer_id,
      );
  });
  assertDistinct(
    check,
    signers.map((s) => s.public_key),
    `${pointer}/signers`,
    'one key for each signer',
  );
  const logKeys = readLogKeys(check, object.log_keys, `${pointer}/log_keys`, origin);
  const shared = logKeys.find((key) => signers.some((s) => isKeyOf(key, s)));
  if (shared !== undefined)
    check.fail(`${pointer}/log_keys`, 'log keys that are no signer keys', shared);
  return {
    version: check.integer(object.version, `${pointer}/version`, { min: 1 }),
    threshold: check.integer(object.threshold, `${pointer}/threshold`, {
      min: 1,
      max: signers.length,
    }),
    signers,
    log_keys: logKeys,
  };
}

/** What a governance payload must name in `replaces`. */
export function governanceHash(governance: Governance): Hash {
  return hashOf(canonicalBytes(governance));
}

/** Throws `invalid_governance` unless `next` may follow `current`; `null` before genesis. */
export function assertSuccession(
  current: Governance | null,
  next: Governance,
  keys: SignerKeys,
): void {
  const version = (current?.version ?? 0) + 1;
  if (next.version !== version)
    throw new RegistryError(
      'invalid_governance',
      `expected governance version ${version}, got ${next.version}`,
    );
  for (const { signer_id, public_key } of next.signers) {
    const known = keys.get(signer_id);
    if (known !== undefined && known !== public_key)
      throw new RegistryError(
        'invalid_governance',
        `expected ${signer_id} to keep its key ${known}, got ${public_key}: give a rotated key a new signer id`,
        { details: { signer_id } },
      );
  }
}

/** `keys` with the signers of `governance` added. */
export function withSigners(keys: SignerKeys, governance: Governance): SignerKeys {
  return new Map([...keys, ...governance.signers.map((s) => [s.signer_id, s.public_key] as const)]);
}

function readSigner(check: Check, value: Json, pointer: string): Signer {
  const object = check.members(value, pointer, ['algo', 'public_key', 'signer_id']);
  return {
    signer_id: check.text(object.signer_id, `${pointer}/signer_id`, SIGNER_ID),
    algo: check.literal(object.algo, `${pointer}/algo`, 'ed25519'),
    public_key: check.base64(object.public_key, `${pointer}/public_key`, 32),
  };
}

function readLogKeys(
  check: Check,
  value: Json | undefined,
  pointer: string,
  origin: string,
): string[] {
  const keys = check.array(value, pointer, { min: 1, max: 4 }).map((key, i) => {
    const parsed = typeof key === 'string' ? parseVerifierKey(key) : undefined;
    if (typeof key !== 'string' || parsed?.name !== origin || parsed.type === 'cosigner')
      return check.fail(
        `${pointer}/${i}`,
        `a c2sp verifier key (ed25519 or ml-dsa-44) named ${origin}`,
        key,
      );
    return key;
  });
  assertDistinct(check, keys, pointer, 'each log key once');
  // Every C2SP client can check this one; ml-dsa-44 stands beside it.
  if (!keys.some((key) => parseVerifierKey(key)?.type === 'ed25519'))
    check.fail(pointer, 'an ed25519 log key among them', keys.length);
  return keys;
}

function isKeyOf(vkey: string, { public_key }: Signer): boolean {
  const key = parseVerifierKey(vkey)?.publicKey;
  return key !== undefined && encodeBase64(key) === public_key;
}

function assertDistinct(
  check: Check,
  values: readonly string[],
  pointer: string,
  expected: string,
): void {
  const twice = values.find((value, i) => values.indexOf(value) !== i);
  if (twice !== undefined) check.fail(pointer, expected, twice);
}
