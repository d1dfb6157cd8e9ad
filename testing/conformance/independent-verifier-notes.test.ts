/** verify.py and core agree about keys, notes, cosignatures, policies and kept proofs, whole and mutated. */
import { generateKeyPairSync, sign } from 'node:crypto';
import { test } from 'node:test';
import { bytesToHex } from '@noble/hashes/utils.js';
import fc from 'fast-check';
import { encodeBase64 } from '../../src/core/bytes.ts';
import { encodeCheckpoint } from '../../src/core/tlog/checkpoint.ts';
import { cosignedSubtree, encodeCosignature } from '../../src/core/tlog/cosignature.ts';
import { encodeNote, type NoteSignature } from '../../src/core/tlog/note.ts';
import { readSignedCheckpoint, signersOf } from '../../src/core/tlog/note-signatures.ts';
import { NO_WITNESSES, parsePolicy } from '../../src/core/tlog/policy.ts';
import { encodeProofFile, parseProofFile } from '../../src/core/tlog/proof-file.ts';
import { assertWitnessed } from '../../src/core/tlog/witnessed.ts';
import { encodeVerifierKey, parseVerifierKey } from '../../src/core/vkey.ts';
import { createNoteVerifier } from '../../src/server/note-verifier.ts';
import { logSignature, makeCosigner, signedNote } from '../support/core-checkpoint.ts';
import { sampled } from '../support/core-long.ts';
import { logKey, ORIGIN } from '../support/core-registry.ts';
import { assertSameVerdicts, NEEDS_PYTHON, type SharedCase } from '../support/second-verifier.ts';

const verifier = createNoteVerifier();
const ROOT = new Uint8Array(32).fill(0xab);
const TIME = 1_795_251_605;
const [W1, W2, W3] = [61, 62, 63].map((seed, i) => makeCosigner(`w${i + 1}.example.com`, seed));
const WITNESSES = [W1!, W2!, W3!];
const POLICY = [
  '# three machines of one house',
  ...WITNESSES.map(({ vkey }, i) => `witness w${i + 1} ${vkey}`),
  'group two 2 w1 w2 w3',
  'quorum two',
].join('\n');
const INSERTIONS = [
  '',
  ' ',
  '\n',
  '\n\n',
  '\t',
  '\r',
  '+',
  '=',
  '0',
  '1',
  'A',
  '\u2014 ',
  '\u2014',
  '-',
  '\u0085',
  '\u00a0',
  '\u2028',
  '\ufeff',
  '\u007f',
  '\u0000',
  '\u001f',
  'é',
  '😀',
  '#',
  'none',
  'any',
];

/** One or two edits somewhere in one of `texts`. */
function mutants(
  texts: readonly string[],
  { count, seed }: { count: number; seed: number },
): string[] {
  const edit = fc.tuple(fc.nat(1_000_000), fc.nat(2), fc.constantFrom(...INSERTIONS));
  const arbitrary = fc.tuple(
    fc.constantFrom(...texts),
    fc.array(edit, { minLength: 1, maxLength: 2 }),
  );
  return fc.sample(arbitrary, { numRuns: count, seed }).map(([text, edits]) =>
    edits.reduce((mutant, [at, cut, put]) => {
      const place = at % (mutant.length + 1);
      return mutant.slice(0, place) + put + mutant.slice(place + cut);
    }, text),
  );
}

function noteCase(
  what: string,
  note: string,
  vkeys: readonly string[],
  policyText: string | null = null,
): SharedCase {
  return {
    what,
    theirs: ['note', note, vkeys, policyText],
    ours: async () => {
      const checkpoint = readSignedCheckpoint(note);
      const keys = vkeys.map((vkey) => parseVerifierKey(vkey)!);
      const found = await signersOf(checkpoint, keys, verifier);
      const signers = [...found].map(([key, time]) => [vkeys[keys.indexOf(key)], time]).sort();
      const policy = policyText === null ? NO_WITNESSES : parsePolicy(policyText);
      const { time } = await assertWitnessed(checkpoint, policy, verifier);
      return [checkpoint.origin, checkpoint.size, encodeBase64(checkpoint.root), signers, time];
    },
  };
}

const cosigned = (...times: readonly (number | null)[]): string =>
  signedNote(
    { size: 7, root: ROOT },
    {
      more: (text) =>
        times.flatMap((time, i) => (time === null ? [] : [WITNESSES[i % 3]!.cosign(text, time)])),
    },
  );

test('both read the same notes, whole and mutated', NEEDS_PYTHON, (t) => {
  const extended = encodeNote({
    text: `a\n0\n${encodeBase64(ROOT)}\nmore\n`,
    signatures: [logSignature('')],
  });
  const bases = [signedNote({ size: 7 }), cosigned(TIME, TIME), extended, `x\n\n${extended}`];
  const cases = [...bases, ...mutants(bases, { count: 3000, seed: 3 })].map((note) =>
    noteCase('a note', note, []),
  );
  return assertSameVerdicts(t, cases, { accepted: 200, refused: 1500 });
});

test(
  'both refuse notes of too many signatures, of no size that can be, of characters without end',
  NEEDS_PYTHON,
  (t) => {
    const text = encodeCheckpoint({ origin: ORIGIN, size: 7, root: ROOT });
    const line = logSignature(text);
    const many = (count: number) =>
      encodeNote({ text, signatures: Array<NoteSignature>(count).fill(line) });
    const sized = (size: string) => many(1).replace('\n7\n', `\n${size}\n`);
    const padded = (length: number) => many(1).replace('=\n\n', `=\n${'😀'.repeat(length)}\n\n`);
    const notes = [many(1), many(100), many(101), `${text}\n`, text, '', '\n\n', `\n${many(1)}`];
    const sizes = [
      '0',
      '9007199254740991',
      '9007199254740992',
      '10000000000000000',
      '01',
      '-1',
      '7.0',
      '٧',
      '1e3',
      '',
    ];
    const lengths = [1000, 262_000, 262_144, 300_000];
    const cases = [...notes, ...sizes.map(sized), ...lengths.map(padded)].map((note) =>
      noteCase(note.slice(0, 60), note, []),
    );
    return assertSameVerdicts(t, cases, { accepted: 5, refused: 10 });
  },
);

test('both believe the same signatures, whole and mutated', NEEDS_PYTHON, (t) => {
  const vkeys = [logKey(), ...WITNESSES.map(({ vkey }) => vkey)];
  const bases = [
    cosigned(TIME, 0, TIME + 9),
    cosigned(TIME, null, null, TIME + 5),
    cosigned(TIME, TIME + 2),
  ];
  const chosen = sampled(t, mutants(bases, { count: 3000, seed: 5 }), 3);
  const other = makeCosigner('w1.example.com', 99).cosign('another text', TIME);
  const forged = { ...other, keyId: W1!.vkey.split('+')[1]! };
  const notes = [
    ...bases,
    ...chosen,
    signedNote({ size: 7 }, { seed: 201 }),
    signedNote({ size: 7 }, { more: () => [forged] }),
    signedNote({ size: 7 }, { more: () => [other] }),
    signedNote(
      { size: 7 },
      { more: (text) => [{ ...W1!.cosign(text, TIME), signature: new Uint8Array(71) }] },
    ),
    signedNote(
      { size: 7 },
      { more: (text) => [{ ...W1!.cosign(text, TIME), signature: new Uint8Array(72).fill(255) }] },
    ),
  ];
  // With other keys asked about, other lines are those of strangers.
  const cases = notes.flatMap((note, i) => [
    noteCase('a note', note, vkeys),
    noteCase('a note, some keys', note, [vkeys[i % 4]!, vkeys[(i + 1) % 4]!]),
  ]);
  return assertSameVerdicts(t, cases, { accepted: 50, refused: 1000 });
});

test('both find the same quorum of witnesses, and the same time of it', NEEDS_PYTHON, (t) => {
  const times = [null, 0, TIME, TIME + 1, TIME + 60];
  const policies = ['two', 'w1', 'none'].map((name) =>
    POLICY.replace('quorum two', `quorum ${name}`),
  );
  policies.push(
    POLICY.replace('group two 2', 'group two all'),
    POLICY.replace('group two 2', 'group two any'),
  );
  policies.push(
    POLICY.replace(
      'group two 2 w1 w2 w3\nquorum two',
      'group a any w2 w3\ngroup b all a w1\nquorum b',
    ),
  );
  const cases = policies.flatMap((policy) =>
    times.flatMap((a) =>
      times.flatMap((b) =>
        [null, TIME + 30].map((c) => noteCase(`${a} ${b} ${c}`, cosigned(a, b, c), [], policy)),
      ),
    ),
  );
  return assertSameVerdicts(t, cases, { accepted: 150, refused: 80 });
});

test('both accept the same policies', NEEDS_PYTHON, (t) => {
  const nested = `${POLICY.replace('quorum two', 'group all-of any two')}\nquorum all-of\n\n`;
  const logs = `log ${logKey()} https://log.example.com/\n \t# comment\nquorum none`;
  const lines = [
    ...POLICY.split('\n'),
    ...nested.split('\n'),
    ...logs.split('\n'),
    '',
    'group none any w1',
    'quorum none',
    'witness w4',
    'group x 0 w1',
    'group x 4 w1 w2',
    'group x any',
    'group y any x',
    'log',
    `log ${W1!.vkey}`,
    `witness w9 ${logKey()}`,
    `witness w8 ${W1!.vkey} http://w.example/`,
    'witness w1 x',
    'quorum',
  ];
  const shuffled = fc.sample(fc.shuffledSubarray(lines, { minLength: 1, maxLength: 9 }), {
    numRuns: 500,
    seed: 13,
  });
  const wrong = [
    `${logs.replace('https:', 'ftp:')}`,
    logs.replace('https://log.example.com/', 'log.example.com'),
    `${logs}\nlog ${logKey()}`,
    `${POLICY}\ngroup again any w1`,
    `${POLICY}\nwitness w4 ${makeCosigner('another.example.com', 61).vkey}`,
  ];
  const texts = [
    POLICY,
    nested,
    logs,
    ...wrong,
    ...mutants([POLICY, nested], { count: 1500, seed: 17 }),
    ...shuffled.map((some) => some.join('\n')),
  ];
  const cases = texts.map((text) => ({
    what: 'a policy',
    theirs: ['policy', text],
    ours: () => {
      const { logs: found, witnesses, groups, quorum } = parsePolicy(text);
      return [
        found.length,
        witnesses.map(({ name }) => name).sort(),
        [...groups.keys()].sort(),
        quorum,
      ];
    },
  }));
  return assertSameVerdicts(t, cases, { accepted: 60, refused: 800 });
});

test('both read the same verifier keys', NEEDS_PYTHON, (t) => {
  const mlDsa = encodeVerifierKey({
    name: ORIGIN,
    type: 'ml-dsa-44',
    publicKey: new Uint8Array(1312).fill(3),
  });
  const odd = [1311, 1313, 32].map((length) =>
    encodeVerifierKey({ name: ORIGIN, type: 'ml-dsa-44', publicKey: new Uint8Array(length) }),
  );
  const names = [
    'é',
    'a b',
    'a\u0085b',
    'a\u00a0b',
    'a\ufeffb',
    'a\u2028b',
    'a\u007fb',
    'a\u0000b',
    '',
  ];
  const named = names.map((name) => encodeVerifierKey({ name, publicKey: ROOT }));
  const bases = [logKey(), W1!.vkey, mlDsa];
  const cases = [
    ...bases,
    ...odd,
    ...named,
    ...mutants(bases.slice(0, 2), { count: 600, seed: 19 }),
  ].map((text) => ({
    what: text.slice(0, 120),
    theirs: ['vkey', text],
    ours: () => {
      const key = parseVerifierKey(text);
      const type = { ed25519: 1, cosigner: 4, 'ml-dsa-44': 6 };
      return key && [key.name, key.keyId, type[key.type], bytesToHex(key.publicKey)];
    },
  }));
  return assertSameVerdicts(t, cases, { accepted: 4, refused: 500 });
});

test('both read the same kept proofs', NEEDS_PYTHON, (t) => {
  const note = signedNote();
  const proof = [ROOT, new Uint8Array(32)];
  const long = (count: number) => Array<Uint8Array>(count).fill(ROOT);
  const texts = [
    encodeProofFile({ index: 5, proof, note }),
    encodeProofFile({ index: 0, proof: [], note }),
    encodeProofFile({ index: 2 ** 53 - 1, proof, note, extra: ROOT }),
    encodeProofFile({ index: 5, proof: long(63), note, extra: new Uint8Array() }),
  ];
  const wrong = [
    encodeProofFile({ index: 5, proof: long(64), note }),
    encodeProofFile({ index: 2 ** 53, proof, note }),
    encodeProofFile({ index: 5, proof: [ROOT.slice(1)], note }),
  ];
  const heads = texts.slice(0, 3).map((text) => text.slice(0, text.indexOf('\n\n') + 2));
  const cases = [...texts, ...wrong, ...mutants(heads, { count: 1200, seed: 23 })].map((text) => ({
    what: text.slice(0, 200),
    theirs: ['proof', text],
    ours: () => {
      const found = parseProofFile(text);
      return [found.index, found.proof.map(encodeBase64), found.note];
    },
  }));
  return assertSameVerdicts(t, cases, { accepted: 30, refused: 600 });
});

test('both give the same verdicts on post-quantum signatures of a log', NEEDS_PYTHON, (t) => {
  if (verifier.verifyMlDsa === undefined) {
    t.skip('this Node has no ML-DSA: NOTHING POST-QUANTUM WAS CHECKED');
    return;
  }
  const { publicKey, privateKey } = generateKeyPairSync('ml-dsa-44');
  const key = Uint8Array.from(publicKey.export({ format: 'der', type: 'spki' }).subarray(-1312));
  const vkey = encodeVerifierKey({ name: ORIGIN, type: 'ml-dsa-44', publicKey: key });
  const checkpoint = { origin: ORIGIN, size: 7, root: ROOT };
  const signed = (
    timestamp: number,
    damage: (bytes: Uint8Array) => Uint8Array = (bytes) => bytes,
  ): string =>
    signedNote(checkpoint, {
      more: () => {
        const message = cosignedSubtree(checkpoint, { cosigner: ORIGIN, timestamp });
        const signature = encodeCosignature({
          timestamp,
          signature: sign(null, message, privateKey),
        });
        return [{ name: ORIGIN, keyId: vkey.split('+')[1]!, signature: damage(signature) }];
      },
    });
  const flip = (at: number) => (bytes: Uint8Array) => bytes.with(at, bytes[at]! ^ 1);
  const places = [0, 7, 8, 39, 40, 41, 1000, 2343, 2344, 2400, 2424, 2427];
  const notes = [
    signed(0),
    signed(TIME),
    ...places.map((at) => signed(0, flip(at))),
    signed(0, otherHintOrder),
    signed(0, hintPadding),
    signed(0, (bytes) => bytes.slice(0, -1)),
    signed(0, (bytes) => Uint8Array.from([...bytes, 0])),
  ];
  const cases = notes.map((note, i) => noteCase(`note ${i}`, note, [logKey(), vkey]));
  return assertSameVerdicts(t, cases, { accepted: 2, refused: 16 });
});

/** FIPS 204 `HintBitUnpack`: 80 places in rising order within each polynomial, then 4 ends. */
const HINTS = 8 + 32 + 4 * 576;

/** The same hints, two of one polynomial in another order. */
function otherHintOrder(bytes: Uint8Array): Uint8Array {
  const ends = [0, ...bytes.subarray(HINTS + 80)];
  const i = ends.findIndex((end, nth) => nth > 0 && end - ends[nth - 1]! >= 2);
  const at = HINTS + ends[i - 1]!;
  return bytes.with(at, bytes[at + 1]!).with(at + 1, bytes[at]!);
}

/** The same hints, and a place behind them that counts for none. */
function hintPadding(bytes: Uint8Array): Uint8Array {
  return bytes.with(HINTS + 79, 1);
}
