/**
 * A registry in memory for tests of `core`: signers with fixed seeds, payloads with sensible members,
 * and appends that need one line. Signs with node:crypto, so that core's own curve code checks
 * signatures that it did not make.
 */
import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { type Approval, approvalStatement } from '../../src/core/approval.ts';
import { encodeBase64 } from '../../src/core/bytes.ts';
import { canonicalBytes } from '../../src/core/canonical.ts';
import { type Appended, appendEntry, type Chain } from '../../src/core/chain.ts';
import { descriptorPath } from '../../src/core/descriptor.ts';
import { type Governance, governanceHash } from '../../src/core/governance.ts';
import { formatHash, type Hash } from '../../src/core/hash.ts';
import { type DecodedPayload, decodePayload, registryOf } from '../../src/core/payload.ts';
import { formatTime } from '../../src/core/time.ts';
import { encodeVerifierKey } from '../../src/core/vkey.ts';

export const ORIGIN = 'registry.example.com/prod';
export const START_MS = Date.parse('2026-11-21T09:00:00.000Z');

export interface TestSigner {
  readonly signer_id: string;
  readonly privateKey: KeyObject;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** Base64 of `publicKey`. */
  readonly public_key: string;
}

const PKCS8_ED25519 = Buffer.from('302e020100300506032b657004220420', 'hex');

export function keyFromSeed(seed: Uint8Array): KeyObject {
  const der = Buffer.concat([PKCS8_ED25519, seed]);
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
}

/** 32 bytes. */
export function publicKeyOf(privateKey: KeyObject): Uint8Array {
  const der = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  return Uint8Array.from(der.subarray(-32));
}

/** `seed` fills all 32 bytes of the seed. */
export function makeSigner(signerId: string, seed: number): TestSigner {
  const privateKey = keyFromSeed(new Uint8Array(32).fill(seed));
  const publicKey = publicKeyOf(privateKey);
  return { signer_id: signerId, privateKey, publicKey, public_key: encodeBase64(publicKey) };
}

export const ALICE = makeSigner('org:acme#alice', 1);
export const BOB = makeSigner('org:acme#bob', 2);
export const CAROL = makeSigner('org:acme#carol', 3);
export const DAVE = makeSigner('org:acme#dave', 4);

export function logKey(origin: string = ORIGIN, seed = 200): string {
  const publicKey = makeSigner('org:log#key', seed).publicKey;
  return encodeVerifierKey({ name: origin, publicKey });
}

export function governanceOf(
  signers: readonly { readonly signer_id: string; readonly public_key: string }[],
  members: Partial<Governance> = {},
): Governance {
  const sorted = [...signers].sort((a, b) => (a.signer_id < b.signer_id ? -1 : 1));
  return {
    version: 1,
    threshold: 2,
    signers: sorted.map(({ signer_id, public_key }) => ({
      signer_id,
      algo: 'ed25519',
      public_key,
    })),
    log_keys: [logKey()],
    ...members,
  };
}

/** Loose on purpose: tests also make payloads that must be refused. */
export type PayloadMembers = Readonly<Record<string, unknown>>;

const COMMON = {
  schema_version: '1.0.0',
  origin: ORIGIN,
  created_at: formatTime(START_MS),
  expires_at: formatTime(START_MS + 7 * 24 * 3_600_000),
  note: '',
};

export function genesisMembers(members: PayloadMembers = {}): PayloadMembers {
  return { ...COMMON, type: 'genesis', governance: governanceOf([ALICE, BOB, CAROL]), ...members };
}

export function descriptorsMembers(
  registry: Hash,
  changes: readonly unknown[],
  members: PayloadMembers = {},
): PayloadMembers {
  return { ...COMMON, type: 'descriptors', registry, changes, ...members };
}

export function governanceMembers(
  chain: Chain,
  governance: Governance,
  members: PayloadMembers = {},
): PayloadMembers {
  const replaces = governanceHash(chain.governance);
  const { registry } = chain;
  return { ...COMMON, type: 'governance', registry, governance, replaces, ...members };
}

export function supersedeMembers(
  chain: Chain,
  changes: readonly unknown[],
  members: PayloadMembers = {},
): PayloadMembers {
  const { registry, entryHash: supersedes } = chain;
  return {
    ...COMMON,
    type: 'supersede',
    registry,
    supersedes,
    reason: 'DataError',
    changes,
    ...members,
  };
}

/** `target`: the head, or a chain that the log has left behind. */
export function eraseMembers(target: Chain, members: PayloadMembers = {}): PayloadMembers {
  const { registry, entryHash: erases, version } = target;
  return {
    ...COMMON,
    type: 'erase',
    registry,
    erases,
    version,
    reason: 'PersonalData',
    ...members,
  };
}

export function decode(members: PayloadMembers): DecodedPayload {
  return decodePayload(canonicalBytes(members));
}

/** A put whose fence is what stands on `chain`. */
export function put(
  chain: Chain | null,
  id: string,
  spec: Readonly<Record<string, unknown>> = {},
): PayloadMembers {
  return { op: 'put', kind: 'service', id, spec, replaces: standing(chain, id) };
}

export function remove(chain: Chain | null, id: string): PayloadMembers {
  return { op: 'remove', kind: 'service', id, replaces: standing(chain, id) };
}

function standing(chain: Chain | null, id: string): Hash | null {
  const valueHash = chain?.set.get(descriptorPath({ kind: 'service', id }));
  return valueHash === undefined ? null : formatHash(valueHash);
}

export function approve(
  signer: TestSigner,
  proposal: DecodedPayload,
  { signedAt = formatTime(START_MS + 1000), signerId = signer.signer_id } = {},
): Approval {
  const statement = approvalStatement({
    origin: proposal.payload.origin,
    registry: registryOf(proposal),
    payloadB3: proposal.payloadB3,
    signedAt,
  });
  const signature = Uint8Array.from(sign(null, statement, signer.privateKey));
  return {
    signer_id: signerId,
    algo: 'ed25519',
    sig: encodeBase64(signature),
    signed_at: signedAt,
  };
}

export function append(
  chain: Chain | null,
  members: PayloadMembers,
  signers: readonly TestSigner[] = [ALICE, BOB],
): Appended {
  const proposal = decode(members);
  return appendEntry(chain, {
    proposal,
    approvals: signers.map((signer) => approve(signer, proposal)),
    committedAt: formatTime(START_MS + 2000 + (chain?.version ?? -1) * 1000),
    isCommitted: () => false,
  });
}

export function appendGenesis(members: PayloadMembers = {}): Appended {
  return append(null, genesisMembers(members), [ALICE, BOB, CAROL]);
}
