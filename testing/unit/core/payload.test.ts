import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeUtf8 } from '../../../src/core/bytes.ts';
import { canonicalBytes } from '../../../src/core/canonical.ts';
import { hashOf } from '../../../src/core/hash.ts';
import {
  changesOf,
  compareKeys,
  decodePayload,
  ERASE_REASONS,
  MAX_CHANGES,
  MAX_PAYLOAD_BYTES,
  PAYLOAD_TYPES,
  registryOf,
  SUPERSEDE_REASONS,
} from '../../../src/core/payload.ts';
import { encodeVerifierKey } from '../../../src/core/vkey.ts';
import { refuses } from '../../support/core-assert.ts';
import {
  ALICE,
  append,
  appendGenesis,
  BOB,
  CAROL,
  DAVE,
  decode,
  descriptorsMembers,
  eraseMembers,
  genesisMembers,
  governanceMembers,
  governanceOf,
  logKey,
  ORIGIN,
  type PayloadMembers,
  put,
  supersedeMembers,
} from '../../support/core-registry.ts';

const { chain } = appendGenesis();
const { chain: later } = append(chain, descriptorsMembers(chain.registry, [put(null, 'a')]));
const HASH = `b3:${'ab'.repeat(32)}`;
const next = governanceOf([ALICE, BOB, DAVE], { version: 2 });

const VALID: Readonly<Record<string, PayloadMembers>> = {
  genesis: genesisMembers(),
  descriptors: descriptorsMembers(chain.registry, [put(null, 'a')]),
  governance: governanceMembers(chain, next),
  supersede: supersedeMembers(chain, [put(null, 'a')]),
  erase: eraseMembers(later),
};

function refusesMembers(members: unknown, message?: RegExp): void {
  refuses('invalid_payload', () => decodePayload(canonicalBytes(members)), message);
}

function without(members: PayloadMembers, name: string): PayloadMembers {
  return Object.fromEntries(Object.entries(members).filter(([key]) => key !== name));
}

test('each type is read from its canonical bytes and named by their hash', () => {
  assert.deepEqual(Object.keys(VALID), [...PAYLOAD_TYPES]);
  for (const [type, members] of Object.entries(VALID)) {
    const bytes = canonicalBytes(members);
    const proposal = decodePayload(bytes);
    assert.deepEqual(proposal.payload, members);
    assert.equal(proposal.payload.type, type);
    assert.equal(proposal.bytes, bytes);
    assert.equal(proposal.payloadB3, hashOf(bytes));
    assert.equal(registryOf(proposal), type === 'genesis' ? proposal.payloadB3 : chain.registry);
  }
});

test('each member is required, and no other is allowed', () => {
  for (const [type, members] of Object.entries(VALID)) {
    for (const name of Object.keys(members)) {
      refusesMembers(without(members, name), new RegExp(`/${name}`));
      refusesMembers({ ...members, [name]: 7.5 }, new RegExp(`/${name}`));
      refusesMembers({ ...members, [name]: null }, new RegExp(`/${name}`));
    }
    const foreign = type === 'genesis' ? { registry: HASH } : { rules: [] };
    refusesMembers({ ...members, ...foreign }, /no member but/);
  }
  for (const value of [null, [], 'genesis', 1, {}, { type: 'other' }]) refusesMembers(value);
});

test('schema version, origin, note and hashes are checked where they stand', () => {
  const { genesis, descriptors, governance, supersede, erase } = VALID;
  refusesMembers({ ...genesis, schema_version: '1.0.1' }, /\/schema_version/);
  refusesMembers({ ...genesis, origin: 'Example.com' }, /\/origin/);
  refusesMembers({ ...genesis, note: 'a\nb' }, /\/note/);
  refusesMembers({ ...descriptors, registry: 'b3:00' }, /\/registry/);
  refusesMembers({ ...governance, replaces: 'x' }, /\/replaces/);
  refusesMembers({ ...supersede, supersedes: 'x' }, /\/supersedes/);
  refusesMembers({ ...supersede, reason: 'Because' }, /\/reason/);
  for (const reason of SUPERSEDE_REASONS)
    assert.deepEqual(decode({ ...supersede, reason }).payload, { ...supersede, reason });
  refusesMembers({ ...erase, erases: 'x' }, /\/erases/);
  refusesMembers({ ...erase, reason: 'DataError' }, /\/reason/);
  for (const reason of ERASE_REASONS)
    assert.deepEqual(decode({ ...erase, reason }).payload, { ...erase, reason });
});

test('a payload expires after it was created, by at most 30 days', () => {
  const lives = (created_at: string, expires_at: string): PayloadMembers => ({
    ...VALID.genesis,
    created_at,
    expires_at,
  });
  const created = '2026-11-21T00:00:00.000Z';
  assert.doesNotThrow(() => decode(lives(created, '2026-11-21T00:00:00.001Z')));
  assert.doesNotThrow(() => decode(lives(created, '2026-12-21T00:00:00.000Z')));
  refusesMembers(lives(created, '2026-12-21T00:00:00.001Z'), /30 days/);
  refusesMembers(lives(created, created), /30 days/);
  refusesMembers(lives(created, '2026-11-20T23:59:59.999Z'), /30 days/);
});

test('changes are sorted by kind and id, one for each', () => {
  const change = (kind: string, id: string): PayloadMembers => ({
    ...put(null, id),
    kind,
  });
  const withChanges = (...changes: PayloadMembers[]): PayloadMembers => ({
    ...VALID.descriptors,
    changes,
  });
  const sorted = [change('a', 'b'), change('a', 'b/c'), change('a-b', 'a'), change('b', 'a')];
  assert.deepEqual(changesOf(decode(withChanges(...sorted)).payload), sorted);
  refusesMembers(withChanges(change('a', 'b'), change('a', 'a')), /\/changes\/1/);
  refusesMembers(withChanges(change('b', 'a'), change('a', 'b')), /\/changes\/1/);
  refusesMembers(withChanges(change('a', 'a'), change('a', 'a')), /one for each/);
  assert.equal(compareKeys({ kind: 'a', id: 'a' }, { kind: 'a', id: 'a' }), 0);
  // ASCII order, not a locale's: '-' is before '0', and upper case before lower.
  assert.equal(compareKeys({ kind: 'a', id: 'B' }, { kind: 'a', id: 'a' }), -1);
});

test('an erase payload names a version of 1 or more, and changes nothing', () => {
  for (const version of [0, -1, 1.5, '1', 2 ** 53])
    refusesMembers({ ...VALID.erase, version }, /\/version/);
  const payload = decode({ ...VALID.erase, version: 2 ** 53 - 1 }).payload;
  assert.deepEqual(changesOf(payload), []);
});

test('a descriptors payload has a change, a supersede payload may have none', () => {
  refusesMembers({ ...VALID.descriptors, changes: [] }, /1 to 10000/);
  assert.deepEqual(changesOf(decode({ ...VALID.supersede, changes: [] }).payload), []);
  assert.deepEqual(changesOf(decode(genesisMembers()).payload), []);
});

test('10,000 changes are accepted and 10,001 are not', () => {
  const changes = Array.from({ length: MAX_CHANGES + 1 }, (_, i) =>
    put(null, String(i).padStart(5, '0')),
  );
  const members = (count: number): PayloadMembers => ({
    ...VALID.descriptors,
    changes: changes.slice(0, count),
  });
  assert.equal(changesOf(decode(members(MAX_CHANGES)).payload).length, MAX_CHANGES);
  refusesMembers(members(MAX_CHANGES + 1), /1 to 10000 elements at \/changes/);
});

test('a change has exactly the members of its op', () => {
  const base = { op: 'put', kind: 'service', id: 'a', spec: {}, replaces: null };
  const removal = { op: 'remove', kind: 'service', id: 'a', replaces: HASH };
  const members = (change: unknown): PayloadMembers => ({
    ...VALID.descriptors,
    changes: [change],
  });
  for (const change of [base, { ...base, replaces: HASH }, removal])
    assert.deepEqual(changesOf(decode(members(change)).payload), [change]);
  const refused = [
    ...Object.keys(base).map((name) => without(base, name)),
    ...Object.keys(removal).map((name) => without(removal, name)),
    { ...base, more: 1 },
    { ...removal, spec: {} },
    { ...removal, replaces: null },
    { ...base, replaces: 'x' },
    { ...base, op: 'patch' },
    { ...base, kind: 'Service' },
    { ...base, id: '..' },
    { ...base, spec: [] },
    { ...base, spec: null },
    'put',
    null,
  ];
  for (const change of refused) refusesMembers(members(change), /\/changes\/0/);
});

test('a payload of 1 MiB is accepted and one byte more is too large', () => {
  const sized = (bytes: number): Uint8Array => {
    const empty = canonicalBytes(descriptorsMembers(chain.registry, [put(null, 'a', { s: '' })]));
    const spec = { s: 'x'.repeat(bytes - empty.length) };
    return canonicalBytes(descriptorsMembers(chain.registry, [put(null, 'a', spec)]));
  };
  assert.equal(sized(MAX_PAYLOAD_BYTES).length, 1024 * 1024);
  assert.doesNotThrow(() => decodePayload(sized(MAX_PAYLOAD_BYTES)));
  refuses('too_large', () => decodePayload(sized(MAX_PAYLOAD_BYTES + 1)));
});

test('bytes that are not canonical are no payload', () => {
  refuses('not_canonical', () => decodePayload(encodeUtf8(JSON.stringify(VALID.genesis))));
  refuses('malformed', () => decodePayload(encodeUtf8('')));
});

test('governance has 1 to 255 signers, sorted, each id and each key once', () => {
  const govern = (governance: unknown): PayloadMembers => ({ ...VALID.genesis, governance });
  const good = governanceOf([ALICE, BOB]);
  const [alice, bob] = good.signers;
  const many = (count: number) =>
    governanceOf(
      Array.from({ length: count }, (_, i) => {
        const key = Uint8Array.from({ length: 32 }, (_, at) => (at === 0 ? i & 255 : i >> 8));
        return {
          signer_id: `org:acme#s${String(i).padStart(3, '0')}`,
          public_key: Buffer.from(key).toString('base64'),
        };
      }),
    );
  assert.doesNotThrow(() => decode(govern(governanceOf([ALICE], { threshold: 1 }))));
  assert.doesNotThrow(() => decode(govern(many(255))));
  refusesMembers(govern(many(256)), /1 to 255 elements/);
  refusesMembers(govern({ ...good, signers: [] }), /\/governance\/signers/);
  refusesMembers(govern({ ...good, signers: [bob, alice] }), /sorted by signer_id/);
  refusesMembers(govern({ ...good, signers: [alice, alice] }), /each once/);
  const twin = { ...bob, public_key: alice?.public_key };
  refusesMembers(govern({ ...good, signers: [alice, twin] }), /one key for each signer/);
});

test('a threshold is at least 1 and at most the number of signers', () => {
  const govern = (threshold: unknown): PayloadMembers => ({
    ...VALID.genesis,
    governance: { ...governanceOf([ALICE, BOB, CAROL]), threshold },
  });
  for (const threshold of [1, 3])
    assert.deepEqual(decode(govern(threshold)).payload, govern(threshold));
  for (const threshold of [0, 4, 1.5, '2', -1]) refusesMembers(govern(threshold), /\/threshold/);
});

test('governance, signers and versions have their members and no others', () => {
  const good = governanceOf([ALICE, BOB]);
  const [alice, bob] = good.signers;
  const govern = (governance: unknown): PayloadMembers => ({ ...VALID.genesis, governance });
  for (const name of Object.keys(good)) refusesMembers(govern(without({ ...good }, name)));
  refusesMembers(govern({ ...good, rules: [] }), /no member but/);
  refusesMembers(govern({ ...good, version: 0 }), /\/version/);
  for (const name of Object.keys(alice ?? {}))
    refusesMembers(govern({ ...good, signers: [without({ ...alice }, name), bob] }));
  const wrong = [{ algo: 'ml-dsa-44' }, { public_key: 'AAAA' }, { signer_id: 'alice' }, { x: 1 }];
  for (const members of wrong)
    refusesMembers(govern({ ...good, signers: [{ ...alice, ...members }, bob] }), /\/signers\/0/);
});

test('log keys are 1 to 4 c2sp ed25519 keys named as the origin, each once, none a signer', () => {
  const keys = [1, 2, 3, 4, 5].map((seed) => logKey(undefined, 200 + seed));
  const govern = (log_keys: unknown): PayloadMembers => ({
    ...VALID.genesis,
    governance: { ...governanceOf([ALICE, BOB]), log_keys },
  });
  for (const log_keys of [keys.slice(0, 1), keys.slice(0, 4)])
    assert.deepEqual(decode(govern(log_keys)).payload, govern(log_keys));
  const postQuantum = encodeVerifierKey({
    name: ORIGIN,
    type: 'ml-dsa-44',
    publicKey: new Uint8Array(1312),
  });
  const beside = govern([postQuantum, ...keys.slice(0, 1)]);
  assert.deepEqual(decode(beside).payload, beside);
  refusesMembers(govern([postQuantum]), /an ed25519 log key among them/);
  const cosigner = { name: ORIGIN, type: 'cosigner', publicKey: new Uint8Array(32) } as const;
  refusesMembers(govern([encodeVerifierKey(cosigner)]), /\/log_keys\/0/);
  refusesMembers(govern([]), /\/log_keys/);
  refusesMembers(govern(keys), /1 to 4/);
  refusesMembers(govern([keys[0], keys[0]]), /each log key once/);
  refusesMembers(govern([logKey('other.example.com')]), /named registry\.example\.com\/prod/);
  refusesMembers(govern([7]), /\/log_keys\/0/);
  refusesMembers(govern(['x']), /\/log_keys\/0/);
  const aliceSeed = 1;
  refusesMembers(govern([logKey(undefined, aliceSeed)]), /no signer keys/);
});
