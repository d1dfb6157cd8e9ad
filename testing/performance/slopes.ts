/** How costs grow with the registry: as exponents, which need no machine to compare with, and as a curve. */
import { randomBytes } from 'node:crypto';
import { verifyBranch } from '../../src/core/set-proof.ts';
import type { SetChange } from '../../src/core/set-rows.ts';
import { SetTree } from '../../src/core/set-tree.ts';
import { quorumOf } from './core-parts.ts';
import type { Bound, Curve } from './run-file.ts';
import { exponentOf, median } from './statistics.ts';
import { appendRatio, MAX_EXPONENT, measureTree, type TreeCost, treeExponent } from './tree.ts';

const SIZES = [1_000, 10_000, 100_000];
const SAMPLES = 400;
/** A path is log n long: from 10^3 to 10^5 that is n^0.11. Noise and caches come on top. */
const MAX_SET_EXPONENT = 0.3;
/** Linear, and sorting. */
const MAX_QUORUM_EXPONENT = 1.2;

interface SetCost {
  readonly size: number;
  /** Microseconds. */
  readonly updateUs: number;
  readonly proofUs: number;
}

export interface Slopes {
  readonly bounds: readonly Bound[];
  readonly curve: Curve;
}

export async function measureSlopes(): Promise<Slopes> {
  const tree = await measureTree(SIZES.at(-1) ?? 0);
  const sets = measureSets();
  const logExponent = (name: string, cost: (at: TreeCost) => number): Bound => ({
    name: `${name}, exponent of the log's length`,
    value: treeExponent(tree, cost),
    max: MAX_EXPONENT,
  });
  return {
    bounds: [
      logExponent('durable append over a bare one', appendRatio),
      { ...logExponent('inclusion proof', ({ proofMs }) => proofMs), max: MAX_SET_EXPONENT },
      setBound('set update', sets, ({ updateUs }) => updateUs),
      setBound('set proof', sets, ({ proofUs }) => proofUs),
      quorumBound(),
    ],
    curve: {
      title: 'Cost against size',
      xLabel: 'entries in the log, or descriptors in the set',
      yLabel: 'microseconds',
      isLogX: true,
      isLogY: true,
      lines: [
        { name: 'durable append', points: tree.map((at) => [at.leaves, at.appendMs * 1_000]) },
        { name: 'inclusion proof', points: tree.map((at) => [at.leaves, at.proofMs * 1_000]) },
        { name: 'set update', points: sets.map((at) => [at.size, at.updateUs]) },
        { name: 'set proof', points: sets.map((at) => [at.size, at.proofUs]) },
      ],
    },
  };
}

function setBound(name: string, sets: readonly SetCost[], cost: (at: SetCost) => number): Bound {
  const [first, last] = [sets[0], sets.at(-1)];
  if (first === undefined || last === undefined) throw new Error('expected sizes, got none');
  const at = (one: SetCost) => ({ size: one.size, cost: cost(one) });
  const value = exponentOf(at(first), at(last));
  return { name: `${name}, exponent of the set's size`, value, max: MAX_SET_EXPONENT };
}

/** Each of M signers is looked at once. */
function quorumBound(): Bound {
  const [few, many] = [8, 128].map((size) => ({ size, cost: quorumUs(size) }));
  if (few === undefined || many === undefined) throw new Error('expected two sizes, got less');
  return {
    name: 'quorum, exponent of its signers',
    value: exponentOf(few, many),
    max: MAX_QUORUM_EXPONENT,
  };
}

function quorumUs(signers: number): number {
  const { run } = quorumOf(signers);
  const turns = Array.from({ length: SAMPLES }, () => {
    const began = performance.now();
    run();
    return (performance.now() - began) * 1_000;
  });
  return median(turns);
}

function measureSets(): readonly SetCost[] {
  // Compiled first, or the smallest pays for it.
  measureSet(SetTree.EMPTY.with(drawn(1_000)));
  let tree = SetTree.EMPTY;
  return SIZES.map((size) => {
    tree = tree.with(drawn(size - tree.size));
    return measureSet(tree);
  });
}

function measureSet(tree: SetTree): SetCost {
  const updates: number[] = [];
  const proofs: number[] = [];
  for (const change of drawn(SAMPLES)) {
    const began = performance.now();
    const changed = tree.with([change]);
    const between = performance.now();
    verifyBranch({ root: changed.rootHash, path: change.path }, changed.branch(change.path));
    updates.push((between - began) * 1_000);
    proofs.push((performance.now() - between) * 1_000);
  }
  return { size: tree.size, updateUs: median(updates), proofUs: median(proofs) };
}

function drawn(count: number): SetChange[] {
  return Array.from({ length: count }, () => ({
    path: Uint8Array.from(randomBytes(32)),
    valueHash: Uint8Array.from(randomBytes(32)),
  }));
}
