/** The vectors of erased entries: made again to the same bytes, and verified by core and by verify.py. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { encodeUtf8 } from '../../src/core/bytes.ts';
import { type Appended, type Chain, verifyEntry } from '../../src/core/chain.ts';
import { createPortableVerifier } from '../../src/core/verifier.ts';
import { eraseVectorsText } from '../support/core-erase-vectors.ts';
import { NEEDS_PYTHON, secondVerdict } from '../support/second-verifier.ts';

interface EraseVectors {
  readonly registry: string;
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

test('the vectors are what their generator makes', () => {
  assert.equal(eraseVectorsText(), text);
});

test('every entry verifies, those that erase with them', async () => {
  const verifier = createPortableVerifier();
  let chain: Chain | null = null;
  for (const { leaf, payload, approvals, entry_hash, version } of vectors.entries) {
    const entry = {
      leaf: encodeUtf8(leaf),
      payload: encodeUtf8(payload),
      approvals: encodeUtf8(approvals),
    };
    const isCommitted = (): boolean => false;
    const verified: Appended = await verifyEntry(chain, entry, { verifier, isCommitted });
    chain = verified.chain;
    assert.deepEqual([chain.version, chain.entryHash], [version, entry_hash]);
  }
  assert.equal(chain?.registry, vectors.registry);
});

test('the second verifier reaches the same head', NEEDS_PYTHON, () => {
  const lines = vectors.entries.map(
    ({ approvals, leaf, payload }) =>
      `{"approvals":${approvals},"leaf":${leaf},"payload":${payload}}\n`,
  );
  const { found, refusal } = secondVerdict('ndjson', ['-'], lines.join(''));
  assert.equal(refusal, '');
  const last = vectors.entries.at(-1);
  assert.partialDeepStrictEqual(found, { entry_hash: last?.entry_hash, version: last?.version });
});
