import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeSignature, type NoteSignature } from '../../../../src/core/tlog/note.ts';
import {
  judgeAnswer,
  readCosignature,
  type WitnessVerdict,
} from '../../../../src/core/tlog/witness-answer.ts';
import { encodeVerifierKey } from '../../../../src/core/vkey.ts';
import { cosign } from '../../../../src/registry/witness-cosign.ts';
import { createNoteVerifier } from '../../../../src/server/note-verifier.ts';
import { refusesLater } from '../../../support/core-assert.ts';
import { keyOf, makeCosigner, TestLog } from '../../../support/witness.ts';

const SIZE = 'text/x.tlog.size';

/** Asked from size 4 while the log has signed 8. */
function verdict(
  status: number,
  body = '',
  { contentType = 'text/plain', old = 4 }: { contentType?: string | null; old?: number } = {},
): WitnessVerdict {
  return judgeAnswer({ status, contentType, body }, { old, newest: 8 });
}

const STATUSES: readonly (readonly [number, WitnessVerdict['result']])[] = [
  [200, 'signed'],
  [400, 'malformed'],
  [403, 'forbidden'],
  [404, 'unknown_origin'],
  [429, 'rate_limited'],
  [201, 'unavailable'],
  [302, 'unavailable'],
  [413, 'unavailable'],
  [500, 'unavailable'],
  [503, 'unavailable'],
];

for (const [status, result] of STATUSES)
  test(`status ${status} means ${result}`, () => {
    assert.deepEqual(verdict(status, '5\n', { contentType: SIZE }), { result });
  });

test('a size that this log has is where to prove from, a larger one means that it went back', () => {
  for (const size of [0, 5, 8])
    assert.deepEqual(verdict(409, `${size}\n`, { contentType: SIZE }), {
      result: 'elsewhere',
      size,
    });
  assert.deepEqual(verdict(409, '9\n', { contentType: SIZE }), { result: 'ahead', size: 9 });
  assert.deepEqual(verdict(409, '9', { contentType: `${SIZE}; charset=utf-8` }), {
    result: 'ahead',
    size: 9,
  });
  assert.deepEqual(verdict(409, '9\n', { contentType: 'Text/X.Tlog.Size' }), {
    result: 'ahead',
    size: 9,
  });
});

test('a conflict without its size is a fork: so some witnesses say that the root is another', () => {
  for (const contentType of ['text/plain', null, 'text/x.tlog.size2'])
    assert.deepEqual(verdict(409, '5\n', { contentType }), { result: 'fork' });
});

test('a conflict whose size cannot be read says nothing', () => {
  for (const body of ['', '05\n', '-1\n', '5\n\n', ' 5\n', '1e3\n', '99999999999999999\n'])
    assert.deepEqual(verdict(409, body, { contentType: SIZE }), { result: 'unavailable' }, body);
});

test('a proof refused from a size that the witness named is a fork, one from nothing is our mistake', () => {
  assert.deepEqual(verdict(422, '', { old: 4 }), { result: 'fork' });
  assert.deepEqual(verdict(422, '', { old: 8 }), { result: 'fork' });
  assert.deepEqual(verdict(422, '', { old: 0 }), { result: 'invalid_proof' });
});

const NOW = 1_763_683_200;
const witness = makeCosigner('witness.example/w1');
const log = new TestLog().grow(5);
const verifier = createNoteVerifier();

async function read(lines: readonly NoteSignature[], key = witness.key) {
  const checkpoint = await log.checkpoint();
  return readCosignature(lines.map(encodeSignature).join(''), {
    checkpoint,
    key,
    verifier,
    now: NOW,
    skewSeconds: 300,
  });
}

const at = async (time: number, cosigner = witness, size = 5): Promise<NoteSignature> =>
  cosign(await log.checkpoint(size), cosigner, time);

test('of the cosignatures by the key the newest is taken, whoever else signed', async () => {
  const lines = [await at(NOW - 9, makeCosigner('other')), await at(NOW - 7), await at(NOW - 8)];
  const { signature, time } = await read(lines);
  assert.equal(time, NOW - 7);
  assert.deepEqual(signature, lines[1]);
});

test('a time up to the skew away is taken, one further away, or none, is not', async () => {
  for (const time of [NOW - 300, NOW + 300])
    assert.equal((await read([await at(time)])).time, time);
  for (const time of [NOW - 301, NOW + 301, 0])
    await refusesLater('unexpected_answer', read([await at(time)]), /within 300 s/);
});

test('no line, or lines of others alone, are no cosignature', async () => {
  await refusesLater('unexpected_answer', read([]));
  await refusesLater('unexpected_answer', read([await at(NOW, makeCosigner('other'))]));
  await refusesLater('unexpected_answer', read([await log.sign((await log.checkpoint()).text)]));
});

test('a line of the key over another checkpoint is refused, also beside a good one', async () => {
  await refusesLater('invalid_signature', read([await at(NOW, witness, 4)]));
  await refusesLater('invalid_signature', read([await at(NOW), await at(NOW, witness, 4)]));
});

test('a key that this platform cannot verify has signed nothing', async () => {
  const publicKey = new Uint8Array(1312);
  const key = keyOf(encodeVerifierKey({ name: 'w', type: 'ml-dsa-44', publicKey }));
  const line = { name: 'w', keyId: key.keyId, signature: new Uint8Array(2428) };
  const checkpoint = await log.checkpoint();
  const options = { checkpoint, key, now: NOW, skewSeconds: 300 };
  await refusesLater(
    'unexpected_answer',
    readCosignature(encodeSignature(line), { ...options, verifier: { verify: verifier.verify } }),
  );
});

test('what is no signature line is refused', async () => {
  const checkpoint = await log.checkpoint();
  const options = { checkpoint, key: witness.key, verifier, now: NOW, skewSeconds: 300 };
  for (const lines of ['<html></html>\n', '\n', encodeSignature(await at(NOW)).trimEnd()])
    await refusesLater('invalid_checkpoint', readCosignature(lines, options));
});
