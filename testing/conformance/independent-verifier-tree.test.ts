/** verify.py and core agree about the tree: roots, proofs, tiles and bundles, whole and damaged. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { before, test } from 'node:test';
import fc from 'fast-check';
import { encodeBase64, encodeUtf8 } from '../../src/core/bytes.ts';
import {
  foldInclusion,
  isConsistent,
  proveConsistency,
  proveInclusion,
  recordHash,
} from '../../src/core/tlog/merkle.ts';
import {
  decodeBundle,
  encodeBundle,
  formatTileName,
  parseTileName,
  TILE_WIDTH,
  tileWidth,
} from '../../src/core/tlog/tiles.ts';
import { type GrownTree, growTree } from '../support/core-tlog.ts';
import {
  assertSameVerdicts,
  NEEDS_PYTHON,
  type SharedCase,
  secondVerdict,
} from '../support/second-verifier.ts';

const VECTORS = new URL('vectors/tlog-vectors.json', import.meta.url).pathname;
const SIZES = [1, 2, 255, 256, 257, 600, 70_000] as const;
const leafOf = (index: number): Uint8Array => encodeUtf8(`leaf ${index}`);

let grown: GrownTree;
before(() => {
  grown = growTree(Array.from({ length: 70_000 }, (_, i) => leafOf(i)));
});

test('the second verifier audits the vectors of the log', NEEDS_PYTHON, () => {
  const { found, refusal } = secondVerdict('tlog', [VECTORS]);
  assert.equal(refusal, '');
  assert.deepEqual(found, { inclusion: 36, consistency: 36 });
});

/** As `tiles_case` in verify.py. */
async function tilesOf(size: number): Promise<unknown> {
  const digest = createHash('sha256');
  let count = 0;
  for (let level = -1; level < 64; level++) {
    const name = { level: level < 0 ? ('entries' as const) : level, index: 0 };
    if (tileWidth(name, size) === 0 && level >= 0) break;
    for (let width = tileWidth(name, size); width > 0; width = tileWidth(name, size)) {
      const first = name.index * TILE_WIDTH;
      const places = Array.from({ length: width }, (_, i) => ({
        level: level * 8,
        index: first + i,
      }));
      const bytes =
        level < 0
          ? encodeBundle(places.map(({ index }) => leafOf(index)))
          : Buffer.concat(await grown.read(places));
      digest.update(`${formatTileName({ ...name, width })}\0`).update(bytes);
      count++;
      name.index++;
    }
  }
  return [encodeBase64(grown.trees[size]!.root), digest.digest('hex'), count];
}

test('both make the same tiles and bundles, at every size that is an edge', NEEDS_PYTHON, (t) =>
  assertSameVerdicts(
    t,
    SIZES.map((size) => ({
      what: `size ${size}`,
      theirs: ['tiles', size],
      ours: () => tilesOf(size),
    })),
    { accepted: SIZES.length, refused: 0 },
  ),
);

const hashes = (proof: readonly Uint8Array[]): string[] => proof.map(encodeBase64);

function inclusionCase(
  what: string,
  claim: { record: Uint8Array; index: number; size: number; proof: readonly Uint8Array[] },
): SharedCase {
  return {
    what,
    theirs: ['inclusion', encodeBase64(claim.record), claim.index, claim.size, hashes(claim.proof)],
    ours: () => {
      const folded = foldInclusion(claim);
      return folded && [folded.root, folded.prefixRoot].map(encodeBase64);
    },
  };
}

/** Each proof as it is, and damaged in every way that keeps it a list of byte strings. */
function damagedProofs(proof: readonly Uint8Array[]): (readonly [string, readonly Uint8Array[]])[] {
  const [first = new Uint8Array(32)] = proof;
  return [
    ['whole', proof],
    ['without its first', proof.slice(1)],
    ['without its last', proof.slice(0, -1)],
    ['with one more', [...proof, first]],
    ['turned round', proof.toReversed()],
    ['with a short hash', [first.slice(1), ...proof.slice(1)]],
    ['with a long hash', [...proof.slice(1), Buffer.concat([first, first])]],
    ['with another hash', [recordHash(first), ...proof.slice(1)]],
  ];
}

test('both fold the same proofs of inclusion, whole and damaged', NEEDS_PYTHON, async (t) => {
  const cases: SharedCase[] = [];
  for (let size = 1; size <= 17; size++)
    for (let index = 0; index < size; index++) {
      const whole = await proveInclusion({ index, size }, grown.read);
      const record = recordHash(leafOf(index));
      for (const [what, proof] of damagedProofs(whole))
        cases.push(inclusionCase(`${index} of ${size}, ${what}`, { record, index, size, proof }));
      for (const [at, of] of [
        [index + 1, size],
        [index, size + 1],
        [index - 1, size],
        [size, size],
      ] as const)
        cases.push(
          inclusionCase(`${index} of ${size} as ${at} of ${of}`, {
            record,
            index: at,
            size: of,
            proof: whole,
          }),
        );
    }
  for (const index of [0, 65_535, 65_536, 69_999]) {
    const proof = await proveInclusion({ index, size: 70_000 }, grown.read);
    cases.push(
      inclusionCase(`${index}`, { record: recordHash(leafOf(index)), index, size: 70_000, proof }),
    );
  }
  await assertSameVerdicts(t, cases, { accepted: 400, refused: 800 });
});

test('both judge the same proofs of consistency, whole and damaged', NEEDS_PYTHON, async (t) => {
  const cases: SharedCase[] = [];
  const add = (what: string, from: number, size: number, proof: readonly Uint8Array[]): void => {
    const fromRoot = grown.trees[Math.max(0, from)]!.root;
    const root = grown.trees[size]!.root;
    cases.push({
      what: `${from} to ${size}, ${what}`,
      theirs: [
        'consistency',
        from,
        size,
        hashes(proof),
        encodeBase64(fromRoot),
        encodeBase64(root),
      ],
      ours: () => isConsistent({ from, size, proof, fromRoot, root }) || undefined,
    });
  };
  for (let size = 0; size <= 17; size++)
    for (let from = 0; from <= size; from++) {
      const whole = await proveConsistency({ from, size }, grown.read);
      for (const [what, proof] of damagedProofs(whole)) add(what, from, size, proof);
      add('of the size before', from - 1, size, whole);
      add('of the size after', from + 1, size, whole);
    }
  await assertSameVerdicts(t, cases, { accepted: 171, refused: 1000 });
});

test('both know the same names of tiles', NEEDS_PYTHON, (t) => {
  const names = [0, 1, 999, 1000, 1_234_067, 10 ** 15].flatMap((index) =>
    ([0, 1, 9, 10, 63, 'entries'] as const).flatMap((level) =>
      [1, 9, 10, 255, 256].map((width) => formatTileName({ level, index, width })),
    ),
  );
  const edit = fc.record({
    at: fc.nat(40),
    cut: fc.nat(3),
    put: fc.constantFrom('', '0', 'x', '/', '000', 'x000/', '.p/', '64', '256', '１', '\n', '-1'),
  });
  const edits = fc.sample(fc.tuple(fc.constantFrom(...names), edit), { numRuns: 1500, seed: 7 });
  const mutants = edits.map(([name, { at, cut, put }]) => {
    const place = at % (name.length + 1);
    return name.slice(0, place) + put + name.slice(place + cut);
  });
  const cases = [...names, ...mutants].map((name) => ({
    what: name,
    theirs: ['tile_path', name],
    ours: () => {
      const parsed = parseTileName(name);
      return parsed && [parsed.level, parsed.index, parsed.width];
    },
  }));
  return assertSameVerdicts(t, cases, { accepted: names.length, refused: 700 });
});

test('both give tiles the same widths, and none beyond the tree', NEEDS_PYTHON, (t) => {
  const sizes = [
    0,
    1,
    255,
    256,
    257,
    511,
    512,
    65_535,
    65_536,
    65_537,
    70_000,
    2 ** 32,
    2 ** 53 - 1,
  ];
  const cases = sizes.flatMap((size) =>
    ([0, 1, 2, 6, 7, 63, 'entries'] as const).flatMap((level) =>
      [0, 1, 255, 256, 273, 2 ** 45 - 1].map((index) => ({
        what: `${level}/${index} of ${size}`,
        theirs: ['tile_width', level, index, size],
        ours: () => tileWidth({ level, index }, size),
      })),
    ),
  );
  return assertSameVerdicts(t, cases, { accepted: cases.length, refused: 0 });
});

test('both cut the same entry bundles into the same leaves', NEEDS_PYTHON, (t) => {
  const whole = encodeBundle([leafOf(0), new Uint8Array(), leafOf(1), new Uint8Array(300).fill(1)]);
  const arbitrary = fc.tuple(
    fc.nat(whole.length - 1),
    fc.nat(255),
    fc.nat(2),
    fc.constantFrom(3, 4, 4, 4, 5),
  );
  const cases: SharedCase[] = fc
    .sample(arbitrary, { numRuns: 600, seed: 11 })
    .map(([at, byte, how, count]) => {
      const bytes = Uint8Array.from(whole);
      if (how > 0) bytes[at] = byte;
      const data = how === 2 ? bytes.slice(0, at) : bytes;
      return {
        what: `${count} leaves`,
        theirs: ['entries', encodeBase64(data), count],
        ours: () => decodeBundle(data, count).map(encodeBase64),
      };
    });
  return assertSameVerdicts(t, cases, { accepted: 100, refused: 200 });
});
