import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeApprovals } from '../../../src/core/approval.ts';
import { encodeBase64 } from '../../../src/core/bytes.ts';
import { canonicalBytes } from '../../../src/core/canonical.ts';
import {
  type Appended,
  type AppendInput,
  appendEntry,
  assertAdmitted,
  assertApprovals,
  assertLogKeysAdmitted,
  type Chain,
  verifyEntry,
} from '../../../src/core/chain.ts';
import { encodeDescriptor } from '../../../src/core/descriptor.ts';
import { type ErrorCode, RegistryError } from '../../../src/core/error.ts';
import { hashOf } from '../../../src/core/hash.ts';
import { decodeLeaf, type EntryBytes, type Leaf } from '../../../src/core/leaf.ts';
import { changesOf, type DecodedPayload } from '../../../src/core/payload.ts';
import { brokenFences, changePaths, nextGovernance } from '../../../src/core/rules.ts';
import { SetTree } from '../../../src/core/set-tree.ts';
import { formatTime } from '../../../src/core/time.ts';
import { IDENTITY_ENCODING } from '../../../src/core/verifier.ts';
import { encodeVerifierKey } from '../../../src/core/vkey.ts';
import { createNativeVerifier } from '../../../src/server/native-verifier.ts';
import { refuses, refusesLater } from '../../support/core-assert.ts';
import {
  ALICE,
  append,
  appendGenesis,
  approve,
  BOB,
  CAROL,
  DAVE,
  decode,
  descriptorsMembers,
  genesisMembers,
  governanceMembers,
  governanceOf,
  logKey,
  ORIGIN,
  put,
  remove,
  START_MS,
  supersedeMembers,
} from '../../support/core-registry.ts';

const verifier = createNativeVerifier();
const isCommitted = (): boolean => false;
const genesis = appendGenesis();
const { chain } = genesis;
const NOW = formatTime(START_MS + 5000);

function verify(on: Chain | null, entry: EntryBytes): Promise<Appended> {
  return verifyEntry(on, entry, { verifier, isCommitted });
}

function inputOf(proposal: DecodedPayload, members: Partial<AppendInput> = {}): AppendInput {
  const approvals = [ALICE, BOB].map((signer) => approve(signer, proposal));
  return { proposal, approvals, committedAt: NOW, isCommitted, ...members };
}

const change = decode(descriptorsMembers(chain.registry, [put(chain, 'a', { port: 1 })]));

function appendRefuses(code: ErrorCode, input: AppendInput, on: Chain | null = chain): void {
  refuses(code, () => appendEntry(on, input));
}

// --- what an entry does ---

test('genesis starts the chain', () => {
  assert.equal(chain.version, 0);
  assert.equal(chain.registry, genesis.leaf.payload_b3);
  assert.equal(chain.origin, ORIGIN);
  assert.equal(genesis.leaf.governance_version, 1);
  assert.equal(genesis.leaf.set_root, SetTree.EMPTY.root);
  assert.deepEqual(
    [...chain.signerKeys.keys()],
    [ALICE, BOB, CAROL].map((s) => s.signer_id),
  );
});

test('descriptors are put, replaced and removed behind their fences', () => {
  const one = append(chain, descriptorsMembers(chain.registry, [put(chain, 'a'), put(chain, 'b')]));
  assert.equal(one.chain.set.size, 2);
  assert.equal(one.changes[0]?.valueHash?.length, 32);
  const next = [put(one.chain, 'a', { port: 2 }), remove(one.chain, 'b')];
  const two = append(one.chain, descriptorsMembers(chain.registry, next));
  assert.equal(two.leaf.set_size, 1);
  assert.equal(two.leaf.prev_hash, one.chain.entryHash);
  assert.deepEqual([two.changes[1]?.bytes, two.changes[1]?.valueHash], [null, null]);
  assert.equal(one.chain.set.size, 2);
});

test('a governance entry carries the old governance version and leaves the new one', () => {
  const next = governanceOf([ALICE, BOB, DAVE], { version: 2 });
  const appended = append(chain, governanceMembers(chain, next), [ALICE, BOB, DAVE]);
  assert.equal(appended.leaf.governance_version, 1);
  assert.deepEqual(appended.chain.governance, next);
  const after = append(appended.chain, descriptorsMembers(chain.registry, [put(null, 'a')]), [
    BOB,
    DAVE,
  ]);
  assert.equal(after.leaf.governance_version, 2);
  refuses(
    'unknown_signer',
    () =>
      append(appended.chain, descriptorsMembers(chain.registry, [put(null, 'b')]), [BOB, CAROL]),
    /org:acme#carol/,
  );
});

test('a proposal stays committable while others change other descriptors', () => {
  const { chain: later } = append(chain, descriptorsMembers(chain.registry, [put(chain, 'z')]));
  assert.doesNotThrow(() => appendEntry(later, inputOf(change)));
});

// --- each rule of appendEntry ---

test('a genesis is only for an empty registry, and any other payload only for one with a genesis', () => {
  appendRefuses('wrong_registry', inputOf(decode(genesisMembers())));
  appendRefuses('not_initialised', inputOf(change), null);
  refuses('not_initialised', () => nextGovernance(null, change));
});

test('a payload is for this origin and this registry', () => {
  const other = `b3:${'0'.repeat(64)}` as const;
  appendRefuses('wrong_registry', inputOf(decode(descriptorsMembers(other, [put(null, 'a')]))));
  const origin = 'registry.example.com/test';
  const members = descriptorsMembers(chain.registry, [put(null, 'a')], { origin });
  appendRefuses('wrong_registry', inputOf(decode(members)));
});

test('a payload is committed at most once', () => {
  const seen = (hash: string): boolean => hash === change.payloadB3;
  appendRefuses('replayed', inputOf(change, { isCommitted: seen }));
});

test('a payload is committed until it expires, that instant included', () => {
  const { expires_at } = change.payload;
  const at = (committedAt: string): AppendInput => inputOf(change, { committedAt });
  assert.doesNotThrow(() => appendEntry(chain, at(expires_at)));
  appendRefuses('expired', at(formatTime(Date.parse(expires_at) + 1)));
});

test('time does not go backwards', () => {
  const at = (ms: number): AppendInput =>
    inputOf(change, { committedAt: formatTime(Date.parse(chain.committedAt) + ms) });
  assert.doesNotThrow(() => appendEntry(chain, at(0)));
  appendRefuses('invalid_entry', at(-1));
});

test('every approval is in time, counted or not', () => {
  const late = approve(CAROL, change, { signedAt: formatTime(START_MS + 6 * 60_000) });
  const early = approve(CAROL, change, { signedAt: formatTime(START_MS - 6 * 60_000) });
  for (const approval of [late, early])
    appendRefuses(
      'invalid_approval',
      inputOf(change, { approvals: [...inputOf(change).approvals, approval] }),
    );
});

test('every approval is by a signer in force, and each signer approves once', () => {
  const { approvals } = inputOf(change);
  appendRefuses(
    'unknown_signer',
    inputOf(change, { approvals: [...approvals, approve(DAVE, change)] }),
  );
  const again = approve(ALICE, change, { signedAt: formatTime(START_MS + 1001) });
  appendRefuses('invalid_approval', inputOf(change, { approvals: [...approvals, again] }));
});

test('quorum is counted against the governance in force', () => {
  appendRefuses('quorum_not_reached', inputOf(change, { approvals: [approve(ALICE, change)] }));
  appendRefuses('quorum_not_reached', inputOf(change, { approvals: [] }));
  const start = decode(genesisMembers());
  appendRefuses('quorum_not_reached', inputOf(start), null);
});

test('a governance succeeds the one in force', () => {
  const propose = (governance: object, members = {}): AppendInput => {
    const payload = governanceMembers(
      chain,
      { ...governanceOf([ALICE, BOB]), ...governance },
      members,
    );
    return inputOf(decode(payload));
  };
  assert.doesNotThrow(() => appendEntry(chain, propose({ version: 2 })));
  appendRefuses('invalid_governance', propose({ version: 3 }));
  appendRefuses('invalid_governance', propose({ version: 1 }));
  appendRefuses('fence_broken', propose({ version: 2 }, { replaces: chain.registry }));
  const stolen = governanceOf([ALICE, BOB, { ...DAVE, signer_id: CAROL.signer_id }], {
    version: 2,
  });
  const payload = decode(governanceMembers(chain, stolen));
  const approvals = [ALICE, BOB, CAROL].map((signer) => approve(signer, payload));
  appendRefuses('invalid_governance', inputOf(payload, { approvals }));
  const second = decode(genesisMembers({ governance: governanceOf([ALICE, BOB], { version: 2 }) }));
  appendRefuses('invalid_governance', inputOf(second), null);
});

test('every fence holds, and a broken one says what stands there', () => {
  const { chain: later } = append(chain, descriptorsMembers(chain.registry, [put(chain, 'a')]));
  const actual = hashOf(encodeDescriptor({ kind: 'service', id: 'a', spec: {} }));
  appendRefuses('fence_broken', inputOf(change), later);
  assert.deepEqual(brokenFences(later, changesOf(change.payload), changePaths(change.payload)), [
    { kind: 'service', id: 'a', expected: null, actual },
  ]);
  const gone = decode(descriptorsMembers(chain.registry, [remove(later, 'a')]));
  assert.doesNotThrow(() => appendEntry(later, inputOf(gone)));
  refuses('fence_broken', () => appendEntry(chain, inputOf(gone)), /got nothing there/);
  assert.deepEqual(brokenFences(null, changesOf(gone.payload), changePaths(gone.payload)), [
    { kind: 'service', id: 'a', expected: actual, actual: null },
  ]);
  assert.equal(brokenFences(later, changesOf(gone.payload), []).length, 1);
});

test('a supersede payload names the head', () => {
  const superseding = decode(supersedeMembers(chain, []));
  assert.equal(appendEntry(chain, inputOf(superseding)).leaf.type, 'supersede');
  const { chain: later } = append(chain, descriptorsMembers(chain.registry, [put(chain, 'a')]));
  appendRefuses('fence_broken', inputOf(superseding), later);
});

// --- verifyEntry ---

const one = append(chain, descriptorsMembers(chain.registry, [put(chain, 'a', { port: 1 })]));
const two = append(
  one.chain,
  governanceMembers(one.chain, governanceOf([BOB, CAROL, DAVE], { version: 2 })),
  [ALICE, BOB, CAROL, DAVE],
);
const three = append(two.chain, supersedeMembers(two.chain, [remove(two.chain, 'a')]), [BOB, DAVE]);
const LOG = [genesis, one, two, three] as const;

test('whatever was appended verifies, and leaves the same chain', async () => {
  let on: Chain | null = null;
  for (const { entry, chain: expected, changes } of LOG) {
    const verified = await verify(on, entry);
    const { set, ...rest } = verified.chain;
    assert.deepEqual({ ...rest, set: set.root }, { ...expected, set: expected.set.root });
    assert.deepEqual(verified.changes, changes);
    on = verified.chain;
  }
});

test('every single-byte change of a leaf, a payload or approvals is refused, or is another time', async () => {
  let refused = 0;
  let retimed = 0;
  for (const part of ['leaf', 'payload', 'approvals'] as const)
    for (let at = 0; at < one.entry[part].length; at++)
      for (const flip of [0x01, 0x20, 0x80]) {
        const bytes = Uint8Array.from(one.entry[part]);
        bytes[at] = (bytes[at] ?? 0) ^ flip;
        const verdict = await verify(chain, { ...one.entry, [part]: bytes }).catch(
          (error) => error,
        );
        if (verdict instanceof RegistryError) refused++;
        else {
          // The time of commit is the registry's word alone: another one is another entry, which the
          // next entry's prev_hash, the head and the checkpoint do not name.
          assert.deepEqual(
            { ...verdict.leaf, committed_at: '' },
            { ...one.leaf, committed_at: '' },
          );
          assert.notEqual(verdict.chain.entryHash, one.chain.entryHash);
          retimed++;
        }
      }
  assert.ok(
    refused > 3000 && retimed > 0 && retimed < 20,
    `${refused} refused, ${retimed} retimed`,
  );
});

test('a missing or added byte anywhere is refused', async () => {
  for (const part of ['leaf', 'payload', 'approvals'] as const) {
    const bytes = one.entry[part];
    for (const other of [
      bytes.subarray(1),
      bytes.subarray(0, -1),
      Uint8Array.of(...bytes, 0x20),
      new Uint8Array(),
    ])
      await assert.rejects(verify(chain, { ...one.entry, [part]: other }), {
        name: 'RegistryError',
      });
  }
});

test('parts of different entries do not make an entry', async () => {
  for (const part of ['leaf', 'payload', 'approvals'] as const)
    await assert.rejects(verify(chain, { ...one.entry, [part]: three.entry[part] }), {
      name: 'RegistryError',
    });
});

/** The entry with other members in its leaf: canonical and consistent, but not what the rules give. */
function withLeaf(appended: Appended, members: Partial<Leaf>): EntryBytes {
  return {
    ...appended.entry,
    leaf: canonicalBytes({ ...decodeLeaf(appended.entry.leaf), ...members }),
  };
}

test('a leaf that differs in any member is refused, and the difference is named', async () => {
  const hash = `b3:${'1'.repeat(64)}` as const;
  const wrong: readonly Partial<Leaf>[] = [
    { approvals_b3: hash },
    { governance_version: 2 },
    { origin: 'a.example' },
    { payload_b3: hash },
    { payload_bytes: 7 },
    { set_root: hash },
    { set_size: 7 },
    { type: 'supersede' },
    { version: 7 },
  ];
  for (const members of wrong) {
    const [name = ''] = Object.keys(members);
    await refusesLater('invalid_entry', verify(chain, withLeaf(one, members)), new RegExp(name));
  }
});

test('an entry of the next version that follows another one is a fork', async () => {
  const hash = `b3:${'1'.repeat(64)}` as const;
  await refusesLater('fork', verify(chain, withLeaf(one, { prev_hash: hash })));
  await refusesLater('fork', verify(chain, withLeaf(one, { prev_hash: null })));
  await refusesLater('fork', verify(null, withLeaf(genesis, { prev_hash: hash })));
  // The same entry a second time is no fork, but its fences are gone.
  await refusesLater('fence_broken', verify(one.chain, one.entry));
});

test('time in a leaf does not go backwards, nor past its approvals', async () => {
  const back = formatTime(Date.parse(chain.committedAt) - 1);
  await refusesLater('invalid_entry', verify(chain, withLeaf(one, { committed_at: back })));
  const long = formatTime(START_MS + 8 * 24 * 3_600_000);
  await refusesLater('expired', verify(chain, withLeaf(one, { committed_at: long })));
});

test('a second commit of a payload is refused by its index', async () => {
  const seen = (hash: string): boolean => hash === one.leaf.payload_b3;
  await refusesLater('replayed', verifyEntry(chain, one.entry, { verifier, isCommitted: seen }));
});

test('an approval that does not verify spoils an entry that has quorum without it', async () => {
  const forged = { ...approve(DAVE, change), signer_id: CAROL.signer_id };
  const approvals = [...inputOf(change).approvals, forged];
  const appended = appendEntry(chain, inputOf(change, { approvals }));
  await refusesLater('invalid_signature', verify(chain, appended.entry), /carol/);
  const stranger = encodeApprovals([...inputOf(change).approvals, approve(DAVE, change)]);
  await refusesLater('unknown_signer', verify(chain, { ...one.entry, approvals: stranger }));
});

test('an approval for one registry, payload or time is worth nothing for another', async () => {
  const elsewhere = appendGenesis({ note: 'elsewhere' });
  const there = decode(descriptorsMembers(elsewhere.chain.registry, [put(null, 'a', { port: 1 })]));
  const approvals = [ALICE, BOB].map((signer) => approve(signer, there));
  const appended = appendEntry(chain, inputOf(change, { approvals }));
  await refusesLater('invalid_signature', verify(chain, appended.entry));
  const moved = inputOf(change).approvals.map((a) => ({ ...a, signed_at: NOW }));
  const later = appendEntry(chain, inputOf(change, { approvals: moved }));
  await refusesLater('invalid_signature', verify(chain, later.entry));
});

test('keys that QV1 does not admit do not enter a governance', async () => {
  const small = { signer_id: 'org:acme#small', public_key: encodeBase64(IDENTITY_ENCODING) };
  const withSigner = decode(
    governanceMembers(chain, governanceOf([ALICE, BOB, small], { version: 2 })),
  );
  refuses('invalid_governance', () => assertAdmitted(chain, withSigner, verifier), /#small/);
  const vkey = encodeVerifierKey({ name: ORIGIN, publicKey: IDENTITY_ENCODING });
  const withLog = decode(
    governanceMembers(chain, governanceOf([ALICE, BOB], { version: 2, log_keys: [vkey] })),
  );
  refuses('invalid_governance', () => assertAdmitted(chain, withLog, verifier), /log key/);
  refuses('invalid_governance', () => assertLogKeysAdmitted(withLog.payload, verifier));
  const approvals = [ALICE, BOB].map((signer) => approve(signer, withLog));
  await refusesLater(
    'invalid_governance',
    assertApprovals(chain, { proposal: withLog, approvals, verifier }),
  );
});

test('keys are admitted when they enter, and log keys each time', () => {
  const asked: string[] = [];
  const admitting = {
    ...verifier,
    admit: (key: Uint8Array) => {
      asked.push(Buffer.from(key).toString('base64'));
      return true;
    },
  };
  const next = governanceOf([ALICE, BOB, DAVE], { version: 2, log_keys: [logKey()] });
  assertAdmitted(chain, decode(governanceMembers(chain, next)), admitting);
  assert.equal(asked.length, 2);
  assert.equal(asked[0], DAVE.public_key);
  assertAdmitted(chain, change, admitting);
  assertLogKeysAdmitted(change.payload, admitting);
  assert.equal(asked.length, 2);
});

test('a random history verifies from genesis, entry by entry, to the same head', async () => {
  const step = fc.record({
    id: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
    isRemoval: fc.boolean(),
    port: fc.nat(3),
    isSupersede: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 8 }), async (steps) => {
      const log: Appended[] = [genesis];
      let on = chain;
      for (const { id, isRemoval, port, isSupersede } of steps) {
        const standing = put(on, id, { port });
        const changes = isRemoval && standing.replaces !== null ? [remove(on, id)] : [standing];
        // Distinct notes: a payload is committed once.
        const members = isSupersede
          ? supersedeMembers(on, changes)
          : descriptorsMembers(on.registry, changes, { note: `${on.version}` });
        const appended = append(on, members);
        log.push(appended);
        on = appended.chain;
      }
      const seen = new Set<string>();
      let verified: Chain | null = null;
      for (const { entry } of log) {
        const answer: Appended = await verifyEntry(verified, entry, {
          verifier,
          isCommitted: (hash) => seen.has(hash),
        });
        seen.add(answer.leaf.payload_b3);
        verified = answer.chain;
      }
      assert.equal(verified?.entryHash, on.entryHash);
      assert.equal(verified?.set.root, on.set.root);
    }),
    { numRuns: 40 },
  );
});
