import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Governance, Signer } from '../../../src/core/governance.ts';
import type { Payload } from '../../../src/core/payload.ts';
import { assertQuorum, countQuorum, eligibleSigners } from '../../../src/core/quorum.ts';
import { refuses } from '../../support/core-assert.ts';
import {
  ALICE,
  appendGenesis,
  BOB,
  CAROL,
  DAVE,
  decode,
  descriptorsMembers,
  genesisMembers,
  governanceMembers,
  governanceOf,
  put,
} from '../../support/core-registry.ts';

const { chain } = appendGenesis();
const descriptors = decode(descriptorsMembers(chain.registry, [put(null, 'a')])).payload;
const ids = (...signers: { signer_id: string }[]): string[] => signers.map((s) => s.signer_id);

test('genesis needs every signer', () => {
  const { payload } = decode(genesisMembers());
  assert.ok(!countQuorum(payload, null, ids(ALICE, BOB)).reached);
  const quorum = countQuorum(payload, null, ids(ALICE, BOB, CAROL));
  assert.ok(quorum.reached);
  assert.deepEqual(quorum.missing, []);
  assert.equal(quorum.rules[0]?.rule, 'all');
  // Whoever governs already has no part in another registry's genesis.
  assert.deepEqual(
    [...eligibleSigners(payload, governanceOf([DAVE])).keys()],
    ids(ALICE, BOB, CAROL),
  );
});

test('other payloads need the threshold, and nothing counts before genesis', () => {
  const { governance } = chain;
  const one = countQuorum(descriptors, governance, ids(ALICE));
  assert.deepEqual(
    [one.reached, one.threshold, one.approvals, one.missing],
    [false, 2, ids(ALICE), ids(BOB, CAROL)],
  );
  assert.ok(countQuorum(descriptors, governance, ids(ALICE, CAROL)).reached);
  const empty = countQuorum(descriptors, null, ids(ALICE, BOB, CAROL));
  assert.deepEqual([empty.reached, empty.threshold, empty.rules], [false, 0, []]);
});

test('repeated ids and strangers count for nothing', () => {
  const { governance } = chain;
  const repeated = [...ids(ALICE), ...ids(ALICE), ...ids(ALICE)];
  assert.ok(!countQuorum(descriptors, governance, repeated).reached);
  assert.ok(!countQuorum(descriptors, governance, ids(ALICE, DAVE)).reached);
  refuses(
    'quorum_not_reached',
    () => assertQuorum(countQuorum(descriptors, governance, [])),
    /org:acme#alice/,
  );
  refuses('quorum_not_reached', () => assertQuorum(countQuorum(descriptors, null, [])), /: none$/);
  assert.doesNotThrow(() => assertQuorum(countQuorum(descriptors, governance, ids(ALICE, BOB))));
});

test('governance needs both thresholds and every key that enters', () => {
  const next = governanceOf([ALICE, BOB, DAVE], { version: 2 });
  const { payload } = decode(governanceMembers(chain, next));
  const reached = (...signers: { signer_id: string }[]): boolean =>
    countQuorum(payload, chain.governance, ids(...signers)).reached;
  assert.ok(reached(ALICE, BOB, DAVE));
  assert.ok(!reached(ALICE, BOB)); // dave enters without saying so
  assert.ok(!reached(ALICE, DAVE)); // one of the old set
  assert.ok(!reached(ALICE, CAROL, BOB));
  assert.ok(reached(ALICE, CAROL, DAVE)); // alice and carol are old, alice and dave new
  const rules = countQuorum(payload, chain.governance, []).rules.map(({ rule, threshold }) => [
    rule,
    threshold,
  ]);
  assert.deepEqual(rules, [
    ['current', 2],
    ['next', 2],
    ['entering', 1],
  ]);
});

test('a key under a new id counts once, and does not enter again', () => {
  const renamed = { ...ALICE, signer_id: 'org:acme#alice-2027' };
  const next = governanceOf([renamed, BOB], { version: 2 });
  const { payload } = decode(governanceMembers(chain, next));
  const count = (...signers: { signer_id: string }[]) =>
    countQuorum(payload, chain.governance, ids(...signers));
  assert.ok(!count(ALICE, renamed).reached); // two ids, one key
  assert.deepEqual(count(ALICE, renamed).approvals, ids(ALICE, renamed));
  assert.ok(count(ALICE, BOB).reached);
  assert.ok(count(renamed, BOB).reached);
  assert.equal(count(ALICE).rules[2]?.threshold, 0);
  assert.deepEqual(count(ALICE).rules[1]?.approved, ids(renamed));
});

// --- properties: keys are small numbers here; core never looks inside one ---

const signer = (id: number, key: number): Signer => ({
  signer_id: `org:t#s${id}`,
  algo: 'ed25519',
  public_key: `key${key}`,
});

const governanceWith = (
  isSame: (a: readonly [number, number], b: readonly [number, number]) => boolean,
): fc.Arbitrary<Governance> =>
  fc
    .tuple(
      fc.uniqueArray(fc.tuple(fc.nat(9), fc.nat(9)), {
        minLength: 1,
        maxLength: 8,
        comparator: isSame,
      }),
      fc.double({ min: 0, max: 1, noNaN: true }),
    )
    .map(([pairs, share]): Governance => {
      const signers = pairs.map(([id, key]) => signer(id, key));
      const threshold = 1 + Math.floor(share * (signers.length - 1));
      return { version: 1, threshold, signers, log_keys: [] };
    });

/** As payloads carry it: ids and keys each once. */
const governanceArbitrary = governanceWith((a, b) => a[0] === b[0] || a[1] === b[1]);
/** As no payload may carry it: one key under several ids. Counting must not rely on the reader. */
const sharedKeysArbitrary = governanceWith((a, b) => a[0] === b[0]);

const approvedArbitrary = fc.array(
  fc.nat(11).map((id) => `org:t#s${id}`),
  { maxLength: 16 },
);

/** The keys that approved, found the slow way. */
function approvingKeys(signers: readonly Signer[], approved: readonly string[]): Set<string> {
  return new Set(signers.filter((s) => approved.includes(s.signer_id)).map((s) => s.public_key));
}

const COMMON = {
  schema_version: '1.0.0',
  origin: 'a.example',
  registry: chain.registry,
  created_at: '2026-11-21T00:00:00.000Z',
  expires_at: '2026-11-22T00:00:00.000Z',
  note: '',
} as const;
const ANY_CHANGES: Payload = { ...COMMON, type: 'descriptors', changes: [] };

test('without M distinct keys there is no quorum, whatever is repeated (20,000 runs)', () => {
  let reached = 0;
  fc.assert(
    fc.property(sharedKeysArbitrary, approvedArbitrary, (governance, approved) => {
      const quorum = countQuorum(ANY_CHANGES, governance, approved);
      const keys = approvingKeys(governance.signers, approved);
      assert.equal(quorum.reached, keys.size >= governance.threshold);
      reached += Number(quorum.reached);
    }),
    { numRuns: 20_000, seed: 2026 },
  );
  assert.ok(reached > 2_000 && reached < 18_000, `${reached} of 20,000 reached quorum`);
});

test('a governance has quorum only with M old keys, M new keys and each new one (20,000 runs)', () => {
  let reached = 0;
  fc.assert(
    fc.property(
      governanceArbitrary,
      governanceArbitrary,
      approvedArbitrary,
      (current, drawn, approved) => {
        // Succession, checked elsewhere: an id that is known keeps its key.
        const known = new Map(current.signers.map((s) => [s.signer_id, s.public_key]));
        const signers = drawn.signers.filter(
          (s) => (known.get(s.signer_id) ?? s.public_key) === s.public_key,
        );
        fc.pre(signers.length > 0);
        const next = { ...drawn, signers, threshold: Math.min(drawn.threshold, signers.length) };
        const payload: Payload = {
          ...COMMON,
          type: 'governance',
          replaces: chain.registry,
          governance: next,
        };
        const quorum = countQuorum(payload, current, approved);
        const keys = approvingKeys([...current.signers, ...signers], approved);
        const count = (of: readonly Signer[]): number =>
          of.filter((s) => keys.has(s.public_key)).length;
        const oldKeys = new Set(current.signers.map((s) => s.public_key));
        const entering = signers.filter((s) => !oldKeys.has(s.public_key));
        const expected =
          count(current.signers) >= current.threshold &&
          count(signers) >= next.threshold &&
          count(entering) === entering.length;
        assert.equal(quorum.reached, expected);
        assert.equal(quorum.missing.length === 0, expected);
        reached += Number(expected);
      },
    ),
    { numRuns: 20_000, seed: 2026 },
  );
  assert.ok(reached > 1_000, `${reached} of 20,000 reached quorum`);
});

test('one more approval never undoes a quorum, and whoever is missing would help', () => {
  fc.assert(
    fc.property(governanceArbitrary, approvedArbitrary, (governance, approved) => {
      const before = countQuorum(ANY_CHANGES, governance, approved);
      for (const { signer_id } of governance.signers) {
        const after = countQuorum(ANY_CHANGES, governance, [...approved, signer_id]);
        assert.ok(after.reached || !before.reached);
      }
      const all = countQuorum(ANY_CHANGES, governance, [...approved, ...before.missing]);
      assert.ok(all.reached);
    }),
    { numRuns: 500 },
  );
});
