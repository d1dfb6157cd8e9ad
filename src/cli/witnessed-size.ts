/**
 * How far the witnesses of a policy have seen a log, asked by handing each the newest checkpoint there is
 * here: one that cosigns it has seen no more, one that has seen more says so.
 */
import { RegistryError } from '../core/error.ts';
import { SKEW_MS } from '../core/time.ts';
import { ADD_CHECKPOINT_PATH, encodeAddCheckpoint } from '../core/tlog/add-checkpoint.ts';
import { encodeNote } from '../core/tlog/note.ts';
import type { NoteVerifier, SignedCheckpoint } from '../core/tlog/note-signatures.ts';
import { isSatisfied, type PolicyWitness, type WitnessPolicy } from '../core/tlog/policy.ts';
import { judgeAnswer, readCosignature } from '../core/tlog/witness-answer.ts';
import type { postToWitness } from '../server/witness-post.ts';

export interface AskedWitnesses {
  readonly policy: WitnessPolicy;
  /** The log's newest here. */
  readonly checkpoint: SignedCheckpoint;
  /** Entries here: a few may have come after the checkpoint. */
  readonly size: number;
  readonly prove: (sizes: {
    readonly from: number;
    readonly size: number;
  }) => Promise<readonly Uint8Array[]>;
  readonly post: typeof postToWitness;
  readonly verifier: NoteVerifier;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly signal: AbortSignal;
}

export interface WitnessedSize {
  readonly name: string;
  /** At least so many entries; `undefined`: no answer that tells. */
  readonly size: number | undefined;
}

const TIMEOUT_MS = 10_000;

/**
 * Throws `fork` where one has seen another history, and `unavailable` where too few told: a quorum of the
 * others could have seen more.
 */
export async function witnessedSizes(asked: AskedWitnesses): Promise<readonly WitnessedSize[]> {
  const { policy } = asked;
  const sizes = await Promise.all(
    policy.witnesses.map(async (witness) => ({
      name: witness.name,
      size: await ask(asked, { witness, old: asked.checkpoint.size, elsewhere: 0 }),
    })),
  );
  const heard = new Set(sizes.flatMap(({ name, size }) => (size === undefined ? [] : [name])));
  const missing = sizes.filter(({ name }) => !heard.has(name)).map(({ name }) => name);
  const isEnough =
    policy.quorum === null
      ? missing.length === 0
      : isSatisfied(policy, heard) && !isSatisfied(policy, new Set(missing));
  if (isEnough) return sizes;
  throw new RegistryError(
    'unavailable',
    `expected enough witnesses to say how far they have seen this log, got no such answer from ${missing.join(', ') || 'any'}`,
    { details: { missing } },
  );
}

/** Proven from the size that it names first, an honest one signs, or has seen more meanwhile. */
const MAX_ELSEWHERE = 2;

interface Question {
  readonly witness: PolicyWitness;
  readonly old: number;
  /** How often it has named another size. */
  readonly elsewhere: number;
}

async function ask(asked: AskedWitnesses, question: Question): Promise<number | undefined> {
  const { witness, old, elsewhere } = question;
  const { checkpoint, size, post, signal, prove } = asked;
  const { name, url } = witness;
  if (url === null) return undefined;
  const { text, signatures, origin } = checkpoint;
  // Cosignatures of others only make it long.
  const note = encodeNote({ text, signatures: signatures.filter((one) => one.name === origin) });
  const isProofNeeded = old > 0 && old < checkpoint.size;
  const proof = isProofNeeded ? await prove({ from: old, size: checkpoint.size }) : [];
  const body = encodeAddCheckpoint({ old, proof, note });
  const options = { signal, timeoutMs: TIMEOUT_MS };
  const answer = await post(`${url}${ADD_CHECKPOINT_PATH}`, body, options).catch(() => undefined);
  if (answer === undefined) return undefined;
  const verdict = judgeAnswer(answer, { old, newest: size });
  switch (verdict.result) {
    case 'signed':
      return (await isCosigned(asked, witness, answer.body)) ? checkpoint.size : undefined;
    case 'ahead':
      return verdict.size;
    case 'elsewhere':
      // It has seen less: proven from there, it says so with its signature. Without that anybody on the way
      // could say that it has seen no more; also of entries after the checkpoint, which it cannot be asked about.
      if (verdict.size >= checkpoint.size || elsewhere === MAX_ELSEWHERE) return undefined;
      return ask(asked, { witness, old: verdict.size, elsewhere: elsewhere + 1 });
    case 'fork':
      throw new RegistryError(
        'fork',
        `expected the witness ${name} to have seen the log that is here, got one that has seen another history`,
        { details: { witness: name } },
      );
    default:
      return undefined;
  }
}

async function isCosigned(
  { checkpoint, verifier, now }: AskedWitnesses,
  { key }: PolicyWitness,
  lines: string,
): Promise<boolean> {
  try {
    await readCosignature(lines, {
      checkpoint,
      key,
      verifier,
      now: Math.floor(now() / 1000),
      skewSeconds: SKEW_MS / 1000,
    });
    return true;
  } catch (error) {
    if (error instanceof RegistryError) return false;
    throw error;
  }
}
