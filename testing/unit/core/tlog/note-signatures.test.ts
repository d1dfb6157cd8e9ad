/** Real keys of all three kinds over real checkpoints: what counts, for when, and what refuses the whole note. */
import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto';
import { test } from 'node:test';
import { encodeUtf8 } from '../../../../src/core/bytes.ts';
import { encodeCheckpoint } from '../../../../src/core/tlog/checkpoint.ts';
import {
  cosignedMessage,
  cosignedSubtree,
  encodeCosignature,
} from '../../../../src/core/tlog/cosignature.ts';
import { encodeNote, type NoteSignature } from '../../../../src/core/tlog/note.ts';
import {
  type NoteVerifier,
  readSignedCheckpoint,
  signersOf,
} from '../../../../src/core/tlog/note-signatures.ts';
import { createPortableVerifier } from '../../../../src/core/verifier.ts';
import {
  encodeVerifierKey,
  parseVerifierKey,
  type VerifierKey,
} from '../../../../src/core/vkey.ts';
import { refuses, refusesLater } from '../../../support/core-assert.ts';
import { makeSigner } from '../../../support/core-registry.ts';

const T = 1_763_683_200;
const checkpoint = { origin: 'registry.example/main', size: 8, root: new Uint8Array(32).fill(4) };
const text = encodeCheckpoint(checkpoint);
const SPKI_ML_DSA_44 = Buffer.from('30820532300b06096086480165030403110382052100', 'hex');

const ed25519: NoteVerifier = createPortableVerifier();
const both: NoteVerifier = {
  ...ed25519,
  verifyMlDsa: async ({ publicKey, message, signature }) => {
    const key = Buffer.concat([SPKI_ML_DSA_44, publicKey]);
    return verify(null, message, createPublicKey({ key, format: 'der', type: 'spki' }), signature);
  },
};

interface Party {
  readonly key: VerifierKey;
  signs(timestamp?: number): NoteSignature;
}

function party(key: VerifierKey, blobOf: (timestamp: number) => Uint8Array): Party {
  return { key, signs: (timestamp = T) => ({ ...key, signature: blobOf(timestamp) }) };
}

function keyOf(name: string, type: VerifierKey['type'], publicKey: Uint8Array): VerifierKey {
  const key = parseVerifierKey(encodeVerifierKey({ name, type, publicKey }));
  assert.ok(key);
  return key;
}

const signed = (message: Uint8Array, key: KeyObject): Uint8Array =>
  Uint8Array.from(sign(null, message, key));

function makeLog(name: string, seed: number): Party {
  const { publicKey, privateKey } = makeSigner(name, seed);
  return party(keyOf(name, 'ed25519', publicKey), () => signed(encodeUtf8(text), privateKey));
}

function makeWitness(name: string, seed: number): Party {
  const { publicKey, privateKey } = makeSigner(name, seed);
  return party(keyOf(name, 'cosigner', publicKey), (timestamp) =>
    encodeCosignature({
      timestamp,
      signature: signed(cosignedMessage(text, timestamp), privateKey),
    }),
  );
}

function makeMlDsa(cosigner: string): Party {
  const { publicKey, privateKey } = generateKeyPairSync('ml-dsa-44');
  const spki = publicKey.export({ format: 'der', type: 'spki' });
  assert.deepEqual(spki.subarray(0, -1312), SPKI_ML_DSA_44);
  const key = keyOf(cosigner, 'ml-dsa-44', Uint8Array.from(spki.subarray(-1312)));
  return party(key, (timestamp) => {
    const message = cosignedSubtree(checkpoint, { cosigner, timestamp });
    return encodeCosignature({ timestamp, signature: signed(message, privateKey) });
  });
}

const log = makeLog('registry.example/main', 7);
const [w1, w2] = [makeWitness('witness.example/w1', 9), makeWitness('witness.example/w2', 10)];
const quantum = makeMlDsa('witness.example/pq');
const everyone = [log, w1, w2, quantum].map(({ key }) => key);

function noteBy(...signatures: readonly NoteSignature[]) {
  return readSignedCheckpoint(encodeNote({ text, signatures }));
}

/** Of every signer, its name and time. */
async function found(
  signatures: readonly NoteSignature[],
  { keys = everyone, verifier = both }: { keys?: VerifierKey[]; verifier?: NoteVerifier } = {},
): Promise<readonly (readonly [string, number | null])[]> {
  const signers = await signersOf(noteBy(...signatures), keys, verifier);
  return [...signers].map(([{ name }, time]) => [name, time]);
}

const flipped = (signature: NoteSignature, at: number): NoteSignature => ({
  ...signature,
  signature: signature.signature.with(at, signature.signature[at]! ^ 1),
});

test('a signed checkpoint is read with its note as it came', () => {
  const note = encodeNote({ text, signatures: [log.signs()] });
  const { origin, size, root, ...rest } = readSignedCheckpoint(note);
  assert.deepEqual({ origin, size, root }, checkpoint);
  assert.deepEqual([rest.note, rest.text, rest.signatures.length], [note, text, 1]);
  refuses('invalid_checkpoint', () => readSignedCheckpoint(text));
  const empty = encodeNote({ text: 'no checkpoint\n', signatures: [log.signs()] });
  refuses('invalid_checkpoint', () => readSignedCheckpoint(empty), /origin, size and root/);
});

test('a log, a witness and a post-quantum key are found, each with its time', async () => {
  assert.deepEqual(await found([log.signs(), w1.signs(), quantum.signs(T + 5)]), [
    ['registry.example/main', null],
    ['witness.example/w1', T],
    ['witness.example/pq', T + 5],
  ]);
});

test('only keys that are asked about are found, and their signatures alone are judged', async () => {
  const broken = flipped(w2.signs(), 20);
  assert.deepEqual(await found([log.signs(), broken], { keys: [log.key] }), [
    ['registry.example/main', null],
  ]);
  assert.deepEqual(await found([broken], { keys: [log.key, w1.key] }), []);
  const stranger = { ...w1.signs(), name: 'witness.example/w9' };
  assert.deepEqual(await found([stranger, w1.signs()]), [['witness.example/w1', T]]);
});

test('a known key whose signature fails refuses the note, whatever else stands under it', async () => {
  for (const { key, signs } of [log, w1, quantum]) {
    const { length } = signs().signature;
    for (const at of [0, 7, 8, 40, length - 1])
      for (const signatures of [
        [flipped(signs(), at)],
        [w2.signs(), flipped(signs(), at)],
        [flipped(signs(), at), signs()],
        [signs(), flipped(signs(), at)],
      ])
        await refusesLater(
          'invalid_signature',
          found(signatures),
          new RegExp(`${key.name}\\+${key.keyId} over`),
        );
    for (const signature of [signs().signature.subarray(1), Uint8Array.of(...signs().signature, 0)])
      await refusesLater('invalid_signature', found([{ ...signs(), signature }]));
  }
});

test('a signature over another checkpoint or by another name does not hold', async () => {
  const other = { ...checkpoint, size: 9 };
  const note = encodeNote({ text: encodeCheckpoint(other), signatures: [quantum.signs()] });
  await refusesLater('invalid_signature', signersOf(readSignedCheckpoint(note), everyone, both));
  // The same ml-dsa key under another name: the name is part of what is signed.
  const renamed = keyOf('witness.example/other', 'ml-dsa-44', quantum.key.publicKey);
  const { signature } = quantum.signs();
  await refusesLater('invalid_signature', found([{ ...renamed, signature }], { keys: [renamed] }));
});

test('a log key cannot cosign and a cosigner cannot sign as a log', async () => {
  const asLog = keyOf(w1.key.name, 'ed25519', w1.key.publicKey);
  const { signature } = w1.signs();
  await refusesLater('invalid_signature', found([{ ...asLog, signature }], { keys: [asLog] }));
  const asWitness = keyOf(log.key.name, 'cosigner', log.key.publicKey);
  const forged = {
    ...asWitness,
    signature: Uint8Array.of(...new Uint8Array(8), ...log.signs().signature),
  };
  await refusesLater('invalid_signature', found([forged], { keys: [asWitness] }));
});

test('of two cosignatures by one key the newest time counts, once', async () => {
  const expected = [['witness.example/w1', T + 60]];
  assert.deepEqual(await found([w1.signs(T), w1.signs(T + 60)]), expected);
  assert.deepEqual(await found([w1.signs(T + 60), w1.signs(T)]), expected);
  assert.deepEqual(await found([w1.signs(0), w1.signs(T + 60), w1.signs(0)]), expected);
});

test('a cosignature with time zero says nothing about time', async () => {
  assert.deepEqual(await found([w1.signs(0), quantum.signs(0)]), [
    ['witness.example/w1', null],
    ['witness.example/pq', null],
  ]);
});

test('without a platform for ml-dsa such a key is an unknown one', async () => {
  const signatures = [quantum.signs(), flipped(quantum.signs(), 9), log.signs()];
  assert.deepEqual(await found(signatures, { verifier: ed25519 }), [
    ['registry.example/main', null],
  ]);
});
