import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeUtf8 } from '../../../../src/core/bytes.ts';
import { RegistryError } from '../../../../src/core/error.ts';
import {
  decodeEvidence,
  encodeEvidence,
  type ForkEvidence,
  judgeEvidence,
  MAX_EVIDENCE_BYTES,
} from '../../../../src/core/tlog/evidence.ts';
import { createPortableVerifier } from '../../../../src/core/verifier.ts';
import { parseLogKeys } from '../../../../src/core/vkey.ts';
import { makeCosigner, signedNote } from '../../../support/core-checkpoint.ts';
import { logKey, ORIGIN } from '../../../support/core-registry.ts';
import { leafHash, ReferenceTree } from '../../../support/core-tlog.ts';

const verifier = createPortableVerifier();
const KEYS = [logKey(ORIGIN, 200)];
const ODD = 3;

/** Leaves of a log whose leaf `ODD`, if it has one, is another. */
const honest = Array.from({ length: 12 }, (_, i) => encodeUtf8(`leaf ${i}`));
const other = honest.map((leaf, i) => (i === ODD ? encodeUtf8('another') : leaf));

function noteOf(leaves: readonly Uint8Array[], size: number, options = {}): string {
  return signedNote({ size, root: new ReferenceTree(leaves).root(0, size) }, options);
}

function proofOf(leaves: readonly Uint8Array[], at: number, size: number): ForkEvidence['proof'] {
  const leaf = leafHash(leaves[at - 1] ?? assert.fail());
  return { leaf, inclusion: new ReferenceTree(leaves).path(at - 1, 0, size) };
}

function evidenceOf(change: Partial<ForkEvidence> = {}): ForkEvidence {
  return {
    origin: ORIGIN,
    logKeys: KEYS,
    older: noteOf(honest, 5),
    newer: noteOf(other, 9),
    proof: proofOf(other, 5, 9),
    ...change,
  };
}

const judge = (evidence: ForkEvidence, keys: readonly string[] = KEYS) =>
  judgeEvidence(evidence, parseLogKeys(keys), verifier);

test('two roots for one size prove two histories', async () => {
  const evidence = evidenceOf({ newer: noteOf(other, 5), proof: null });
  const verdict = await judge(evidence);
  assert.equal(verdict.isProven, true, verdict.reason);
  assert.deepEqual(verdict.sizes, [5, 5]);
  assert.deepEqual(
    verdict.signers.map((keys) => keys.map(({ keyId }) => keyId)),
    [[KEYS[0]?.split('+')[1]], [KEYS[0]?.split('+')[1]]],
  );
});

test('a newer tree that does not begin with the older one is proven by one leaf of it, at any two sizes', async () => {
  for (let older = ODD + 1; older < other.length; older++)
    for (let newer = older + 1; newer <= other.length; newer++) {
      const verdict = await judge(
        evidenceOf({
          older: noteOf(honest, older),
          newer: noteOf(other, newer),
          proof: proofOf(other, older, newer),
        }),
      );
      assert.equal(verdict.isProven, true, `${older} ${newer}: ${verdict.reason}`);
    }
});

test('an honest log is never proven guilty, whatever proof is given', async () => {
  for (let older = 1; older < honest.length; older++)
    for (let newer = older; newer <= honest.length; newer++)
      for (const proof of [
        null,
        proofOf(honest, older, newer),
        proofOf(honest, Math.max(1, older - 1), newer),
        proofOf(other, older, newer),
      ]) {
        const notes = { older: noteOf(honest, older), newer: noteOf(honest, newer) };
        assert.equal((await judge(evidenceOf({ ...notes, proof }))).isProven, false);
      }
});

const NOTHING: readonly (readonly [what: string, change: Partial<ForkEvidence>, why: RegExp])[] = [
  ['notes of one tree', { newer: noteOf(honest, 5), proof: null }, /same root/],
  [
    'sizes in the wrong order',
    { older: noteOf(other, 9), newer: noteOf(honest, 5) },
    /older note is of 9/,
  ],
  ['no proof where sizes differ', { proof: null }, /nothing says/],
  ['a proof for another size', { proof: proofOf(other, 5, 10) }, /not proven/],
  ['a proof of another leaf', { proof: proofOf(other, 4, 9) }, /not proven/],
  ['a proof that is too long', { proof: lengthened() }, /not proven/],
  ['an older note by another key', { older: noteOf(honest, 5, { seed: 201 }) }, /none of the keys/],
  ['a newer note by another key', { newer: noteOf(other, 9, { seed: 201 }) }, /none of the keys/],
  ['a note of another log', { origin: 'registry.example.com/other' }, /not of registry/],
  ['an origin of two lines', { origin: 'x\nproven: y' }, /, not of x\\u\{a\}proven: y$/],
  [
    'a note changed under its signature',
    { newer: noteOf(other, 9).replace('\n9\n', '\n8\n') },
    /does not verify/,
  ],
  ['text that is no note', { older: 'older' }, /no checkpoint/],
];

for (const [what, change, why] of NOTHING)
  test(`${what} prove nothing`, async () => {
    const verdict = await judge(evidenceOf(change));
    assert.equal(verdict.isProven, false);
    assert.match(verdict.reason, why);
  });

test('who is asked about decides, not who is named in the file', async () => {
  const forged = evidenceOf({
    logKeys: [logKey(ORIGIN, 201)],
    older: noteOf(honest, 5, { seed: 201 }),
    newer: noteOf(other, 9, { seed: 201 }),
  });
  assert.equal((await judge(forged)).isProven, false);
  assert.equal((await judge(forged, forged.logKeys)).isProven, true);
  assert.equal((await judge(evidenceOf(), [])).isProven, false);
});

test('a cosigner is no key of a log', () => {
  assert.deepEqual(parseLogKeys([makeCosigner('w', 9).vkey, 'no key']), []);
});

test('evidence is canonical text that is read back to itself', () => {
  for (const evidence of [evidenceOf(), evidenceOf({ proof: null })]) {
    const text = encodeEvidence(evidence);
    assert.deepEqual(decodeEvidence(text), evidence);
    assert.equal(encodeEvidence(decodeEvidence(`${text}\n`)), text);
  }
});

test('a changed character is never proof, unless it is where nothing is proven', async () => {
  const text = encodeEvidence(evidenceOf());
  // Which keys are named is nobody's proof.
  const named = text.indexOf('"newer"');
  const check = fc.asyncProperty(
    fc.integer({ min: named, max: text.length - 1 }),
    fc.constantFrom('0', 'A', '"', '}', '\n'),
    async (at, character) => {
      fc.pre(text[at] !== character);
      const changed = `${text.slice(0, at)}${character}${text.slice(at + 1)}`;
      let evidence: ForkEvidence;
      try {
        evidence = decodeEvidence(changed);
      } catch (error) {
        assert.ok(error instanceof RegistryError);
        return;
      }
      assert.equal((await judge(evidence)).isProven, false, changed);
    },
  );
  await fc.assert(check, { numRuns: 200 });
});

test('what is no evidence is refused by its form', () => {
  const { proof } = JSON.parse(encodeEvidence(evidenceOf()));
  const base = JSON.parse(encodeEvidence(evidenceOf()));
  for (const value of [
    {},
    [],
    { ...base, schema: 'quorate/evidence/v2' },
    { ...base, more: 1 },
    { ...base, proof: null },
    { ...base, proof: { ...proof, leaf: 'AA==' } },
    { ...base, proof: { ...proof, inclusion: Array(64).fill(proof.leaf) } },
    { ...base, log_keys: 'x' },
  ])
    assert.throws(() => decodeEvidence(JSON.stringify(sorted(value))), { code: 'malformed' });
  const long = { ...base, older: 'x'.repeat(MAX_EVIDENCE_BYTES) };
  assert.throws(() => decodeEvidence(JSON.stringify(sorted(long))), /at most \d+ bytes/);
});

function lengthened(): ForkEvidence['proof'] {
  const proof = proofOf(other, 5, 9) ?? assert.fail();
  return { ...proof, inclusion: [...proof.inclusion, proof.leaf] };
}

function sorted(value: object): object {
  if (Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
