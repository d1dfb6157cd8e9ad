/** What an answer may cost: more than honest entries and sets can hold is refused before it is parsed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readServedEntry } from '../../../src/client/served-entry.ts';
import { encodeUtf8 } from '../../../src/core/bytes.ts';
import { canonicalText } from '../../../src/core/canonical.ts';
import { MAX_SIGNERS } from '../../../src/core/governance.ts';
import { hashOf } from '../../../src/core/hash.ts';
import { encodeLeaf } from '../../../src/core/leaf.ts';
import { decodePayload, MAX_PAYLOAD_BYTES } from '../../../src/core/payload.ts';
import { altered, at, json, ndjson } from '../../support/client-lies.ts';
import { type Lie, openClient, openStage } from '../../support/client-server.ts';
import { put } from '../../support/registry.ts';
import { descriptorsPayload } from '../../support/signers.ts';

const ORIGIN = `registry.example.com/${'o'.repeat(234)}`;
const HASH = hashOf(new Uint8Array());
const LEAF = {
  approvals_b3: HASH,
  committed_at: '2026-11-21T09:00:00.000Z',
  governance_version: Number.MAX_SAFE_INTEGER,
  origin: ORIGIN,
  payload_b3: HASH,
  payload_bytes: MAX_PAYLOAD_BYTES,
  prev_hash: HASH,
  schema_version: '1.0.0',
  set_root: HASH,
  set_size: Number.MAX_SAFE_INTEGER,
  type: 'governance',
  version: 5,
} as const;
const APPROVALS = Array.from({ length: MAX_SIGNERS * 2 }, (_, i) => ({
  algo: 'ed25519',
  sig: `${'A'.repeat(86)}==`,
  signed_at: '2026-11-21T09:00:00.000Z',
  signer_id: `org:${'r'.repeat(60)}#${`${i}`.padStart(63, 'k')}`,
}));

/** A spec that makes a payload of it hold as much as payloads can. */
function largestPayload(): string {
  const values = Array(99_900).fill(0);
  const payloadOf = (fill: string) =>
    descriptorsPayload(HASH, [put('large', { fill, values })]).bytes;
  const room = MAX_PAYLOAD_BYTES - payloadOf('').length;
  const bytes = payloadOf('x'.repeat(room));
  assert.equal(bytes.length, MAX_PAYLOAD_BYTES);
  return new TextDecoder().decode(decodePayload(bytes).bytes);
}

const lineOf = (payload: string, approvals: unknown = APPROVALS): Uint8Array =>
  encodeUtf8(
    `{"approvals":${canonicalText(approvals)},"leaf":${new TextDecoder().decode(encodeLeaf(LEAF))},"payload":${payload}}`,
  );

test('the largest entry that the rules of the log allow is read', () => {
  const { version, bytes } = readServedEntry(lineOf(largestPayload()), 5);
  assert.deepEqual([version, bytes.payload?.length], [5, MAX_PAYLOAD_BYTES]);
});

test('an entry that is longer, or holds more values, is refused before it is parsed', () => {
  const zeros = (count: number) => `{"a":[${Array(count).fill('0').join(',')}]}`;
  for (const [line, why] of [
    [lineOf(zeros(700_000)), /at most 1376255 bytes at \/, got 1\d{6}$/],
    [lineOf(zeros(110_000), []), /at most 103574 values, got more at byte/],
    [lineOf(`{"a":${'['.repeat(40)}${']'.repeat(40)}}`), /at most 33 nested containers/],
  ] as const) {
    const refusal = { code: 'unexpected_answer', message: why };
    assert.throws(() => readServedEntry(line, 5), refusal);
  }
});

/** Eight descriptors at version 8. */
async function openSet() {
  const stage = await openStage();
  await stage.grow(8);
  return stage;
}

type Item = Record<string, unknown>;

const inItems = (change: (items: readonly Item[]) => unknown): Lie =>
  at('/registry/8/set', async (_path, honest) => {
    const { items, ...set } = await (await honest()).json();
    return json({ ...set, items: change(items) });
  });

/** One descriptor that is not what it was, the others as they are. */
const withSpec = (spec: unknown): Lie =>
  inItems(([first, ...rest]) => [{ ...first, spec }, ...rest]);

const SET_LIES: readonly (readonly [lie: string, code: string, why: RegExp, lie: Lie])[] = [
  [
    'a descriptor of more values than a payload carries',
    'unexpected_answer',
    /at most 100000 values from byte \d+ on/,
    withSpec({ n: Array(100_000).fill(0) }),
  ],
  [
    'a descriptor longer than a payload',
    'unexpected_answer',
    /at most 1048576 bytes from byte \d+ on/,
    withSpec({ n: 'x'.repeat(MAX_PAYLOAD_BYTES) }),
  ],
  [
    'values beside the descriptors',
    'unexpected_answer',
    /at most 801000 values, got more/,
    altered('/registry/8/set', (set) => ({ beside: Array(802_000).fill(0), ...set })),
  ],
  [
    'more than its descriptors can be',
    'unexpected_answer',
    /at most 8454152 bytes, got more/,
    altered('/registry/8/set', (set) => ({ ...set, beside: 'x'.repeat(9_000_000) })),
  ],
  [
    'a descriptor more',
    'invalid_proof',
    /expected the 8 items under the set root of version 8, each path once, got 9/,
    inItems((items) => [...items, items[0]]),
  ],
];

for (const [lie, code, message, tell] of SET_LIES)
  test(`a set with ${lie} is refused before its descriptors are read`, async () => {
    const stage = await openSet();
    const { client } = openClient(stage);
    await client.head();
    stage.lie(tell);
    await assert.rejects(client.set(), { code, message });
    stage.lie(undefined);
    assert.equal((await client.set()).items.length, 8);
  });

test('a proof comes with one descriptor', async () => {
  const stage = await openSet();
  const { client } = openClient(stage);
  await client.head();
  const spec = { n: Array(110_000).fill(0) };
  stage.lie(
    altered('/registry/8/descriptors/', (answer) => ({
      ...answer,
      descriptor: { kind: 'service', id: 'grown-3', spec },
    })),
  );
  await assert.rejects(client.descriptor({ kind: 'service', id: 'grown-3' }), {
    code: 'unexpected_answer',
    message: /at most 101000 values/,
  });
});

test('a page with an entry that is too long is refused', async () => {
  const stage = await openSet();
  const { client, saved } = openClient(stage);
  stage.lie(at('/registry/entries', () => ndjson(`{"a":[${'0,'.repeat(4_000_000)}0]}\n`)));
  await assert.rejects(client.head(), { code: 'unexpected_answer', message: /got 8000009$/ });
  assert.equal(await saved(), undefined);
});
