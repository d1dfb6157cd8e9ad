import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type BundledEntry,
  type BundleFile,
  encodeBundleFile,
  MAX_BUNDLE_BYTES,
  parseBundleFile,
  verifyBundle,
} from '../../../src/core/bundle.ts';
import { decodeUtf8, encodeUtf8 } from '../../../src/core/bytes.ts';
import { canonicalBytes, type Json } from '../../../src/core/canonical.ts';
import { type ErrorCode, RegistryError } from '../../../src/core/error.ts';
import { entryHash } from '../../../src/core/leaf.ts';
import { NO_WITNESSES, parsePolicy } from '../../../src/core/tlog/policy.ts';
import { assertWitnessed } from '../../../src/core/tlog/witnessed.ts';
import { createNativeVerifier } from '../../../src/server/native-verifier.ts';
import { refuses, refusesLater } from '../../support/core-assert.ts';
import { makeCosigner, signedNote } from '../../support/core-checkpoint.ts';
import { makeTestLog, TestLog } from '../../support/core-log.ts';
import { sampled } from '../../support/core-long.ts';
import {
  ALICE,
  append,
  appendGenesis,
  BOB,
  CAROL,
  descriptorsMembers,
  genesisMembers,
  put,
} from '../../support/core-registry.ts';

const verifier = createNativeVerifier();
const log = makeTestLog();
const pin = log.chain.registry;
const WITNESSES = [makeCosigner('w1.example', 61), makeCosigner('w2.example', 62)];
const TIME = 1_795_251_600;
const policy = parsePolicy(
  [
    ...WITNESSES.map(({ name, vkey }) => `witness ${name} ${vkey}`),
    'group both all w1.example w2.example',
    'quorum both',
  ].join('\n'),
);
const note = await log.note(8, {
  seed: 201,
  more: (text) => WITNESSES.map((witness, i) => witness.cosign(text, TIME + i)),
});
const whole = await log.bundle([0, 2, 4, 6], { note });
const later = await log.bundle([2, 4, 6], { note });

const verify = async (bundle: BundleFile, from = pin) => {
  const verified = await verifyBundle(bundle, { pin: from, verifier });
  await assertWitnessed(verified.checkpoint, policy, verifier);
  return verified;
};

test('a bundle is read back as it was written, and proves its entries', async () => {
  assert.deepEqual(parseBundleFile(encodeBundleFile(whole)), whole);
  const { checkpoint, logKeys, entries, lineage } = await verify(whole);
  assert.deepEqual(
    entries.map(({ leaf }) => leaf.version),
    [0, 2, 4, 6],
  );
  for (const { leaf, entryHash: found } of entries)
    assert.equal(found, entryHash(log.at(leaf.version).entry.leaf));
  assert.equal(checkpoint.size, 8);
  assert.equal(logKeys.length, 1);
  assert.deepEqual(lineage.governance, log.chain.governance);
  assert.deepEqual(lineage.signerKeys, log.chain.signerKeys);
  assert.equal(lineage.registry, pin);
});

test('every version of the log can be proven from genesis, and from each governance', async () => {
  const governing = [0, 2, 6];
  for (const since of governing)
    for (let version = since; version < 8; version++) {
      const versions = [...new Set([...governing, version])].filter((v) => v >= since).sort();
      const from = since === 0 ? pin : log.at(since).chain.entryHash;
      const { lineage } = await verify(await log.bundle(versions, { note }), from);
      assert.deepEqual(lineage.governance, log.chain.governance);
    }
});

test('the witnesses of a checkpoint are named with the time for which a quorum vouches', async () => {
  const { checkpoint } = await verifyBundle(whole, { pin, verifier });
  const found = await assertWitnessed(checkpoint, policy, verifier);
  assert.deepEqual(found, { cosigned: ['w1.example', 'w2.example'], time: TIME });
  assert.deepEqual(await assertWitnessed(checkpoint, NO_WITNESSES, verifier), {
    cosigned: [],
    time: null,
  });
  const plain = await log.bundle([0, 2, 4, 6], { note: await log.note(8, { seed: 201 }) });
  const alone = (await verifyBundle(plain, { pin, verifier })).checkpoint;
  await refusesLater('unwitnessed', assertWitnessed(alone, policy, verifier), /got none/);
  const [first] = WITNESSES;
  const one = await log.note(8, {
    seed: 201,
    more: (text) => (first === undefined ? [] : [first.cosign(text, TIME)]),
  });
  const half = (await verifyBundle({ ...plain, checkpoint: one }, { pin, verifier })).checkpoint;
  await refusesLater('unwitnessed', assertWitnessed(half, policy, verifier), /only those of w1/);
});

// --- lies: each begins with an honest bundle ---

function withEntry(
  version: number,
  change: (entry: BundledEntry) => BundledEntry,
  of = whole,
): BundleFile {
  const entries = of.entries.map((entry) => (isOf(entry, version) ? change(entry) : entry));
  assert.notDeepEqual(entries, of.entries, `version ${version} is changed`);
  return { ...of, entries };
}

const isOf = (entry: BundledEntry, version: number) =>
  decodeUtf8(entry.leaf).endsWith(`"version":${version}}`);

function replaced(bytes: Uint8Array, pattern: RegExp | string, by: string): Uint8Array {
  const text = decodeUtf8(bytes);
  const next = text.replace(pattern, by);
  assert.notEqual(next, text, `${pattern} is there`);
  return encodeUtf8(next);
}

const leafWith = (version: number, pattern: RegExp, by: string, of = whole) =>
  withEntry(version, (entry) => ({ ...entry, leaf: replaced(entry.leaf, pattern, by) }), of);

/** Another registry whose genesis differs by its note only, with the same signers and log keys. */
const other = (() => {
  const genesis = append(null, genesisMembers({ note: 'another' }), [ALICE, BOB, CAROL]);
  return new TestLog(genesis).add(descriptorsMembers(genesis.chain.registry, [put(null, 'a')]));
})();
const otherBundle = await other.bundle([0, 1]);
const HASH = `b3:${'00'.repeat(32)}`;

type Lie = readonly [what: string, code: ErrorCode, bundle: () => BundleFile | Promise<BundleFile>];

const LIES: readonly Lie[] = [
  [
    'a payload of another entry',
    'invalid_signature',
    () => withEntry(4, (entry) => ({ ...entry, payload: log.at(3).entry.payload })),
  ],
  [
    'payload and approvals of another entry',
    'invalid_entry',
    () => withEntry(4, (entry) => ({ ...log.at(3).entry, leaf: entry.leaf, proof: entry.proof })),
  ],
  [
    'a changed payload',
    'invalid_signature',
    () =>
      withEntry(4, (entry) => ({
        ...entry,
        payload: replaced(entry.payload, '"id":"c"', '"id":"x"'),
      })),
  ],
  [
    'a payload that is none',
    'invalid_payload',
    () => withEntry(4, (entry) => ({ ...entry, payload: encodeUtf8('{"type":"other"}') })),
  ],
  [
    'an approval left out',
    'quorum_not_reached',
    () =>
      withEntry(4, (entry) => ({
        ...entry,
        approvals: canonicalBytes([JSON.parse(decodeUtf8(entry.approvals))[0]]),
      })),
  ],
  [
    'an approval of another payload',
    'invalid_signature',
    () => withEntry(4, (entry) => ({ ...entry, approvals: log.at(3).entry.approvals })),
  ],
  [
    'an approval by nobody in force',
    'unknown_signer',
    () =>
      withEntry(4, (entry) => ({ ...entry, approvals: replaced(entry.approvals, '#bob', '#bot') })),
  ],
  [
    'an approval signed at another time',
    'invalid_signature',
    () =>
      withEntry(4, (entry) => ({
        ...entry,
        approvals: replaced(entry.approvals, ':01.000Z', ':02.000Z'),
      })),
  ],
  [
    'no approvals',
    'invalid_approval',
    () => withEntry(4, (entry) => ({ ...entry, approvals: encodeUtf8('[]') })),
  ],
  [
    'another set root',
    'invalid_proof',
    () => leafWith(4, /"set_root":"b3:.{64}"/, `"set_root":"${HASH}"`),
  ],
  ['another set size', 'invalid_proof', () => leafWith(4, /"set_size":3/, '"set_size":4')],
  [
    'a later commit',
    'invalid_proof',
    () => leafWith(4, /"committed_at":"2026-11-21T09:00:0/, '"committed_at":"2026-11-21T09:00:1'),
  ],
  ['another version', 'invalid_proof', () => leafWith(4, /"version":4/, '"version":5')],
  [
    'a leaf that follows another',
    'invalid_proof',
    () => leafWith(4, /"prev_hash":"b3:.{64}"/, `"prev_hash":"${HASH}"`),
  ],
  [
    'a leaf that follows nothing',
    'invalid_entry',
    () => leafWith(4, /"prev_hash":"b3:.{64}"/, '"prev_hash":null'),
  ],
  [
    'another governance in force',
    'invalid_entry',
    () => leafWith(4, /"governance_version":2/, '"governance_version":1'),
  ],
  [
    'a leaf of another type',
    'invalid_entry',
    () => leafWith(4, /"type":"descriptors"/, '"type":"supersede"'),
  ],
  [
    'a leaf of another length',
    'invalid_entry',
    () => leafWith(4, /"payload_bytes":\d+/, '"payload_bytes":9'),
  ],
  [
    'other approvals in the leaf',
    'invalid_entry',
    () => leafWith(4, /"approvals_b3":"b3:.{64}"/, `"approvals_b3":"${HASH}"`),
  ],
  [
    'another payload in the leaf',
    'invalid_entry',
    () => leafWith(4, /"payload_b3":"b3:.{64}"/, `"payload_b3":"${HASH}"`),
  ],
  [
    'a leaf of another origin',
    'invalid_entry',
    () => leafWith(4, /example.com\/prod/, 'example.com/test'),
  ],
  [
    'a leaf with a member more',
    'invalid_entry',
    () => leafWith(4, /"version":4/, '"version":4,"w":1'),
  ],
  [
    'a leaf that is not canonical',
    'not_canonical',
    () => leafWith(4, /"version":4/, '"version": 4'),
  ],
  [
    'a time before the entry before',
    'invalid_entry',
    () => leafWith(4, /"committed_at":"[^"]+"/, '"committed_at":"2026-11-21T09:00:01.000Z"'),
  ],
  [
    'a payload that had expired',
    'expired',
    () => leafWith(4, /"committed_at":"[^"]+"/, '"committed_at":"2026-12-21T09:00:01.000Z"'),
  ],
  [
    'a proof of another leaf',
    'invalid_proof',
    () => withEntry(4, (entry) => ({ ...entry, proof: whole.entries[1]?.proof ?? [] })),
  ],
  [
    'a proof with a hash less',
    'invalid_proof',
    () => withEntry(4, (entry) => ({ ...entry, proof: entry.proof.slice(1) })),
  ],
  [
    'a proof with a hash more',
    'invalid_proof',
    () => withEntry(4, (entry) => ({ ...entry, proof: [...entry.proof, new Uint8Array(32)] })),
  ],
  [
    'an entry of another registry',
    'wrong_registry',
    () => ({ ...whole, entries: whole.entries.toSpliced(1, 0, ...otherBundle.entries.slice(1)) }),
  ],
  ['a governance left out', 'unknown_signer', () => log.bundle([0, 4, 6], { note })],
  [
    'a governance of the same signers left out',
    'invalid_entry',
    () => log.bundle([0, 2, 7], { note }),
  ],
  [
    'the last governance left out before the checkpoint',
    'fence_broken',
    () => log.bundle([0, 6], { note }),
  ],
  [
    'genesis twice',
    'malformed',
    () => ({
      ...whole,
      entries: [whole.entries[0], ...whole.entries].filter((e) => e !== undefined),
    }),
  ],
  ['entries out of order', 'malformed', () => log.bundle([0, 2, 6, 4], { note })],
  ['another genesis', 'wrong_registry', () => ({ ...whole, entries: otherBundle.entries })],
  ['no genesis', 'wrong_registry', () => later],
  [
    'a checkpoint by the key before',
    'invalid_signature',
    async () => ({ ...whole, checkpoint: await log.note(8, { seed: 200 }) }),
  ],
  [
    'a checkpoint with a wrong signature',
    'invalid_signature',
    () => ({
      ...whole,
      checkpoint: note.replace(
        /(\u2014 \S+ .{20})(.)/,
        (_, before, c) => `${before}${c === 'A' ? 'B' : 'A'}`,
      ),
    }),
  ],
  [
    'a checkpoint of another root',
    'invalid_proof',
    () => ({ ...whole, checkpoint: signedNote({ size: 8 }, { seed: 201 }) }),
  ],
  [
    'a checkpoint of fewer leaves',
    'invalid_proof',
    async () => ({ ...whole, checkpoint: await log.note(5, { seed: 201 }) }),
  ],
  [
    'a checkpoint of another origin',
    'wrong_registry',
    () => ({ ...whole, checkpoint: signedNote({ origin: 'registry.example.com/test', size: 8 }) }),
  ],
  [
    'a checkpoint that is none',
    'invalid_checkpoint',
    () => ({ ...whole, checkpoint: note.replace('\n\n', '\n') }),
  ],
  [
    'no cosignatures',
    'unwitnessed',
    async () => ({ ...whole, checkpoint: await log.note(8, { seed: 201 }) }),
  ],
  [
    'a cosignature for another time',
    'invalid_signature',
    async () => ({
      ...whole,
      checkpoint: await log.note(8, {
        seed: 201,
        more: (text) =>
          WITNESSES.map((w) => ({
            ...w.cosign(text, TIME),
            signature: Uint8Array.from(w.cosign(text, TIME).signature, (byte, i) =>
              i === 7 ? byte ^ 1 : byte,
            ),
          })),
      }),
    }),
  ],
];

test('the honest bundles that the lies begin with are believed', async () => {
  await verify(whole);
  await verify(later, log.at(2).chain.entryHash);
  await verifyBundle(otherBundle, { pin: other.chain.registry, verifier });
});

for (const [what, code, bundle] of LIES)
  test(`a bundle with ${what} is refused as ${code}`, async () => {
    const lie = await bundle();
    await refusesLater(code, verify(lie));
  });

test('a bundle that begins later is pinned by the entry hash of its first entry alone', async () => {
  await refusesLater('wrong_registry', verify(later, log.at(4).chain.entryHash));
  await refusesLater('wrong_registry', verify(whole, log.at(0).chain.entryHash));
  const descriptors = await log.bundle([4, 6], { note });
  await refusesLater(
    'invalid_entry',
    verify(descriptors, log.at(4).chain.entryHash),
    /set the governance/,
  );
  const swapped = withEntry(2, (entry) => ({ ...entry, payload: log.at(6).entry.payload }), later);
  await refusesLater('invalid_entry', verify(swapped, log.at(2).chain.entryHash));
});

test('a superseding entry names the entry before it', async () => {
  const bundle = await log.bundle([0, 2, 5, 6], { note });
  await verify(bundle);
  const lie = leafWith(5, /"prev_hash":"b3:.{64}"/, `"prev_hash":"${HASH}"`, bundle);
  await refusesLater('invalid_entry', verify(lie), /prev_hash/);
});

test('neighbours are chained', async () => {
  const bundle = await log.bundle([0, 2, 3, 6], { note });
  await verify(bundle);
  const lie = leafWith(3, /"prev_hash":"b3:.{64}"/, `"prev_hash":"${HASH}"`, bundle);
  await refusesLater('invalid_entry', verify(lie), /prev_hash/);
});

test('a file of another form is refused before anything in it is believed', () => {
  const file: Record<string, Json> = JSON.parse(decodeUtf8(encodeBundleFile(whole)));
  const entry = Object(file.entries)[0];
  const read = (members: object) => () => parseBundleFile(canonicalBytes({ ...file, ...members }));
  refuses('malformed', read({ schema: 'quorate/bundle/v2' }), /\/schema/);
  refuses('malformed', read({ more: 1 }), /no member but/);
  refuses('malformed', read({ checkpoint: 1 }), /\/checkpoint/);
  refuses('malformed', read({ entries: [] }), /\/entries/);
  refuses('malformed', read({ entries: {} }), /\/entries/);
  refuses('malformed', read({ entries: [{ ...entry, proof: ['AA=='] }] }), /\/proof\/0/);
  refuses(
    'malformed',
    read({ entries: [{ ...entry, proof: new Array(64).fill(entry.proof[0]) }] }),
  );
  refuses('malformed', read({ entries: [{ ...entry, more: 1 }] }), /no member but/);
  refuses('not_canonical', () =>
    parseBundleFile(encodeUtf8(`${decodeUtf8(encodeBundleFile(whole))}\n`)),
  );
  refuses('too_large', () => parseBundleFile(new Uint8Array(MAX_BUNDLE_BYTES + 1)));
});

test('no changed byte of a bundle is believed', async (t) => {
  const bytes = encodeBundleFile(whole);
  const places = sampled(t, [...bytes.keys()], 13);
  assert.ok(places.length > 500, `${places.length} places`);
  for (const at of places) {
    const changed = Uint8Array.from(bytes);
    changed[at] = (bytes[at] ?? 0) ^ (1 + (at % 127));
    const error = await verifyText(changed);
    assert.ok(error instanceof RegistryError, `byte ${at} was changed: ${String(error)}`);
  }
});

async function verifyText(bytes: Uint8Array): Promise<unknown> {
  try {
    await verify(parseBundleFile(bytes));
    return undefined;
  } catch (error) {
    return error;
  }
}

test('a log of one entry has a bundle of one', async () => {
  const young = new TestLog(appendGenesis());
  const { lineage } = await verifyBundle(await young.bundle([0]), {
    pin: young.chain.registry,
    verifier,
  });
  assert.equal(lineage.version, 0);
});

test('a bundle of no entries proves nothing', async () => {
  await assert.rejects(verify({ ...whole, entries: [] }), { code: 'malformed' });
});
