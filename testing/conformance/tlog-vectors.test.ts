/**
 * The C2SP formats as data, made by another program and read by Go's sumdb packages: what core writes is
 * the same bytes, and what it reads it accepts.
 */
import assert from 'node:assert/strict';
import { sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { decodeUtf8, encodeBase64, encodeUtf8 } from '../../src/core/bytes.ts';
import { encodeAddCheckpoint, parseAddCheckpoint } from '../../src/core/tlog/add-checkpoint.ts';
import { encodeCheckpoint, parseCheckpoint } from '../../src/core/tlog/checkpoint.ts';
import {
  cosignedMessage,
  cosignedSubtree,
  encodeCosignature,
} from '../../src/core/tlog/cosignature.ts';
import {
  foldSubtrees,
  isConsistent,
  isIncluded,
  proveConsistency,
  proveInclusion,
  recordHash,
} from '../../src/core/tlog/merkle.ts';
import { encodeNote, type NoteSignature } from '../../src/core/tlog/note.ts';
import { readSignedCheckpoint, signersOf } from '../../src/core/tlog/note-signatures.ts';
import { encodeProofFile, parseProofFile } from '../../src/core/tlog/proof-file.ts';
import {
  decodeBundle,
  decodeTile,
  encodeBundle,
  formatTileName,
  parseTileName,
} from '../../src/core/tlog/tiles.ts';
import { createPortableVerifier } from '../../src/core/verifier.ts';
import { encodeVerifierKey, parseVerifierKey, type VerifierKey } from '../../src/core/vkey.ts';
import { keyFromSeed, publicKeyOf } from '../support/core-registry.ts';
import { growTree, sha256 } from '../support/core-tlog.ts';

interface TlogVectors {
  readonly leaves_hex: readonly string[];
  readonly leaf_hashes_hex: readonly string[];
  readonly roots_hex: readonly string[];
  readonly inclusion: readonly { size: number; index: number; proof_hex: readonly string[] }[];
  readonly consistency: readonly { old: number; new: number; proof_hex: readonly string[] }[];
  readonly keys: Record<'log' | 'witness', { readonly seed_hex: string; readonly vkey: string }>;
  readonly checkpoint_3: string;
  readonly checkpoint_8: string;
  readonly checkpoint_8_cosigned: string;
  readonly cosigned_message_8: string;
  readonly add_checkpoint_body_3_to_8: string;
  readonly tlog_proof_index_5_of_8: string;
  readonly entry_bundle_first3_hex: string;
  readonly tile_0_000_p_3_hex: string;
  readonly tile_path_examples: Readonly<Record<string, string>>;
  readonly origin_hash_hex: string;
  readonly mldsa44_cosigned_message_8_hex: string;
  readonly approx: Readonly<Record<string, number>>;
}

const vectors: TlogVectors = JSON.parse(
  readFileSync(new URL('vectors/tlog-vectors.json', import.meta.url), 'utf8'),
);
const ORIGIN = 'registry.example/main';
const WITNESS = 'witness.example/w1';
const TIME = 1_763_683_200;

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const fromHex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));
const records = vectors.leaves_hex.map(fromHex);
const roots = vectors.roots_hex.map(fromHex);
const { trees, read } = growTree(records);

const privateKeyOf = (name: 'log' | 'witness') => keyFromSeed(fromHex(vectors.keys[name].seed_hex));

function keyOf(name: 'log' | 'witness'): VerifierKey {
  const key = parseVerifierKey(vectors.keys[name].vkey);
  assert.ok(key);
  return key;
}

function logSignature(text: string): NoteSignature {
  const signature = sign(null, encodeUtf8(text), privateKeyOf('log'));
  return { ...keyOf('log'), signature: Uint8Array.from(signature) };
}

function checkpointText(size: number): string {
  return encodeCheckpoint({ origin: ORIGIN, size, root: roots[size]! });
}

test('the leaf hashes and the root of every size are the published ones', () => {
  assert.deepEqual(
    records.map((record) => hex(recordHash(record))),
    vectors.leaf_hashes_hex,
  );
  assert.deepEqual(
    trees.map((tree) => hex(tree.root)),
    vectors.roots_hex,
  );
  assert.equal(hex(foldSubtrees([])), vectors.roots_hex[0]);
});

test('the 36 proofs of inclusion are made to the same bytes and hold', async () => {
  assert.equal(vectors.inclusion.length, 36);
  for (const { size, index, proof_hex } of vectors.inclusion) {
    const proof = await proveInclusion({ index, size }, read);
    assert.deepEqual(proof.map(hex), proof_hex, `${index} of ${size}`);
    const claim = { record: recordHash(records[index]!), index, size, root: roots[size]! };
    assert.ok(isIncluded({ ...claim, proof: proof_hex.map(fromHex) }));
  }
});

test('the 36 proofs of consistency are made to the same bytes and hold', async () => {
  assert.equal(vectors.consistency.length, 36);
  for (const { old: from, new: size, proof_hex } of vectors.consistency) {
    const proof = await proveConsistency({ from, size }, read);
    assert.deepEqual(proof.map(hex), proof_hex, `${from} to ${size}`);
    const claim = { from, size, fromRoot: roots[from]!, root: roots[size]! };
    assert.ok(isConsistent({ ...claim, proof: proof_hex.map(fromHex) }));
  }
});

test('the keys are made from their seeds', () => {
  const made = (['log', 'witness'] as const).map((name) =>
    encodeVerifierKey({
      name: name === 'log' ? ORIGIN : WITNESS,
      type: name === 'log' ? 'ed25519' : 'cosigner',
      publicKey: publicKeyOf(privateKeyOf(name)),
    }),
  );
  assert.deepEqual(made, [vectors.keys.log.vkey, vectors.keys.witness.vkey]);
  assert.deepEqual([keyOf('log').type, keyOf('witness').type], ['ed25519', 'cosigner']);
});

test('the checkpoints are signed to the same bytes', () => {
  for (const [size, note] of [
    [3, vectors.checkpoint_3],
    [8, vectors.checkpoint_8],
  ] as const) {
    const text = checkpointText(size);
    assert.equal(encodeNote({ text, signatures: [logSignature(text)] }), note);
    assert.deepEqual(parseCheckpoint(text), { origin: ORIGIN, size, root: roots[size] });
  }
});

test('the cosigned checkpoint is made to the same bytes, and both keys are found under it', async () => {
  const text = checkpointText(8);
  const message = cosignedMessage(text, TIME);
  assert.equal(decodeUtf8(message), vectors.cosigned_message_8);
  const signature = encodeCosignature({
    timestamp: TIME,
    signature: Uint8Array.from(sign(null, message, privateKeyOf('witness'))),
  });
  const signatures = [logSignature(text), { ...keyOf('witness'), signature }];
  assert.equal(encodeNote({ text, signatures }), vectors.checkpoint_8_cosigned);

  const keys = [keyOf('log'), keyOf('witness')];
  const signed = readSignedCheckpoint(vectors.checkpoint_8_cosigned);
  const found = await signersOf(signed, keys, createPortableVerifier());
  assert.deepEqual([...found.values()], [null, TIME]);
});

test('what an ml-dsa cosigner signs is the same bytes', () => {
  const checkpoint = { origin: ORIGIN, size: 8, root: roots[8]! };
  const message = cosignedSubtree(checkpoint, { cosigner: WITNESS, timestamp: TIME });
  assert.equal(hex(message), vectors.mldsa44_cosigned_message_8_hex);
});

test('the signatures have the published sizes', () => {
  const sizeOf = (bytes: number): number => encodeBase64(new Uint8Array(4 + bytes)).length;
  assert.deepEqual([sizeOf(64), sizeOf(8 + 64), sizeOf(8 + 2420)], Object.values(vectors.approx));
});

test('the request to a witness is made to the same bytes and read back', async () => {
  const proof = await proveConsistency({ from: 3, size: 8 }, read);
  const request = { old: 3, proof, note: vectors.checkpoint_8 };
  assert.equal(encodeAddCheckpoint(request), vectors.add_checkpoint_body_3_to_8);
  assert.deepEqual(parseAddCheckpoint(vectors.add_checkpoint_body_3_to_8), request);
});

test('the proof file is made to the same bytes, read back, and shows its leaf', async () => {
  const proof = await proveInclusion({ index: 5, size: 8 }, read);
  const file = { index: 5, proof, note: vectors.checkpoint_8_cosigned };
  assert.equal(encodeProofFile(file), vectors.tlog_proof_index_5_of_8);
  const parsed = parseProofFile(vectors.tlog_proof_index_5_of_8);
  assert.deepEqual(parsed, file);
  const { size, root } = readSignedCheckpoint(parsed.note);
  assert.ok(isIncluded({ ...parsed, record: recordHash(records[5]!), size, root }));
});

test('the entry bundle and the tile are the same bytes and are read back', () => {
  const bundle = fromHex(vectors.entry_bundle_first3_hex);
  assert.deepEqual(encodeBundle(records.slice(0, 3)), bundle);
  assert.deepEqual(decodeBundle(bundle, 3), records.slice(0, 3));
  const hashes = decodeTile(fromHex(vectors.tile_0_000_p_3_hex), 3);
  assert.deepEqual(hashes.map(hex), vectors.leaf_hashes_hex.slice(0, 3));
});

test('tiles have the published paths', () => {
  const examples = Object.entries(vectors.tile_path_examples);
  assert.equal(examples.length, 5);
  for (const [index, path] of examples) {
    const name = { level: 0, index: Number(index), width: 256 };
    assert.equal(formatTileName(name), `0/${path}`);
    assert.deepEqual(parseTileName(`0/${path}`), name);
  }
});

test('an origin has the published hash, by which a witness names a log', () => {
  assert.equal(hex(sha256(encodeUtf8(ORIGIN))), vectors.origin_hash_hex);
});
