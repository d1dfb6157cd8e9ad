/** Signers, payloads and approvals for tests: deterministic keys from node:crypto, canonical bytes from core. */
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { type Approval, approvalStatement } from '../../src/core/approval.ts';
import { canonicalBytes, type JsonObject } from '../../src/core/canonical.ts';
import { descriptorValueHash, encodeDescriptor } from '../../src/core/descriptor.ts';
import type { Governance, Signer } from '../../src/core/governance.ts';
import { governanceHash } from '../../src/core/governance.ts';
import { formatHash, type Hash } from '../../src/core/hash.ts';
import {
  type Change,
  compareKeys,
  type DecodedPayload,
  decodePayload,
  registryOf,
} from '../../src/core/payload.ts';
import { encodeVerifierKey } from '../../src/core/vkey.ts';
import type { CheckpointSigner } from '../../src/registry/options.ts';

export const ORIGIN = 'registry.example.com/test';
export const START = Date.parse('2026-11-21T09:00:00.000Z');

export interface TestSigner {
  readonly signer: Signer;
  approve(proposal: DecodedPayload, signedAt?: string): Approval;
}

/** The same name gives the same key. */
export function makeSigner(name: string): TestSigner {
  const { publicKey, sign: signBytes } = keyOf(name);
  const signer: Signer = {
    signer_id: `org:acme#${name}`,
    algo: 'ed25519',
    public_key: publicKey.toString('base64'),
  };
  return {
    signer,
    approve: (proposal, signedAt = proposal.payload.created_at) => {
      const { payload, payloadB3 } = proposal;
      const statement = {
        origin: payload.origin,
        registry: registryOf(proposal),
        payloadB3,
        signedAt,
      };
      const sig = signBytes(approvalStatement(statement)).toString('base64');
      return { signer_id: signer.signer_id, algo: 'ed25519', sig, signed_at: signedAt };
    },
  };
}

export function makeSigners(count: number): TestSigner[] {
  return Array.from({ length: count }, (_, i) =>
    makeSigner(`signer-${String(i).padStart(3, '0')}`),
  );
}

/** The key that `makeGovernance` lists. */
export const LOG_SIGNER = makeLogSigner('log');

export function makeLogSigner(name: string): CheckpointSigner {
  const key = keyOf(name);
  return {
    type: 'ed25519',
    publicKey: Uint8Array.from(key.publicKey),
    sign: async (message) => Uint8Array.from(key.sign(message)),
  };
}

export function makeGovernance(
  signers: readonly TestSigner[],
  {
    threshold,
    version = 1,
    origin = ORIGIN,
  }: { threshold: number; version?: number; origin?: string },
): Governance {
  return {
    version,
    threshold,
    signers: signers.map((s) => s.signer).sort((a, b) => (a.signer_id < b.signer_id ? -1 : 1)),
    log_keys: [encodeVerifierKey({ name: origin, publicKey: LOG_SIGNER.publicKey })],
  };
}

interface Envelope {
  readonly origin?: string;
  /** Milliseconds since 1970. */
  readonly createdAt?: number;
  readonly lifetimeMs?: number;
  readonly note?: string;
}

export function genesisPayload(governance: Governance, envelope: Envelope = {}): DecodedPayload {
  return payloadOf({ ...common(envelope), type: 'genesis', governance });
}

export function descriptorsPayload(
  registry: Hash,
  changes: readonly Change[],
  envelope: Envelope = {},
): DecodedPayload {
  return payloadOf({
    ...common(envelope),
    type: 'descriptors',
    registry,
    changes: [...changes].sort(compareKeys),
  });
}

export function governancePayload(
  registry: Hash,
  { next, current }: { next: Governance; current: Governance },
  envelope: Envelope = {},
): DecodedPayload {
  return payloadOf({
    ...common(envelope),
    type: 'governance',
    registry,
    governance: next,
    replaces: governanceHash(current),
  });
}

export function supersedePayload(
  registry: Hash,
  { supersedes, changes = [] }: { supersedes: Hash; changes?: readonly Change[] },
  envelope: Envelope = {},
): DecodedPayload {
  return payloadOf({
    ...common(envelope),
    type: 'supersede',
    registry,
    supersedes,
    reason: 'DataError',
    changes: [...changes].sort(compareKeys),
  });
}

export function erasePayload(
  registry: Hash,
  { erases, version }: { readonly erases: Hash; readonly version: number },
  envelope: Envelope = {},
): DecodedPayload {
  return payloadOf({
    ...common(envelope),
    type: 'erase',
    registry,
    erases,
    version,
    reason: 'PersonalData',
  });
}

export function valueHashOf(descriptor: { kind: string; id: string; spec: JsonObject }): Hash {
  return formatHash(descriptorValueHash(encodeDescriptor(descriptor)));
}

function common({
  origin = ORIGIN,
  createdAt = START,
  lifetimeMs = 7 * 24 * 3_600_000,
  note = '',
}: Envelope) {
  return {
    created_at: new Date(createdAt).toISOString(),
    expires_at: new Date(createdAt + lifetimeMs).toISOString(),
    note,
    origin,
    schema_version: '1.0.0',
  };
}

function payloadOf(value: object): DecodedPayload {
  return decodePayload(canonicalBytes(value));
}

function keyOf(name: string): { publicKey: Buffer; sign: (bytes: Uint8Array) => Buffer } {
  const privateKey = privateKeyOf(name);
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  return { publicKey: spki.subarray(-32), sign: (bytes) => sign(null, bytes, privateKey) };
}

/** What `makeSigner` and `makeLogSigner` sign with. */
export function privateKeyOf(name: string): KeyObject {
  const seed = createHash('sha256').update(name).digest();
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
}
