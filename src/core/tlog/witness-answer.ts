/**
 * What a witness's answer to `add-checkpoint` means for the log that asked (C2SP tlog-witness, and the
 * dialect of other witnesses). Judgement only: asking, waiting and alarms are the asker's.
 */
import { excerpt, RegistryError } from '../error.ts';
import type { VerifierKey } from '../vkey.ts';
import { SIZE_MEDIA_TYPE } from './add-checkpoint.ts';
import { isSignatureBy, type NoteSignature, parseSignatures } from './note.ts';
import { type NoteVerifier, type SignedCheckpoint, signersOf } from './note-signatures.ts';

export interface WitnessAnswer {
  readonly status: number;
  readonly contentType: string | null;
  readonly body: string;
}

export type WitnessVerdict =
  /** The body is signature lines, not yet verified. */
  | { readonly result: 'signed' }
  /** The witness saw another size last, and one that this log has: prove from there. */
  | { readonly result: 'elsewhere'; readonly size: number }
  /** It saw more than this log has: the log went back, or has a twin. */
  | { readonly result: 'ahead'; readonly size: number }
  /** It saw another tree under this log's key. */
  | { readonly result: 'fork' }
  | {
      readonly result:
        | 'malformed'
        | 'forbidden'
        | 'unknown_origin'
        | 'invalid_proof'
        | 'rate_limited'
        | 'unavailable';
    };

export type WitnessResult = WitnessVerdict['result'];

export interface WitnessRequest {
  /** The size the witness was said to have seen last. */
  readonly old: number;
  /** The largest size this log has signed by now: it may have grown since the request. */
  readonly newest: number;
}

export function judgeAnswer(
  { status, contentType, body }: WitnessAnswer,
  { old, newest }: WitnessRequest,
): WitnessVerdict {
  switch (status) {
    case 200:
      return { result: 'signed' };
    case 400:
      return { result: 'malformed' };
    case 403:
      return { result: 'forbidden' };
    case 404:
      return { result: 'unknown_origin' };
    case 409: {
      // Without the size it is how some witnesses say: this size I know with another root.
      if (!isSizeType(contentType)) return { result: 'fork' };
      const size = parseSize(body);
      if (size === undefined) return { result: 'unavailable' };
      return { result: size > newest ? 'ahead' : 'elsewhere', size };
    }
    case 422:
      // `old` is a size that the witness itself has named or signed: what it saw there is not ours.
      return { result: old > 0 ? 'fork' : 'invalid_proof' };
    case 429:
      return { result: 'rate_limited' };
    default:
      return { result: 'unavailable' };
  }
}

/**
 * The newest of the lines by `key`; lines of others are ignored. `now` in POSIX seconds. Throws
 * `invalid_signature` when a line of the key does not verify, `unexpected_answer` when none is by the key or
 * none vouches for a time within `skewSeconds` of now.
 */
export async function readCosignature(
  lines: string,
  {
    checkpoint,
    key,
    verifier,
    now,
    skewSeconds,
  }: {
    readonly checkpoint: Omit<SignedCheckpoint, 'note' | 'signatures'>;
    readonly key: VerifierKey;
    readonly verifier: NoteVerifier;
    readonly now: number;
    readonly skewSeconds: number;
  },
): Promise<{ readonly signature: NoteSignature; readonly time: number }> {
  let newest: { signature: NoteSignature; time: number } | undefined;
  for (const signature of parseSignatures(lines)) {
    if (!isSignatureBy(signature, key)) continue;
    const times = await signersOf({ ...checkpoint, signatures: [signature] }, [key], verifier);
    const time = times.get(key);
    if (typeof time !== 'number' || Math.abs(time - now) > skewSeconds) continue;
    if (newest === undefined || time > newest.time) newest = { signature, time };
  }
  if (newest === undefined)
    throw new RegistryError(
      'unexpected_answer',
      `expected a cosignature by ${key.name}+${key.keyId} within ${skewSeconds} s of ${now}, got ${excerpt(lines)}`,
    );
  return newest;
}

function isSizeType(contentType: string | null): boolean {
  return contentType?.split(';', 1)[0]?.trim().toLowerCase() === SIZE_MEDIA_TYPE;
}

function parseSize(body: string): number | undefined {
  const digits = /^(0|[1-9][0-9]{0,15})\n?$/.exec(body)?.[1];
  const size = Number(digits);
  return Number.isSafeInteger(size) ? size : undefined;
}
