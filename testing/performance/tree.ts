/**
 * What the log's tree costs as it grows, on the store of a macronode: a durable append and a proof at
 * 10^3 to 10^6 leaves, and what a start reads. Costs are held against each other, not against a clock;
 * the one figure in milliseconds is the proof's, which is promised to be below one.
 *
 *   node testing/performance/tree.ts [--leaves 1000000] [--output FILE]
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, styleText } from 'node:util';
import { encodeUtf8 } from '../../src/core/bytes.ts';
import { formatHash } from '../../src/core/hash.ts';
import { LogTree } from '../../src/core/tlog/log-tree.ts';
import { isIncluded, recordHash } from '../../src/core/tlog/merkle.ts';
import { loadTree } from '../../src/registry/log-nodes.ts';
import { LogProofs } from '../../src/registry/log-proofs.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import type { AppendEntry, Store } from '../../src/store/store.ts';
import { type Bare, fsyncedAppend } from './bare-writes.ts';
import { exponentOf, quantile } from './statistics.ts';

const SAMPLES = 200;
const BATCH = 2_000;
/** Cost must grow with log n: from 10^3 to 10^6 leaves log n doubles, a power of 0.1. */
export const MAX_EXPONENT = 0.15;
const MAX_PROOF_MS = 1;

export interface TreeCost {
  readonly leaves: number;
  readonly appendMs: number;
  /** Of 4 KB appended to a file and synced, in turns with it. */
  readonly bareMs: number;
  readonly proofMs: number;
  readonly proofP99Ms: number;
  readonly startNodes: number;
}

/** As large as a leaf is; nothing here reads what it says. */
function leafAt(version: number): Uint8Array {
  return encodeUtf8(JSON.stringify({ filler: 'x'.repeat(540), version }));
}

class Log {
  readonly #store: Store;
  tree: LogTree = LogTree.EMPTY;

  constructor(store: Store) {
    this.#store = store;
  }

  async grow(count: number): Promise<void> {
    const expected = this.tree.size - 1;
    const entries = Array.from({ length: count }, () => this.#next());
    const answer = await this.#store.append({ expected, entries });
    if (answer.outcome !== 'appended') throw new Error(`expected to append, got ${answer.outcome}`);
  }

  #next(): AppendEntry {
    const version = this.tree.size;
    const leaf = leafAt(version);
    const { tree, nodes } = this.tree.with(leaf);
    this.tree = tree;
    const [entryHash, payloadB3] = [formatHash(randomBytes(32)), formatHash(randomBytes(32))];
    const bytes = { leaf, payload: encodeUtf8('{}'), approvals: encodeUtf8('[]') };
    const expiresAt = '2026-11-28T09:00:00.000Z';
    const type = version === 0 ? 'genesis' : 'descriptors';
    return { ...bytes, version, entryHash, payloadB3, type, expiresAt, changes: [], nodes };
  }
}

async function timed(run: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await run();
  return performance.now() - start;
}

async function measureAt(store: Store, log: Log, bare: Bare): Promise<TreeCost> {
  const leaves = log.tree.size;
  const proofs = new LogProofs(store, () => log.tree);
  const proofMs: number[] = [];
  for (let i = 0; i < SAMPLES; i++) {
    const place = { version: Math.floor(Math.random() * leaves), size: leaves };
    let proof: readonly Uint8Array[] | undefined;
    proofMs.push(await timed(async () => (proof = await proofs.inclusion(place))));
    const { root } = log.tree;
    const claim = { index: place.version, size: leaves, proof: proof ?? [], root };
    if (!isIncluded({ ...claim, record: recordHash(leafAt(place.version)) }))
      throw new Error(`expected a proof of ${place.version} in ${leaves}, got none that holds`);
  }
  let startNodes = 0;
  await loadTree(
    {
      nodes: (places) => {
        startNodes += places.length;
        return store.nodes(places);
      },
    },
    leaves,
  );
  const appendMs: number[] = [];
  const bareMs: number[] = [];
  for (let i = 0; i < SAMPLES; i++) {
    appendMs.push(await timed(() => log.grow(1)));
    bareMs.push(await timed(async () => bare.run()));
  }
  return {
    leaves,
    appendMs: quantile(appendMs, 0.5),
    bareMs: quantile(bareMs, 0.5),
    proofMs: quantile(proofMs, 0.5),
    proofP99Ms: quantile(proofMs, 0.99),
    startNodes,
  };
}

/** At 10^3 leaves, ten times as many, and so on up to `most`. */
export async function measureTree(
  most: number,
  onMeasured: (at: TreeCost) => void = () => undefined,
): Promise<readonly TreeCost[]> {
  const directory = mkdtempSync(join(tmpdir(), 'quorate-tree-'));
  const measured: TreeCost[] = [];
  try {
    await using store = await openSqliteStore({
      path: join(directory, 'registry.db'),
      metrics: { fsync: () => undefined, checkpointed: () => undefined },
      onFatal: (error) => {
        throw error;
      },
    });
    using bare = fsyncedAppend(directory);
    const log = new Log(store);
    for (let target = 1_000; target <= most; target *= 10) {
      while (log.tree.size < target) await log.grow(Math.min(BATCH, target - log.tree.size));
      const at = await measureAt(store, log, bare);
      measured.push(at);
      onMeasured(at);
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  return measured;
}

/** The power of the number of leaves with which a cost grew from the first to the last. */
export function treeExponent(
  measured: readonly TreeCost[],
  cost: (at: TreeCost) => number,
): number {
  const [first, last] = [measured[0], measured.at(-1)];
  if (first === undefined || last === undefined) return Number.NaN;
  const at = (one: TreeCost) => ({ size: one.leaves, cost: cost(one) });
  return exponentOf(at(first), at(last));
}

/** Over a bare append: a disk that others use is slow for both. */
export function appendRatio({ appendMs, bareMs }: TreeCost): number {
  return appendMs / bareMs;
}

function show({ leaves, appendMs, proofMs, proofP99Ms, startNodes }: TreeCost): void {
  const proof = `proof ${proofMs.toFixed(3)} ms (p99 ${proofP99Ms.toFixed(3)})`;
  console.log(
    `${String(leaves).padStart(9)} leaves: append ${appendMs.toFixed(3)} ms, ${proof}, a start reads ${startNodes} nodes`,
  );
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { leaves: { type: 'string', default: '1000000' }, output: { type: 'string' } },
  });
  const measured = await measureTree(Number(values.leaves), show);
  const appendExponent = treeExponent(measured, appendRatio);
  const proofExponent = treeExponent(measured, ({ proofMs }) => proofMs);
  const isGood =
    appendExponent <= MAX_EXPONENT &&
    measured.every(({ proofMs, startNodes, leaves }) => {
      return proofMs < MAX_PROOF_MS && startNodes <= Math.log2(leaves) + 1;
    });
  console.log(
    `append grows with n^${appendExponent.toFixed(3)}, a proof with n^${proofExponent.toFixed(3)}`,
  );
  console.log(isGood ? styleText('green', 'as promised') : styleText('red', 'more than promised'));
  if (values.output !== undefined)
    writeFileSync(
      values.output,
      `${JSON.stringify({ appendExponent, proofExponent, measured }, null, 2)}\n`,
    );
  process.exitCode = isGood ? 0 : 1;
}
