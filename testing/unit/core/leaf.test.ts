import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeUtf8 } from '../../../src/core/bytes.ts';
import { canonicalBytes } from '../../../src/core/canonical.ts';
import { hashOf } from '../../../src/core/hash.ts';
import { decodeLeaf, encodeLeaf, entryHash, type Leaf } from '../../../src/core/leaf.ts';
import { refuses } from '../../support/core-assert.ts';
import { append, appendGenesis, descriptorsMembers, put } from '../../support/core-registry.ts';

const genesis = appendGenesis();
const { chain } = genesis;
const { leaf } = append(chain, descriptorsMembers(chain.registry, [put(chain, 'a')]));

test('a leaf survives the way to bytes and back, and its hash is the entry hash', () => {
  for (const each of [genesis.leaf, leaf]) assert.deepEqual(decodeLeaf(encodeLeaf(each)), each);
  assert.equal(entryHash(encodeLeaf(leaf)), hashOf(canonicalBytes(leaf)));
  assert.equal(genesis.leaf.prev_hash, null);
  assert.equal(leaf.prev_hash, genesis.chain.entryHash);
});

test('each member of a leaf is required, checked, and no other is allowed', () => {
  const refused = (members: object): void =>
    refuses('invalid_entry', () => decodeLeaf(canonicalBytes({ ...leaf, ...members })));
  for (const name of Object.keys(leaf)) {
    refused({ [name]: true });
    const rest = Object.fromEntries(Object.entries(leaf).filter(([key]) => key !== name));
    refuses('invalid_entry', () => decodeLeaf(canonicalBytes(rest)));
    if (name !== 'prev_hash') refused({ [name]: null });
  }
  refused({ more: 1 });
  refused({ version: -1 });
  refused({ set_size: -1 });
  refused({ payload_bytes: 0 });
  refused({ governance_version: 0 });
  refused({ type: 'other' });
  refused({ schema_version: '2.0.0' });
  refuses('not_canonical', () => decodeLeaf(encodeUtf8(`${JSON.stringify(leaf)} `)));
});

test('the largest leaf is under 1 KiB', () => {
  const largest: Leaf = {
    ...leaf,
    governance_version: Number.MAX_SAFE_INTEGER,
    origin: 'x'.repeat(255),
    payload_bytes: 1024 * 1024,
    set_size: Number.MAX_SAFE_INTEGER,
    version: Number.MAX_SAFE_INTEGER,
  };
  const bytes = encodeLeaf(largest);
  assert.deepEqual(decodeLeaf(bytes), largest);
  assert.ok(bytes.length < 1024, `${bytes.length} bytes`);
});
