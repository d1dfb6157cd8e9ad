/** The small parts under every entry, each beside what Node has for about the same, and the quorum of M signers. */
import { hash } from 'node:crypto';
import { canonicalBytes } from '../../src/core/canonical.ts';
import { hashOf } from '../../src/core/hash.ts';
import { decodeLeaf, encodeLeaf, type Leaf } from '../../src/core/leaf.ts';
import { countQuorum } from '../../src/core/quorum.ts';
import { LogTree } from '../../src/core/tlog/log-tree.ts';
import {
  appendGenesis,
  decode,
  descriptorsMembers,
  governanceOf,
  makeSigner,
  put,
} from '../support/core-registry.ts';
import type { Pair } from './core.ts';

const BYTES = 4_096;

export function smallPairs(): Pair[] {
  const { chain, leaf } = appendGenesis();
  const changes = [put(null, 'one', { text: 'x'.repeat(BYTES) })];
  const value = descriptorsMembers(chain.registry, changes);
  return [...bytePairs(value), leafPair(leaf), treePair(), quorumPair(5)];
}

function bytePairs(value: unknown): Pair[] {
  const bytes = new Uint8Array(BYTES).fill(7);
  return [
    {
      name: 'canonical bytes of 4 KB',
      run: () => canonicalBytes(value),
      bare: { name: 'JSON.stringify', run: () => JSON.stringify(value) },
    },
    {
      name: 'BLAKE3 of 4 KB',
      run: () => hashOf(bytes),
      bare: { name: 'sha256 of crypto', run: () => hash('sha256', bytes, 'hex') },
    },
  ];
}

function leafPair(leaf: Leaf): Pair {
  const text = JSON.stringify(leaf);
  return {
    name: 'leaf: encode and decode',
    run: () => decodeLeaf(encodeLeaf(leaf)),
    bare: { name: 'JSON.parse and JSON.stringify', run: () => JSON.stringify(JSON.parse(text)) },
  };
}

/** The edge of 1,000 leaves is six hashes, of a million seven. */
function treePair(): Pair {
  const record = new Uint8Array(500);
  let tree = LogTree.EMPTY;
  for (let i = 0; i < 1_000; i++) tree = tree.with(record).tree;
  return {
    name: 'log tree: append and root',
    run: () => tree.with(record).tree.root,
    bare: { name: 'sha256 of crypto', run: () => hash('sha256', record, 'hex') },
  };
}

function quorumPair(count: number): Pair {
  const { run } = quorumOf(count);
  const text = JSON.stringify(Array.from({ length: count }, (_, i) => `org:acme#signer-${i}`));
  return {
    name: `quorum of ${count}`,
    run,
    bare: { name: 'JSON.parse of their ids', run: () => JSON.parse(text) },
  };
}

/** All of `count` signers have approved, all of them must. */
export function quorumOf(count: number): { readonly run: () => unknown } {
  const signers = Array.from({ length: count }, (_, i) =>
    makeSigner(`org:acme#signer-${i}`, i + 1),
  );
  const governance = governanceOf(signers, { threshold: count });
  const { chain } = appendGenesis();
  const { payload } = decode(descriptorsMembers(chain.registry, [put(null, 'one')]));
  const approved = signers.map((signer) => signer.signer_id);
  return { run: () => countQuorum(payload, governance, approved) };
}
