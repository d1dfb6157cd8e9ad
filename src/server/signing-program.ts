/**
 * A key that only a program can use: `PROGRAM ... public-key` prints it in base64 (or as a C2SP vkey),
 * `PROGRAM ... sign` reads a message and prints its signature in base64. Nothing that a program answers
 * is used before it was verified against the key it named at the start.
 */
import { decodeBase64 } from '../core/bytes.ts';
import { RegistryError } from '../core/error.ts';
import type { NoteVerifier } from '../core/tlog/note-signatures.ts';
import { parseVerifierKey } from '../core/vkey.ts';
import type { CheckpointSigner } from '../registry/options.ts';
import { createNativeVerifier } from './native-verifier.ts';
import { createNoteVerifier, ML_DSA_KEY_BYTES } from './note-verifier.ts';
import { runProgram } from './run-program.ts';

const TIMEOUT_MS = 10_000;

type PublicKey = Pick<CheckpointSigner, 'type' | 'publicKey'>;

/** Throws `invalid_request` when the program names no key that could be used. */
export async function openSigningProgram(
  program: readonly [string, ...string[]],
  timeoutMs = TIMEOUT_MS,
): Promise<CheckpointSigner> {
  const [name] = program;
  const ask = (word: string, input?: Uint8Array) =>
    runProgram([...program, word], { timeoutMs, ...(input !== undefined && { input }) });
  const key = await ask('public-key').then(
    (answer) => readPublicKey(name, answer),
    (cause: unknown) => {
      const what = cause instanceof Error ? cause.message : String(cause);
      throw new RegistryError('invalid_request', `${what}: see CONFIG.md, "The log key"`, {
        cause,
      });
    },
  );
  const verifier = createNoteVerifier();
  return {
    ...key,
    sign: async (message) => {
      const signature = decodeBase64((await ask('sign', message)).trim());
      if (signature === undefined || !(await isSigned(verifier, { ...key, message, signature })))
        throw new RegistryError(
          'invalid_signature',
          `expected a base64 signature by its own public key from \`${name} ... sign\`, got another answer`,
        );
      return signature;
    },
  };
}

function readPublicKey(name: string, answer: string): PublicKey {
  const text = answer.trim();
  const vkey = parseVerifierKey(text);
  const publicKey = vkey?.publicKey ?? decodeBase64(text) ?? new Uint8Array();
  const isEd25519 = createNativeVerifier().admit(publicKey);
  const isMlDsa = publicKey.length === ML_DSA_KEY_BYTES;
  if (!isEd25519 && !isMlDsa)
    throw new RegistryError(
      'invalid_request',
      `expected an ed25519 or ml-dsa-44 public key from \`${name} ... public-key\`, in base64 or as a vkey, got ${text.length} characters of something else`,
    );
  const type = isMlDsa ? 'ml-dsa-44' : 'ed25519';
  if (isMlDsa && createNoteVerifier().verifyMlDsa === undefined)
    throw new RegistryError(
      'invalid_request',
      `expected a Node.js with ML-DSA-44 for the key of \`${name}\`, got ${process.version} without: use its ed25519 key`,
    );
  return { type, publicKey };
}

async function isSigned(
  verifier: NoteVerifier,
  { type, ...signed }: PublicKey & { message: Uint8Array; signature: Uint8Array },
): Promise<boolean> {
  return type === 'ed25519'
    ? verifier.verify(signed)
    : ((await verifier.verifyMlDsa?.(signed)) ?? false);
}
