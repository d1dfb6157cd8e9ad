/** Checkpoints for tests of `core`, signed and cosigned with node:crypto by keys from fixed seeds. */
import { sign } from 'node:crypto';
import { hexToBytes } from '@noble/hashes/utils.js';
import { encodeUtf8 } from '../../src/core/bytes.ts';
import { type Checkpoint, encodeCheckpoint } from '../../src/core/tlog/checkpoint.ts';
import { cosignedMessage, encodeCosignature } from '../../src/core/tlog/cosignature.ts';
import { encodeNote, type NoteSignature } from '../../src/core/tlog/note.ts';
import { encodeVerifierKey, parseVerifierKey } from '../../src/core/vkey.ts';
import { logKey, makeSigner, ORIGIN } from './core-registry.ts';

export interface TestCosigner {
  readonly name: string;
  readonly vkey: string;
  /** `time`: POSIX seconds. */
  cosign(text: string, time: number): NoteSignature;
}

/** The log key of `logKey(origin, seed)` signs. */
export function logSignature(text: string, { origin = ORIGIN, seed = 200 } = {}): NoteSignature {
  const { keyId = '' } = parseVerifierKey(logKey(origin, seed)) ?? {};
  const { privateKey } = makeSigner('org:log#key', seed);
  return { name: origin, keyId, signature: sign(null, encodeUtf8(text), privateKey) };
}

export function makeCosigner(name: string, seed: number): TestCosigner {
  const { publicKey, privateKey } = makeSigner('org:witness#key', seed);
  const vkey = encodeVerifierKey({ name, type: 'cosigner', publicKey });
  const keyId = vkey.split('+')[1] ?? '';
  return {
    name,
    vkey,
    cosign: (text, timestamp) => {
      const signature = sign(null, cosignedMessage(text, timestamp), privateKey);
      return { name, keyId, signature: encodeCosignature({ timestamp, signature }) };
    },
  };
}

/** A note under which the log key `seed` signed, and whoever `more` says. */
export function signedNote(
  { origin = ORIGIN, size = 1, root = hexToBytes('ab'.repeat(32)) }: Partial<Checkpoint> = {},
  {
    seed = 200,
    more = () => [],
  }: { seed?: number; more?: (text: string) => readonly NoteSignature[] } = {},
): string {
  const text = encodeCheckpoint({ origin, size, root });
  return encodeNote({ text, signatures: [logSignature(text, { origin, seed }), ...more(text)] });
}
