/**
 * An offline bundle: entries of a log, the governance that leads to them and a cosigned checkpoint that
 * holds them all, in one file. It is checked from a pin alone, without the log. What no single entry
 * shows (fences, the set) is vouched for by the checkpoint.
 */
import { assertApprovals, assertApproved } from './approved.ts';
import { decodeBase64, encodeBase64 } from './bytes.ts';
import { canonicalBytes, type Json, parseCanonical } from './canonical.ts';
import { type DecodedEntry, decodeEntry, verifyEntry } from './chain.ts';
import { Check, type TextRule } from './check.ts';
import { RegistryError } from './error.ts';
import { type Hash, hashOf } from './hash.ts';
import type { JsonLimits } from './json-scan.ts';
import { type EntryBytes, entryHash, type Leaf } from './leaf.ts';
import {
  assertBelongs,
  assertUnexpired,
  type Lineage,
  nextGovernance,
  withNamedSigners,
} from './rules.ts';
import { isIncluded, recordHash } from './tlog/merkle.ts';
import {
  type NoteVerifier,
  readSignedCheckpoint,
  type SignedCheckpoint,
  signersOf,
} from './tlog/note-signatures.ts';
import type { Verifier } from './verifier.ts';
import { parseLogKeys, type VerifierKey } from './vkey.ts';

export const BUNDLE_SCHEMA = 'quorate/bundle/v1';
/** Payloads of 1 MiB and what stands beside them. */
export const MAX_BUNDLE_BYTES = 64 * 1024 * 1024;
const LIMITS: JsonLimits = { maxDepth: 40, maxTokens: 10_000_000 };

export interface BundledEntry extends EntryBytes {
  /** Of inclusion in the checkpoint, the leaf's sibling first, 32 bytes each. */
  readonly proof: readonly Uint8Array[];
}

export interface BundleFile {
  /** A signed checkpoint with its cosignatures. */
  readonly checkpoint: string;
  /** Ascending. The first set a governance: genesis, or where the reader's pin stands. */
  readonly entries: readonly BundledEntry[];
}

export interface ProvenEntry extends DecodedEntry {
  readonly entryHash: Hash;
}

/** What a bundle proves. */
export interface VerifiedBundle {
  readonly checkpoint: SignedCheckpoint;
  /** Log keys in force that signed it. */
  readonly logKeys: readonly VerifierKey[];
  readonly entries: readonly ProvenEntry[];
  /** After the newest of them; its governance is that in force at the checkpoint. */
  readonly lineage: Lineage;
}

export interface BundleInput {
  /** The registry; for a bundle that begins later the entry hash of its first entry. */
  readonly pin: Hash;
  readonly verifier: Verifier & NoteVerifier;
}

const check = new Check('malformed');
const TEXT: TextRule = { expected: 'text', test: () => true };

export function encodeBundleFile({ checkpoint, entries }: BundleFile): Uint8Array {
  return canonicalBytes({
    schema: BUNDLE_SCHEMA,
    checkpoint,
    entries: entries.map(({ approvals, leaf, payload, proof }) => ({
      approvals: parseCanonical(approvals, LIMITS),
      leaf: parseCanonical(leaf, LIMITS),
      payload: parseCanonical(payload, LIMITS),
      proof: proof.map(encodeBase64),
    })),
  });
}

/** Checks nothing but the form. Throws `too_large`, `malformed` and what `parseCanonical` throws. */
export function parseBundleFile(bytes: Uint8Array): BundleFile {
  if (bytes.length > MAX_BUNDLE_BYTES)
    throw new RegistryError(
      'too_large',
      `expected a bundle of at most ${MAX_BUNDLE_BYTES} bytes, got ${bytes.length}`,
    );
  const document = parseCanonical(bytes, LIMITS);
  check.literal(check.object(document, '').schema, '/schema', BUNDLE_SCHEMA);
  const object = check.members(document, '', ['checkpoint', 'entries', 'schema']);
  return {
    checkpoint: check.text(object.checkpoint, '/checkpoint', TEXT),
    entries: check
      .array(object.entries, '/entries', { min: 1, max: 10_000 })
      .map((entry, i) => readBundledEntry(entry, `/entries/${i}`)),
  };
}

/** The whole is canonical, so each part written again is the part as it was hashed. */
function readBundledEntry(value: Json, pointer: string): BundledEntry {
  const object = check.members(value, pointer, ['approvals', 'leaf', 'payload', 'proof']);
  const proof = check
    .array(object.proof, `${pointer}/proof`, { min: 0, max: 63 })
    .map((hash, i) => decodeBase64(check.base64(hash, `${pointer}/proof/${i}`, 32)));
  return {
    approvals: canonicalBytes(object.approvals),
    leaf: canonicalBytes(object.leaf),
    payload: canonicalBytes(object.payload),
    proof: proof.filter((hash) => hash !== undefined),
  };
}

/**
 * Throws `invalid_checkpoint`, `wrong_registry` (another pin, another log), `invalid_proof` (not in the
 * checkpoint), what `verifyEntry` throws of each entry, and `invalid_signature` when no log key in force
 * signed the checkpoint. Witnesses are asked about by `assertWitnessed`.
 */
export async function verifyBundle(
  { checkpoint: note, entries }: BundleFile,
  { pin, verifier }: BundleInput,
): Promise<VerifiedBundle> {
  const checkpoint = readSignedCheckpoint(note);
  let lineage: Lineage | null = null;
  const proven: ProvenEntry[] = [];
  for (const bundled of entries) {
    const read = decodeEntry(bundled);
    lineage =
      lineage === null
        ? await begin(read, { pin, verifier })
        : await follow(lineage, read, verifier);
    assertIncluded(read.leaf, bundled, checkpoint);
    proven.push({ ...read, entryHash: lineage.entryHash });
  }
  if (lineage === null) throw new RegistryError('malformed', 'expected a first entry, got none');
  const keys = parseLogKeys(lineage.governance.log_keys);
  const logKeys = [...(await signersOf(checkpoint, keys, verifier)).keys()];
  if (logKeys.length === 0)
    throw new RegistryError(
      'invalid_signature',
      `expected the checkpoint to be signed by a log key of governance ${lineage.governance.version}, got no such signature`,
      { details: { size: checkpoint.size } },
    );
  return { checkpoint, logKeys, entries: proven, lineage };
}

function assertIncluded(leaf: Leaf, entry: BundledEntry, checkpoint: SignedCheckpoint): void {
  const { version } = leaf;
  if (leaf.origin !== checkpoint.origin)
    throw new RegistryError(
      'wrong_registry',
      `expected a checkpoint of ${leaf.origin}, got one of another log`,
      { details: { version, origin: leaf.origin } },
    );
  const { size, root } = checkpoint;
  const record = recordHash(entry.leaf);
  if (!isIncluded({ record, index: version, size, proof: entry.proof, root }))
    throw new RegistryError(
      'invalid_proof',
      `expected a proof that version ${version} is in the checkpoint of ${size} leaves, got one that does not lead to its root`,
      { details: { version, size } },
    );
}

/** The pin stands for everything up to the first entry. */
async function begin(read: DecodedEntry, { pin, verifier }: BundleInput): Promise<Lineage> {
  const { leaf, proposal, bytes } = read;
  const { payload, payloadB3 } = proposal;
  const found = payload.type === 'genesis' ? payloadB3 : entryHash(bytes.leaf);
  if (found !== pin)
    throw new RegistryError(
      'wrong_registry',
      `expected a bundle that begins at ${pin}, got one that begins at ${found}`,
    );
  if (payload.type === 'genesis')
    return (await verifyEntry(null, bytes, { verifier, isCommitted: () => false })).chain;
  if (payload.type !== 'governance')
    throw new RegistryError(
      'invalid_entry',
      `expected a first entry that set the governance, got ${payload.type}`,
    );
  assertLeaf(read, { governance_version: payload.governance.version - 1 });
  return {
    origin: leaf.origin,
    registry: payload.registry,
    version: leaf.version,
    entryHash: found,
    committedAt: leaf.committed_at,
    governance: payload.governance,
    signerKeys: withNamedSigners(new Map(), payload),
  };
}

/** An entry some way after `before`, with no entry between them that set a governance. */
async function follow(before: Lineage, read: DecodedEntry, verifier: Verifier): Promise<Lineage> {
  const { leaf, proposal, approvals, bytes } = read;
  const { payload } = proposal;
  if (leaf.version <= before.version)
    throw new RegistryError(
      'malformed',
      `expected entries in ascending order, got version ${leaf.version} after ${before.version}`,
    );
  assertBelongs(before, proposal);
  assertUnexpired(proposal, leaf.committed_at);
  await assertApprovals(before, { proposal, approvals, verifier });
  assertApproved(before.governance, { payload, approvals, committedAt: leaf.committed_at });
  const governance = nextGovernance(before, proposal);
  const isNext = leaf.version === before.version + 1;
  assertLeaf(read, {
    governance_version: before.governance.version,
    ...(isNext && { prev_hash: before.entryHash }),
    ...(payload.type === 'supersede' && { prev_hash: payload.supersedes }),
  });
  if (leaf.committed_at < before.committedAt)
    throw unlike(leaf.version, 'committed_at', `${before.committedAt} or later`, leaf.committed_at);
  return {
    ...before,
    version: leaf.version,
    entryHash: entryHash(bytes.leaf),
    committedAt: leaf.committed_at,
    governance,
    signerKeys: withNamedSigners(before.signerKeys, payload),
  };
}

/** The leaf is that of its payload and approvals, as far as these say. */
function assertLeaf({ leaf, proposal, bytes }: DecodedEntry, known: Partial<Leaf>): void {
  const { payload, payloadB3 } = proposal;
  const expected: Partial<Leaf> = {
    approvals_b3: hashOf(bytes.approvals),
    origin: payload.origin,
    payload_b3: payloadB3,
    payload_bytes: bytes.payload.length,
    type: payload.type,
    ...known,
  };
  if (leaf.prev_hash === null) throw unlike(leaf.version, 'prev_hash', 'an entry hash', null);
  for (const [name, value] of Object.entries(expected)) {
    const got = leaf[name as keyof Leaf];
    if (got !== value) throw unlike(leaf.version, name, value, got);
  }
}

function unlike(version: number, member: string, expected: unknown, got: unknown): RegistryError {
  return new RegistryError(
    'invalid_entry',
    `expected a leaf of version ${version} with ${member} ${expected}, got ${got}`,
    { details: { version, members: [member] } },
  );
}
