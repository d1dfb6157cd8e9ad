/** Lies about the set and about the past: proofs, sets and old entries are believed up to the trusted root and no further. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryTrust } from '../../../src/client/memory-trust.ts';
import type { ErrorCode } from '../../../src/core/error.ts';
import { hashOf } from '../../../src/core/hash.ts';
import {
  altered,
  at,
  edit,
  editLeaf,
  json,
  type Log,
  readLog,
  reseal,
  serve,
} from '../../support/client-lies.ts';
import {
  errorOf,
  type Lie,
  openClient,
  openStage,
  type Stage,
} from '../../support/client-server.ts';
import { put, remove } from '../../support/registry.ts';

const OTHER_HASH = hashOf(new Uint8Array());
const KEY = { kind: 'service', id: 'grown-3' };
const ABSENT = { kind: 'service', id: 'absent' };
const PROOFS = '/registry/8/descriptors/';

/** Eight descriptors at version 8. */
async function openSet(): Promise<Stage> {
  const stage = await openStage();
  await stage.grow(8);
  return stage;
}

interface ProofJson {
  readonly siblings: readonly string[];
  readonly leaf: Record<string, string>;
}

function alteredProof(change: (proof: ProofJson) => unknown): Lie {
  return altered(PROOFS, (answer) => ({ ...answer, proof: change(answer.proof as ProofJson) }));
}

/** The answer to another question. */
function insteadOf(
  path: string,
  change: (asked: Record<string, unknown>, other: Record<string, unknown>) => unknown,
): Lie {
  return async (asked, honest) =>
    asked.startsWith(PROOFS)
      ? json(change(await (await honest()).json(), await (await honest(path)).json()))
      : honest();
}

const other = '/registry/8/descriptors/service/grown-4?proof=1';
const absent = '/registry/8/descriptors/service/absent?proof=1';
const old = '/registry/2/descriptors/service/grown-3?proof=1';

const PROOF_LIES: readonly (readonly [lie: string, lie: Lie])[] = [
  [
    'a changed sibling',
    alteredProof(({ siblings, leaf }) => ({ leaf, siblings: [OTHER_HASH, ...siblings.slice(1)] })),
  ],
  ['a sibling less', alteredProof(({ siblings, leaf }) => ({ leaf, siblings: siblings.slice(1) }))],
  [
    'a sibling more',
    alteredProof(({ siblings, leaf }) => ({ leaf, siblings: [...siblings, OTHER_HASH] })),
  ],
  ['257 siblings', alteredProof(({ leaf }) => ({ leaf, siblings: Array(257).fill(OTHER_HASH) }))],
  [
    'another value hash',
    alteredProof(({ siblings, leaf }) => ({ siblings, leaf: { ...leaf, value_hash: OTHER_HASH } })),
  ],
  [
    'another path',
    alteredProof(({ siblings, leaf }) => ({ siblings, leaf: { ...leaf, path: OTHER_HASH } })),
  ],
  ['no leaf', alteredProof(({ siblings }) => ({ siblings, leaf: null }))],
  ['no proof', alteredProof(() => null)],
  [
    'a changed descriptor',
    altered(PROOFS, (answer) => ({ ...answer, descriptor: { ...KEY, spec: { n: 4 } } })),
  ],
  [
    'a present one denied under its own proof',
    altered(PROOFS, (answer) => ({ ...answer, descriptor: null })),
  ],
  ['a present one denied by the proof of an absent one', insteadOf(absent, (_, answer) => answer)],
  ['another descriptor with its proof', insteadOf(other, (_, answer) => answer)],
  [
    'another descriptor under the right proof',
    insteadOf(other, (asked, answer) => ({ ...asked, descriptor: answer.descriptor })),
  ],
  ['the absence at an older version', insteadOf(old, (_, answer) => answer)],
];

for (const [lie, make] of PROOF_LIES)
  test(`${lie} is no proof of a descriptor`, async () => {
    const stage = await openSet();
    const { client } = openClient(stage);
    stage.lie(make);
    await assert.rejects(client.descriptor(KEY), { code: 'invalid_proof' });
    stage.lie(undefined);
    assert.deepEqual((await client.descriptor(KEY)).descriptor?.spec, { n: 3 });
  });

test('an absent descriptor cannot be shown', async () => {
  const stage = await openSet();
  const { client } = openClient(stage);
  stage.lie(altered(PROOFS, (answer) => ({ ...answer, descriptor: { ...ABSENT, spec: {} } })));
  await assert.rejects(client.descriptor(ABSENT), { code: 'invalid_proof' });
  stage.lie(
    insteadOf(other, (asked, answer) => ({
      ...asked,
      descriptor: answer.descriptor,
      proof: answer.proof,
    })),
  );
  await assert.rejects(client.descriptor(ABSENT), { code: 'invalid_proof' });
});

test('not found is a word and no proof of absence', async () => {
  const stage = await openSet();
  const { client } = openClient(stage);
  stage.lie((path, honest) =>
    path.startsWith(PROOFS) ? honest('/registry/8/descriptors/service/nothing') : honest(),
  );
  await assert.rejects(client.descriptor(KEY), { code: 'unexpected_answer' });
});

type Items = readonly Record<string, unknown>[];

const SET_LIES: readonly (readonly [
  lie: string,
  code: ErrorCode,
  change: (items: Items) => unknown,
])[] = [
  ['a descriptor less', 'invalid_proof', (items) => items.slice(1)],
  ['a descriptor more', 'invalid_proof', (items) => [...items, { ...ABSENT, id: 'zzz', spec: {} }]],
  [
    'a changed descriptor',
    'invalid_proof',
    ([first, ...rest]) => [{ ...first, spec: { n: 99 } }, ...rest],
  ],
  ['a descriptor twice', 'invalid_proof', (items) => [...items.slice(0, 1), ...items]],
  ['an unsorted set', 'invalid_proof', (items) => items.toReversed()],
  [
    'text that json cannot carry',
    'invalid_proof',
    ([first, ...rest]) => [{ ...first, spec: { n: '\ud800' } }, ...rest],
  ],
  ['no set', 'invalid_proof', () => []],
  ['something else', 'unexpected_answer', () => ({})],
  [
    'an id that no descriptor has',
    'unexpected_answer',
    ([first, ...rest]) => [{ ...first, id: '../x' }, ...rest],
  ],
];

/** Like `json`, for text that is not canonical either. */
function loose(prefix: string, change: (items: Items) => unknown): Lie {
  return at(prefix, async (_path, honest) => {
    const { items, ...set } = await (await honest()).json();
    return Response.json({ ...set, items: change(items) });
  });
}

for (const [lie, code, change] of SET_LIES)
  test(`${lie} is ${code} for the set, before and after a restart`, async () => {
    const stage = await openSet();
    const trust = memoryTrust();
    const { client, saved } = openClient(stage, { trust });
    await client.head();
    const believed = await saved();
    stage.lie(loose('/registry/8/set', change));
    await assert.rejects(client.set(), { code });
    // A removal makes a client that knows only the root ask for the set.
    await stage.change(remove('grown-0', { n: 0 }));
    const restarted = openClient(stage, { trust });
    await assert.rejects(restarted.client.head(), { code });
    assert.equal(await restarted.saved(), believed);
    stage.lie(undefined);
    assert.equal((await restarted.client.head()).setSize, 7);
  });

test('a forged proof cannot make an entry valid after a restart', async () => {
  const stage = await openSet();
  const trust = memoryTrust();
  const first = openClient(stage, { trust });
  await first.client.head();
  const believed = await first.saved();
  await stage.change(put('new', {}));
  const { client, saved } = openClient(stage, { trust });
  stage.lie(
    alteredProof(({ siblings, leaf }) => ({ leaf, siblings: siblings.map(() => OTHER_HASH) })),
  );
  await assert.rejects(client.head(), { code: 'invalid_proof' });
  assert.equal(client.trusted()?.version, 8);
  assert.equal(await saved(), believed);
  stage.lie(undefined);
  assert.equal((await client.head()).version, 9);
});

test('an entry that nobody signed makes a restarted client ask for nothing more', async () => {
  const stage = await openSet();
  const trust = memoryTrust();
  await openClient(stage, { trust }).client.head();
  await stage.change(put('new', {}));
  const log = await readLog(stage);
  stage.lie(
    serve(
      reseal(
        edit(log, 9, (entry) => ({ ...entry, approvals: entry.approvals.slice(1) })),
        9,
      ),
    ),
  );
  stage.requests.length = 0;
  await assert.rejects(openClient(stage, { trust }).client.head(), { code: 'quorum_not_reached' });
  assert.deepEqual(stage.requests, [
    'GET /checkpoint',
    'GET /registry/proof/consistency/9/10',
    'GET /registry/entries?from=9&limit=256',
  ]);
});

const PAST_LIES: readonly (readonly [lie: string, code: ErrorCode, change: (log: Log) => Log])[] = [
  [
    'another time in its leaf',
    'invalid_proof',
    (log) => editLeaf(log, 3, { committed_at: '2026-11-21T09:00:01.000Z' }),
  ],
  [
    'another history around it',
    'invalid_proof',
    (log) => reseal(editLeaf(log, 3, { committed_at: '2026-11-21T09:00:01.000Z' }), 4),
  ],
  [
    'another payload',
    'invalid_entry',
    (log) => edit(log, 3, (entry) => ({ ...entry, payload: log[4]?.payload ?? entry.payload })),
  ],
  [
    'other approvals',
    'invalid_entry',
    (log) => edit(log, 3, (entry) => ({ ...entry, approvals: log[4]?.approvals ?? [] })),
  ],
  ['another version', 'unexpected_answer', (log) => log.toSpliced(3, 1)],
  ['no entry', 'unexpected_answer', (log) => log.slice(0, 3)],
];

for (const [lie, code, change] of PAST_LIES)
  test(`an old entry with ${lie} is ${code}`, async () => {
    const stage = await openSet();
    const trust = memoryTrust();
    await openClient(stage, { trust }).client.head();
    // Remembers no hash but the head's.
    const { client } = openClient(stage, { trust });
    stage.lie(serve(change(await readLog(stage))));
    const error = await errorOf(client.entry(3));
    assert.ok(error instanceof Error && 'code' in error, String(error));
    assert.equal(error.code, code, error.message);
    stage.lie(undefined);
    assert.equal((await client.entry(3)).version, 3);
  });

test('an old entry with the proof of another one is invalid_proof, and one without a proof is no answer', async () => {
  const stage = await openSet();
  const trust = memoryTrust();
  await openClient(stage, { trust }).client.head();
  const { client } = openClient(stage, { trust });
  stage.lie(
    at('/registry/proof/inclusion', (_path, honest) => honest('/registry/proof/inclusion/4/9')),
  );
  await assert.rejects(client.entry(3), { code: 'invalid_proof' });
  stage.lie(
    at('/registry/proof/inclusion', (_path, honest) => honest('/registry/proof/inclusion/3/8')),
  );
  await assert.rejects(client.entry(3), { code: 'invalid_proof' });
  stage.lie(
    at('/registry/proof/inclusion', (_path, honest) => honest('/registry/proof/inclusion/9/9')),
  );
  await assert.rejects(client.entry(3), { code: 'unexpected_answer' });
});

test('an old entry whose hash is remembered must be that entry', async () => {
  const stage = await openSet();
  const { client } = openClient(stage);
  await client.head();
  const log = await readLog(stage);
  stage.lie(serve(reseal(editLeaf(log, 3, { committed_at: '2026-11-21T09:00:01.000Z' }), 4)));
  await assert.rejects(client.entry(3), { code: 'fork' });
});
