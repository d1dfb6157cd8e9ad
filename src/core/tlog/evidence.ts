/**
 * Proof that a log showed two histories: two checkpoints that its keys signed and that no one log can
 * have both. Checked without the log, so that whoever is handed it need not believe who saw it.
 */
import { decodeBase64, encodeBase64, encodeUtf8, isEqualBytes, parseBase64 } from '../bytes.ts';
import { canonicalText, type Json, parseCanonical } from '../canonical.ts';
import { Check, type TextRule } from '../check.ts';
import { escapeText, RegistryError } from '../error.ts';
import type { VerifierKey } from '../vkey.ts';
import { foldInclusion } from './merkle.ts';
import {
  type NoteVerifier,
  readSignedCheckpoint,
  type SignedCheckpoint,
  signersOf,
} from './note-signatures.ts';

const SCHEMA = 'quorate/evidence/v1';
/** Two notes of the largest size, their escapes, and a proof. */
export const MAX_EVIDENCE_BYTES = 4 * 1024 * 1024;
const LIMITS = { maxDepth: 8, maxTokens: 10_000 } as const;

export interface ForkEvidence {
  readonly origin: string;
  /** Verifier keys that the reader who saw it held for the log's: a hint, not a reason to believe. */
  readonly logKeys: readonly string[];
  /** Signed notes; `newer` is of the same size or a larger one. */
  readonly older: string;
  readonly newer: string;
  /** Where sizes differ: the last leaf of the older size as it stands in the newer tree. */
  readonly proof: LeafProof | null;
}

export interface LeafProof {
  /** 32 bytes: the leaf's hash in the tree. */
  readonly leaf: Uint8Array;
  /** Of inclusion in the newer tree, the leaf's sibling first. */
  readonly inclusion: readonly Uint8Array[];
}

export interface EvidenceVerdict {
  readonly isProven: boolean;
  /** What was proven, or what is missing for a proof. */
  readonly reason: string;
  /** Leaves under each note. */
  readonly sizes: readonly [older: number, newer: number];
  /** Of the keys asked about, those that signed each note. */
  readonly signers: readonly [older: readonly VerifierKey[], newer: readonly VerifierKey[]];
}

const check = new Check('malformed');
const TEXT: TextRule = { expected: 'text', test: () => true };
const HASH: TextRule = {
  expected: 'base64 of 32 bytes',
  test: (text) => decodeBase64(text)?.length === 32,
};

export function encodeEvidence({ origin, logKeys, older, newer, proof }: ForkEvidence): string {
  return canonicalText({
    schema: SCHEMA,
    origin,
    log_keys: logKeys,
    older,
    newer,
    ...(proof !== null && {
      proof: { leaf: encodeBase64(proof.leaf), inclusion: proof.inclusion.map(encodeBase64) },
    }),
  });
}

/** Checks the form and nothing else. Throws `malformed`. */
export function decodeEvidence(text: string): ForkEvidence {
  const bytes = encodeUtf8(text.trimEnd());
  if (bytes.length > MAX_EVIDENCE_BYTES)
    check.fail('', `at most ${MAX_EVIDENCE_BYTES} bytes`, bytes.length);
  const document = parseCanonical(bytes, LIMITS);
  const hasProof = Object.hasOwn(check.object(document, ''), 'proof');
  const names = ['log_keys', 'newer', 'older', 'origin', 'schema', ...(hasProof ? ['proof'] : [])];
  const object = check.members(document, '', names);
  check.literal(object.schema, '/schema', SCHEMA);
  return {
    origin: check.text(object.origin, '/origin', TEXT),
    logKeys: check
      .array(object.log_keys, '/log_keys', { min: 0, max: 16 })
      .map((key, i) => check.text(key, `/log_keys/${i}`, TEXT)),
    older: check.text(object.older, '/older', TEXT),
    newer: check.text(object.newer, '/newer', TEXT),
    proof: hasProof ? readLeafProof(object.proof) : null,
  };
}

/**
 * Whether holders of `keys`, and nobody else, made two histories. Never throws for what the evidence
 * says: what is no proof is a verdict.
 */
export async function judgeEvidence(
  evidence: ForkEvidence,
  keys: readonly VerifierKey[],
  verifier: NoteVerifier,
): Promise<EvidenceVerdict> {
  const { origin, proof } = evidence;
  const rules = { origin, keys, verifier };
  const older = await readSide('older', evidence.older, rules);
  const newer = await readSide('newer', evidence.newer, rules);
  const reason = judgeSides({ older, newer, proof });
  return {
    isProven: reason.isProven,
    reason: reason.text,
    sizes: [older.checkpoint?.size ?? 0, newer.checkpoint?.size ?? 0],
    signers: [older.signers, newer.signers],
  };
}

interface Reason {
  readonly isProven: boolean;
  readonly text: string;
}

/** A note; `fault`: why it is no checkpoint of this log by one of the keys. */
type Side = { readonly signers: readonly VerifierKey[] } & (
  | { readonly fault: undefined; readonly checkpoint: SignedCheckpoint }
  | { readonly fault: string; readonly checkpoint: SignedCheckpoint | undefined }
);

async function readSide(
  which: string,
  note: string,
  {
    origin,
    keys,
    verifier,
  }: {
    readonly origin: string;
    readonly keys: readonly VerifierKey[];
    readonly verifier: NoteVerifier;
  },
): Promise<Side> {
  let checkpoint: SignedCheckpoint | undefined;
  try {
    checkpoint = readSignedCheckpoint(note);
    const signers = [...(await signersOf(checkpoint, keys, verifier)).keys()];
    const fault =
      (checkpoint.origin !== origin &&
        `is of ${escapeText(checkpoint.origin)}, not of ${escapeText(origin)}`) ||
      (signers.length === 0 && 'is signed by none of the keys');
    if (fault === false) return { checkpoint, signers, fault: undefined };
    return { checkpoint, signers, fault: `the ${which} note ${fault}` };
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    const fault = `the ${which} note is no checkpoint of this log: ${error.message}`;
    return { checkpoint, signers: [], fault };
  }
}

function judgeSides({
  older,
  newer,
  proof,
}: {
  readonly older: Side;
  readonly newer: Side;
  readonly proof: LeafProof | null;
}): Reason {
  if (older.fault !== undefined) return unproven(older.fault);
  if (newer.fault !== undefined) return unproven(newer.fault);
  return contradiction(older.checkpoint, newer.checkpoint, proof);
}

function contradiction(
  older: SignedCheckpoint,
  newer: SignedCheckpoint,
  proof: LeafProof | null,
): Reason {
  if (older.size > newer.size)
    return unproven(`the older note is of ${older.size} leaves, the newer one of ${newer.size}`);
  if (older.size === newer.size) {
    if (isEqualBytes(older.root, newer.root)) return unproven('both notes have the same root');
    return proven(`two roots were signed for ${older.size} leaves`);
  }
  if (proof === null || older.size === 0)
    return unproven('nothing says how the newer tree continues the older one');
  const folded = foldInclusion({
    record: proof.leaf,
    index: older.size - 1,
    size: newer.size,
    proof: proof.inclusion,
  });
  if (folded === undefined || !isEqualBytes(folded.root, newer.root))
    return unproven('the leaf is not proven to be in the newer tree');
  if (isEqualBytes(folded.prefixRoot, older.root))
    return unproven('the newer tree continues the older one');
  return proven(
    `the first ${older.size} leaves of the signed tree of ${newer.size} are not the signed tree of ${older.size}`,
  );
}

function proven(text: string): Reason {
  return { isProven: true, text };
}

function unproven(text: string): Reason {
  return { isProven: false, text };
}

function readLeafProof(value: Json | undefined): LeafProof {
  const { leaf, inclusion } = check.members(value, '/proof', ['inclusion', 'leaf']);
  return {
    leaf: hashAt(leaf, '/proof/leaf'),
    inclusion: check
      .array(inclusion, '/proof/inclusion', { min: 0, max: 63 })
      .map((hash, i) => hashAt(hash, `/proof/inclusion/${i}`)),
  };
}

function hashAt(value: Json | undefined, pointer: string): Uint8Array {
  return parseBase64(check.text(value, pointer, HASH));
}
