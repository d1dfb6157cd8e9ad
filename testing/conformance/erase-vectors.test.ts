/** The vectors of erased entries: made again to the same bytes, and verified by core and by verify.py. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { encodeUtf8 } from '../../src/core/bytes.ts';
import { type Appended, type Chain, verifyEntry } from '../../src/core/chain.ts';
import { parseHash } from '../../src/core/hash.ts';
import type { EntryBytes } from '../../src/core/leaf.ts';
import { SetTree } from '../../src/core/set-tree.ts';
import { createPortableVerifier } from '../../src/core/verifier.ts';
import { followLeaf, verifyErased } from '../../src/core/without-payload.ts';
import { eraseVectorsText } from '../support/core-erase-vectors.ts';
import { NEEDS_PYTHON, secondVerdict } from '../support/second-verifier.ts';

interface EraseVectors {
  readonly registry: string;
  readonly erased: { readonly version: number; readonly erased_by: number }[];
  readonly oldest: number;
  readonly set_hashes: {
    readonly version: number;
    readonly items: { readonly path: string; value_hash: string }[];
  }[];
  readonly entries: readonly {
    readonly version: number;
    readonly entry_hash: string;
    readonly leaf: string;
    readonly payload: string;
    readonly approvals: string;
  }[];
}

const FILE = new URL('vectors/erase-vectors.json', import.meta.url);
const text = readFileSync(FILE, 'utf8');
const vectors: EraseVectors = JSON.parse(text);

type Texts = Record<keyof EntryBytes, string>;

function bytesOf({ leaf, payload, approvals }: Texts): EntryBytes {
  return {
    leaf: encodeUtf8(leaf),
    payload: encodeUtf8(payload),
    approvals: encodeUtf8(approvals),
  };
}

test('the vectors are what their generator makes', () => {
  assert.equal(eraseVectorsText(), text);
});

test('every entry verifies, those that erase with them', async () => {
  const verifier = createPortableVerifier();
  let chain: Chain | null = null;
  for (const { leaf, payload, approvals, entry_hash, version } of vectors.entries) {
    const entry = bytesOf({ leaf, payload, approvals });
    const isCommitted = (): boolean => false;
    const verified: Appended = await verifyEntry(chain, entry, { verifier, isCommitted });
    chain = verified.chain;
    assert.deepEqual([chain.version, chain.entryHash], [version, entry_hash]);
  }
  assert.equal(chain?.registry, vectors.registry);
});

test('without the payloads that were erased, and by leaves alone, core reaches the same heads', async () => {
  const isCommitted = (): boolean => false;
  const verifier = createPortableVerifier();
  let erased: Chain | null = null;
  let pruned: Chain | null = null;
  for (const { version, entry_hash, ...texts } of vectors.entries) {
    const { leaf, payload, approvals } = bytesOf(texts);
    const isErased = vectors.erased.some((each) => each.version === version);
    erased =
      isErased && erased !== null
        ? (
            await verifyErased(
              erased,
              { leaf, payload: null, approvals },
              { verifier, isCommitted },
            )
          ).chain
        : (
            await verifyEntry(
              erased && known(erased),
              { leaf, payload, approvals },
              { verifier, isCommitted },
            )
          ).chain;
    const isPruned = version < vectors.oldest && !texts.payload.includes('"governance"');
    pruned =
      isPruned && pruned !== null
        ? followLeaf(pruned, leaf, isCommitted).chain
        : (
            await verifyEntry(
              pruned && known(pruned),
              { leaf, payload, approvals },
              { verifier, isCommitted },
            )
          ).chain;
    assert.deepEqual([erased.entryHash, pruned.entryHash], [entry_hash, entry_hash]);
  }
});

/** With the set by the hashes of the vectors, where they have it. */
function known(chain: Chain): Chain {
  const shown = vectors.set_hashes.find(({ version }) => version === chain.version);
  if (shown === undefined) return chain;
  const leaves = shown.items.map(({ path, value_hash }) => ({
    path: parseHash(path),
    valueHash: parseHash(value_hash),
  }));
  const set = SetTree.EMPTY.with(leaves);
  assert.deepEqual([set.root, set.size], [chain.set.root, chain.set.size]);
  return { ...chain, set };
}

test('the second verifier reaches the same head', NEEDS_PYTHON, () => {
  const { found, refusal } = secondVerdict('erased', [FILE.pathname]);
  assert.equal(refusal, '');
  const last = vectors.entries.at(-1);
  const { entry_hash, version } = last ?? {};
  assert.partialDeepStrictEqual(found, { entry_hash, version, erased: 2, pruned: 4 });
});

test(
  'the second verifier refuses what core refuses of entries without their payload',
  NEEDS_PYTHON,
  () => {
    const refuses = (change: (changed: EraseVectors) => unknown, why: RegExp): void => {
      const changed = structuredClone(vectors);
      change(changed);
      assert.match(secondVerdict('erased', ['-'], JSON.stringify(changed)).refusal, why);
    };
    refuses((all) => all.erased.push({ version: 3, erased_by: 4 }), /an entry that erases version/);
    refuses((all) => all.erased.push({ version: 4, erased_by: 6 }), /descriptors or supersede/);
    refuses((all) => all.erased.push({ version: 5, erased_by: 6 }), /sets no governance/);
    refuses((all) => all.erased.push({ version: 0, erased_by: 6 }), /a genesis first/);
    refuses((all) => all.set_hashes.shift(), /the hashes of the set at version 2/);
    refuses((all) => all.set_hashes[0]?.items.pop(), /as many hashes/);
    refuses((all) => {
      const [first, second] = all.set_hashes[0]?.items ?? [];
      if (first !== undefined && second !== undefined) first.value_hash = second.value_hash;
    }, /the hashes of the set root/);
  },
);
