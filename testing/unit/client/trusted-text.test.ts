import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import fc from 'fast-check';
import { RecentPayloads } from '../../../src/client/recent-payloads.ts';
import { decodeTrustedState, encodeTrustedState } from '../../../src/client/trusted-text.ts';
import { canonicalText } from '../../../src/core/canonical.ts';
import { RegistryError } from '../../../src/core/error.ts';
import { type Hash, hashOf } from '../../../src/core/hash.ts';
import { openClient, openStage } from '../../support/client-server.ts';

let text: string;

before(async () => {
  const stage = await openStage();
  await stage.grow(2);
  const { client, saved } = openClient(stage);
  await client.head();
  text = (await saved()) ?? assert.fail();
});

test('trusted state survives as canonical text, byte for byte', () => {
  const state = decodeTrustedState(text);
  assert.equal(encodeTrustedState(state), text);
  assert.equal(canonicalText(JSON.parse(text)), text);
  assert.equal(state.chain.version, 2);
  assert.equal(state.chain.set.size, 2);
  assert.equal(state.chain.signerKeys.size, 3);
  assert.equal(state.chain.tree.size, 3);
  assert.deepEqual(state.chain.tree.root, state.checkpoint.root);
  assert.equal(state.recent.unexpired(state.chain.committedAt).length, 3);
});

test('a line end after it, as an editor leaves, is no damage', () => {
  assert.equal(decodeTrustedState(`${text}\n`).chain.version, 2);
});

test('any changed character is damage, and the error says what to do', () => {
  fc.assert(
    fc.property(fc.nat(), fc.constantFrom('0', 'a', '"', '{', '\u0000', 'é'), (seed, character) => {
      const at = seed % text.length;
      fc.pre(text[at] !== character);
      const error = refusal(`${text.slice(0, at)}${character}${text.slice(at + 1)}`);
      assert.match(error.code, /^storage_(damaged|foreign|newer)$/);
      if (error.code === 'storage_damaged')
        assert.match(error.message, /restore it from a copy, or delete it/);
    }),
    { numRuns: 300 },
  );
});

test('any shorter text is damage', () => {
  fc.assert(
    fc.property(fc.nat(), (seed) => {
      assert.equal(refusal(text.slice(0, seed % text.length)).code, 'storage_damaged');
    }),
  );
});

test('another document is foreign, and a later form is newer', () => {
  assert.equal(refusal('{}').code, 'storage_foreign');
  assert.equal(refusal('{"schema":"something/else"}').code, 'storage_foreign');
  assert.equal(refusal('{"schema":"quorate/trusted-state/v4"}').code, 'storage_newer');
  assert.equal(refusal('[]').code, 'storage_damaged');
});

test('a state whose hash is right is still read strictly', () => {
  const { schema, state } = JSON.parse(text);
  const seal = (value: unknown) =>
    canonicalText({
      schema,
      state: value,
      state_b3: hashOf(new TextEncoder().encode(canonicalText(value))),
    });
  assert.equal(decodeTrustedState(seal(state)).chain.version, 2);
  for (const changed of [
    { ...state, extra: 1 },
    { ...state, leaf: { ...state.leaf, version: -1 } },
    { ...state, governance: { ...state.governance, threshold: 9 } },
    { ...state, recent: [{ payload_b3: 'x', expires_at: 'y' }] },
    { ...state, signer_keys: [{ signer_id: 'x' }] },
    { ...state, edge: state.edge.slice(1) },
    { ...state, edge: ['AA==', ...state.edge.slice(1)] },
    { ...state, edge: state.edge.toReversed() },
    { ...state, fresh_at: -1 },
    { ...state, fresh_at: undefined },
    { ...state, checkpoint: 'no note' },
    { ...state, checkpoint: state.checkpoint.replace('\n3\n', '\n2\n') },
    { ...state, checkpoint: state.checkpoint.replace('registry.example', 'other.example') },
  ])
    assert.equal(refusal(seal(changed)).code, 'storage_damaged');
});

test('a checkpoint beyond the tree, as while catching up, is read back, and so is its time', () => {
  const { schema, state } = JSON.parse(text);
  const checkpoint = state.checkpoint.replace('\n3\n', '\n300\n');
  const value = { ...state, checkpoint, fresh_at: 1_795_251_600 };
  const state_b3 = hashOf(new TextEncoder().encode(canonicalText(value)));
  const read = decodeTrustedState(canonicalText({ schema, state: value, state_b3 }));
  assert.deepEqual([read.checkpoint.size, read.chain.tree.size], [300, 3]);
  assert.equal(read.checkpoint.freshAt, 1_795_251_600);
  assert.equal(JSON.parse(encodeTrustedState(read)).state.fresh_at, 1_795_251_600);
});

test('what was accepted without being verified is kept, in a form that older programs refuse', () => {
  const state = decodeTrustedState(text);
  assert.deepEqual(state.accepted, []);
  const accepted = [
    { from: 1, to: 1 },
    { from: 2, to: 2 },
  ];
  const kept = encodeTrustedState({ ...state, accepted });
  assert.equal(JSON.parse(kept).schema, 'quorate/trusted-state/v3');
  assert.deepEqual(decodeTrustedState(kept).accepted, accepted);
  assert.equal(encodeTrustedState(decodeTrustedState(kept)), kept);
  const { schema, state: value } = JSON.parse(kept);
  for (const changed of [
    { ...value, accepted: undefined },
    { ...value, accepted: 1 },
    { ...value, accepted: [{ from: 1 }] },
    { ...value, accepted: [{ from: -1, to: 1 }] },
    { ...value, accepted: [{ from: 1, to: '1' }] },
  ]) {
    const state_b3 = hashOf(new TextEncoder().encode(canonicalText(changed)));
    const damaged = canonicalText({ schema, state: changed, state_b3 });
    assert.equal(refusal(damaged).code, 'storage_damaged');
  }
});

test('the form without a tree is refused with a way out', () => {
  const error = refusal('{"schema":"quorate/trusted-state/v1"}');
  assert.equal(error.code, 'storage_foreign');
  assert.match(error.message, /delete it to verify the registry from genesis again/);
});

test('a committed payload is remembered until it has expired, and no longer', () => {
  const time = (day: number) => new Date(Date.UTC(2026, 0, 1 + day)).toISOString();
  const hash = (n: number): Hash => hashOf(Uint8Array.of(n >> 8, n & 255));
  let recent = RecentPayloads.NONE;
  // One a day, each expiring after 30 days.
  for (let day = 0; day < 1_000; day++) {
    recent = recent.with({
      payloadB3: hash(day),
      expiresAt: time(day + 30),
      committedAt: time(day),
    });
    for (const kept of [day, day - 1, day - 30]) assert.equal(recent.has(hash(kept)), kept >= 0);
  }
  assert.equal(recent.has(hash(0)), false);
  const kept = recent.unexpired(time(999));
  assert.deepEqual(
    new Set(kept.map(([payloadB3]) => payloadB3)),
    new Set(Array.from({ length: 31 }, (_, i) => hash(999 - i))),
  );
  assert.deepEqual(kept, RecentPayloads.from(kept).unexpired(time(999)));
});

function refusal(damaged: string): RegistryError {
  try {
    decodeTrustedState(damaged);
  } catch (error) {
    if (error instanceof RegistryError) return error;
    throw error;
  }
  return assert.fail(`believed ${damaged}`);
}
