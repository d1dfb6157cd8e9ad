/** verify.py and core agree about what proves a fork, and about everything near it that proves nothing. */
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeUtf8, encodeUtf8 } from '../../src/core/bytes.ts';
import { parseCanonical } from '../../src/core/canonical.ts';
import {
  decodeEvidence,
  encodeEvidence,
  type ForkEvidence,
  judgeEvidence,
} from '../../src/core/tlog/evidence.ts';
import { proveInclusion } from '../../src/core/tlog/merkle.ts';
import { parseLogKeys } from '../../src/core/vkey.ts';
import { createNoteVerifier } from '../../src/server/note-verifier.ts';
import { signedNote } from '../support/core-checkpoint.ts';
import { TestLog } from '../support/core-log.ts';
import { sampled } from '../support/core-long.ts';
import { mutantArbitrary } from '../support/core-mutants.ts';
import {
  appendGenesis,
  descriptorsMembers,
  logKey,
  ORIGIN,
  put,
} from '../support/core-registry.ts';
import { assertSameVerdicts, NEEDS_PYTHON, type SharedCase } from '../support/second-verifier.ts';

const verifier = createNoteVerifier();
const SIZE = 7;
const KEYS = [logKey()];

/** Two logs of one genesis part ways after `common` entries. */
function branch(name: string, common: number): TestLog {
  const log = new TestLog(appendGenesis());
  while (log.appended.length < SIZE) {
    const { length } = log.appended;
    const id = length < common ? `d${length}` : `${name}${length}`;
    log.add(descriptorsMembers(log.chain.registry, [put(log.chain, id)]));
  }
  return log;
}

async function proofIn(log: TestLog, older: number, size: number): Promise<ForkEvidence['proof']> {
  const place = { index: older - 1, size };
  const leaf = log.at(older - 1).nodes[0]!.hash;
  return { leaf, inclusion: await proveInclusion(place, log.read) };
}

function evidenceCase(
  what: string,
  bytes: Uint8Array,
  vkeys: readonly string[] = KEYS,
): SharedCase {
  return {
    what,
    theirs: ['evidence', Buffer.from(bytes).toString('base64'), vkeys],
    ours: async () => {
      const verdict = await judgeEvidence(
        decodeEvidence(decodeUtf8(bytes)),
        parseLogKeys(vkeys),
        verifier,
      );
      return verdict.isProven ? verdict.sizes : undefined;
    },
  };
}

test('both find the same forks, between every two sizes of two logs', NEEDS_PYTHON, async (t) => {
  const cases: SharedCase[] = [];
  const logs = [branch('a', 4), branch('b', 4)] as const;
  for (let older = 1; older <= SIZE; older++)
    for (let newer = older; newer <= SIZE; newer++)
      for (const [from, to] of [
        [0, 0],
        [0, 1],
        [1, 0],
      ] as const) {
        const proof = older === newer ? null : await proofIn(logs[to], older, newer);
        const evidence = {
          origin: ORIGIN,
          logKeys: KEYS,
          older: await logs[from].note(older),
          newer: await logs[to].note(newer),
          proof,
        };
        cases.push(
          evidenceCase(
            `${older} of ${from}, ${newer} of ${to}`,
            encodeUtf8(encodeEvidence(evidence)),
          ),
        );
      }
  // Logs that part after 4 entries: every pair with an older size beyond that, from one to the other.
  await assertSameVerdicts(t, cases, { accepted: 12, refused: 60 });
});

test(
  'both are shown nothing by evidence that is cut, exchanged, signed by others or of another log',
  NEEDS_PYTHON,
  async (t) => {
    const [a, b] = [branch('a', 4), branch('b', 4)];
    const proof = (await proofIn(b, 6, SIZE))!;
    const whole: ForkEvidence = {
      origin: ORIGIN,
      logKeys: KEYS,
      older: await a.note(6),
      newer: await b.note(SIZE),
      proof,
    };
    const other = signedNote({
      origin: 'registry.example.com/other',
      size: SIZE,
      root: b.chain.tree.root,
    });
    const edits: Record<string, Partial<ForkEvidence>> = {
      whole: {},
      'no key named': { logKeys: [] },
      'keys that are none': { logKeys: ['x', ''] },
      'too many keys': { logKeys: Array<string>(17).fill('x') },
      'another origin': { origin: 'registry.example.com/other' },
      'notes exchanged': { older: whole.newer, newer: whole.older },
      'one note twice': { older: whole.newer },
      'no proof': { proof: null },
      'a proof of the other log': { proof: await proofIn(a, 6, SIZE) },
      'a proof of another leaf': { proof: await proofIn(b, 5, SIZE) },
      'a proof cut short': { proof: { ...proof, inclusion: proof.inclusion.slice(1) } },
      'a proof too long': { proof: { ...proof, inclusion: [...proof.inclusion, proof.leaf] } },
      'a newer note of another log': { newer: other },
      'two notes of another log': {
        older: other,
        newer: other,
        origin: 'registry.example.com/other',
      },
      'an older note by another key': { older: await a.note(6, { seed: 201 }) },
      'a newer note by another key': { newer: await b.note(SIZE, { seed: 201 }) },
      'a note changed under its signature': { newer: whole.newer.replace(`\n${SIZE}\n`, '\n8\n') },
      'no note': { older: '' },
      'two roots of one size, with a proof beside': { older: await a.note(SIZE) },
      'two roots of one size': { older: await a.note(SIZE), proof: null },
      'an empty older tree': { older: signedNote({ size: 0 }), proof: null },
      'two roots of no leaves': {
        older: signedNote({ size: 0 }),
        newer: signedNote({ size: 0, root: new Uint8Array(32) }),
        proof: null,
      },
    };
    const cases = Object.entries(edits).flatMap(([what, members]) => {
      const bytes = encodeUtf8(encodeEvidence({ ...whole, ...members }));
      return [KEYS, [logKey(ORIGIN, 201)], [logKey(ORIGIN, 201), ...KEYS]].map((vkeys) =>
        evidenceCase(what, bytes, vkeys),
      );
    });
    cases.push(evidenceCase('with a line feed', encodeUtf8(`${encodeEvidence(whole)}\n`)));
    cases.push(evidenceCase('with a space before', encodeUtf8(` ${encodeEvidence(whole)}`)));
    await assertSameVerdicts(t, cases, { accepted: 12, refused: 40 });
  },
);

test('both find the same forks in evidence that is mutated', NEEDS_PYTHON, async (t) => {
  const [a, b] = [branch('a', 4), branch('b', 4)];
  const bases = await Promise.all(
    [6, SIZE].map(async (older) => ({
      origin: ORIGIN,
      logKeys: KEYS,
      older: await a.note(older),
      newer: await b.note(SIZE),
      proof: older === SIZE ? null : await proofIn(b, older, SIZE),
    })),
  );
  const documents = bases.map((evidence) => parseCanonical(encodeUtf8(encodeEvidence(evidence))));
  const mutants = fc.sample(mutantArbitrary(documents), { numRuns: 1600, seed: 41 });
  const cases = sampled(t, mutants, 2).map((bytes) => evidenceCase('a mutant', bytes));
  await assertSameVerdicts(t, cases, { accepted: 50, refused: 300 });
});
