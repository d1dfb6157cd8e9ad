/**
 * What it means that a log's checkpoint does not lead on from the trusted one: two histories, where
 * that can be shown to a third party, or only a proof that fails. The evidence is handed on either way.
 */
import { RegistryError } from '../core/error.ts';
import {
  encodeEvidence,
  type ForkEvidence,
  judgeEvidence,
  type LeafProof,
} from '../core/tlog/evidence.ts';
import { recordHash } from '../core/tlog/merkle.ts';
import type { NoteVerifier, SignedCheckpoint } from '../core/tlog/note-signatures.ts';
import { parseLogKeys } from '../core/vkey.ts';
import type { Answers } from './answers.ts';
import type { ClientOptions } from './client.ts';
import { orGone } from './set-before.ts';
import type { RequestBounds } from './transport.ts';
import type { TrustedState } from './trusted-state.ts';

export interface ForkParts extends Pick<ClientOptions, 'onFork'> {
  readonly answers: Answers;
  readonly verifier: NoteVerifier;
}

/**
 * The error for a signed checkpoint, no smaller than the trusted one, that contradicts it: `fork`, when both notes prove it or one
 * size has two roots, else `invalid_proof`: a server may give a wrong proof of what is right. Both
 * carry the notes.
 */
export async function contradictionOf(
  state: TrustedState,
  { newer, logKeys }: { readonly newer: SignedCheckpoint; readonly logKeys: readonly string[] },
  { answers, verifier, onFork, bounds }: ForkParts & { readonly bounds: RequestBounds },
): Promise<RegistryError> {
  const older = state.checkpoint;
  const isSameSize = older.size === newer.size;
  const proof = isSameSize
    ? null
    : await leafProof({ at: older.size, size: newer.size }, { answers, bounds });
  const evidence: ForkEvidence = {
    origin: newer.origin,
    logKeys,
    older: older.note,
    newer: newer.note,
    proof,
  };
  const verdict = await judgeEvidence(evidence, parseLogKeys(logKeys), verifier);
  const details = {
    trusted: state.chain.version,
    size: newer.size,
    older: older.note,
    newer: newer.note,
  };
  if (verdict.isProven || isSameSize) {
    const why = verdict.isProven ? verdict.reason : 'its root is not the trusted one';
    const cause = verdict.isProven
      ? await failureOf(() => onFork?.(encodeEvidence(evidence)))
      : undefined;
    return new RegistryError(
      'fork',
      `expected a checkpoint of ${newer.size} leaves that continues the trusted ${older.size}, got another history: ${why}`,
      { details, cause },
    );
  }
  return new RegistryError(
    'invalid_proof',
    `expected a proof that the checkpoint of ${newer.size} leaves continues the trusted ${older.size}, got one that fails`,
    { details },
  );
}

/** Evidence that cannot be kept must not hide what it is of. */
async function failureOf(work: () => void | Promise<void>): Promise<unknown> {
  try {
    await work();
    return undefined;
  } catch (error) {
    return error;
  }
}

/** `null`: the server has no such proof, or no use for giving it. */
async function leafProof(
  { at, size }: { readonly at: number; readonly size: number },
  { answers, bounds }: { readonly answers: Answers; readonly bounds: RequestBounds },
): Promise<LeafProof | null> {
  const version = at - 1;
  try {
    const [leaf, inclusion] = await Promise.all([
      leafAt({ version, size }, { answers, bounds }),
      answers.inclusionProof({ version, size }, bounds),
    ]);
    return { leaf: recordHash(leaf), inclusion };
  } catch (error) {
    bounds.signal?.throwIfAborted();
    if (error instanceof RegistryError) return null;
    throw error;
  }
}

async function leafAt(
  place: { readonly version: number; readonly size: number },
  { answers, bounds }: { readonly answers: Answers; readonly bounds: RequestBounds },
): Promise<Uint8Array> {
  const entry = await orGone(answers.entry(place.version, bounds));
  return typeof entry === 'string' ? answers.leaf(place, bounds) : entry.bytes.leaf;
}
