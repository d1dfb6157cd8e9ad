/** A registry that has pruned what the client has not read: refused, unless the user agrees to go by leaves. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import type { Update } from '../../../src/client/client.ts';
import { memoryTrust } from '../../../src/client/memory-trust.ts';
import { encodeBase64 } from '../../../src/core/bytes.ts';
import { type ErrorCode, RegistryError } from '../../../src/core/error.ts';
import { encodeLeaf, entryHash } from '../../../src/core/leaf.ts';
import { encodeBundle } from '../../../src/core/tlog/tiles.ts';
import { encodeVerifierKey } from '../../../src/core/vkey.ts';
import { forgetting, type Gone, problem } from '../../support/client-gone.ts';
import { edit, editLeaf, type Log, readLog, reseal, serve } from '../../support/client-lies.ts';
import {
  errorOf,
  type Lie,
  openClient,
  openStage,
  type Stage,
} from '../../support/client-server.ts';
import { put, remove } from '../../support/registry.ts';
import {
  descriptorsPayload,
  erasePayload,
  governancePayload,
  LOG_SIGNER,
  makeGovernance,
  makeLogSigner,
  ORIGIN,
} from '../../support/signers.ts';

/** More than one entry bundle; the governance changes at 100. */
const SIZE = 270;
const OLDEST = 262;

let stage: Stage;
let log: Log;
let early: Stage;

before(async () => {
  early = await openStage();
  await fill(early, 5);
  stage = await openStage();
  await fill(stage, 100);
  const { governance: current, registryHash, signers } = stage;
  const next = makeGovernance(signers, { threshold: 3, version: 2 });
  await stage.commit(governancePayload(registryHash, { next, current }), signers);
  for (let version = 101; version < SIZE; version++) await commitChange(stage, version);
  log = await readLog(stage);
  assert.equal(log.length, SIZE);
});

/** Versions up to, not including, `size`. */
async function fill(on: Stage, size: number): Promise<void> {
  for (let version = 1; version < size; version++) await commitChange(on, version);
}

/** Every version changes one of four descriptors, and now and then one goes. */
async function commitChange(on: Stage, version: number): Promise<void> {
  const id = `d${version % 4}`;
  const known = specs.get(on) ?? new Map<string, { n: number }>();
  specs.set(on, known);
  const old = known.get(id);
  const isRemoval = version % 7 === 0 && old !== undefined;
  if (isRemoval) known.delete(id);
  else known.set(id, { n: version });
  const change = isRemoval ? remove(id, old) : put(id, { n: version }, old);
  const { signers, registryHash } = on;
  await on.commit(descriptorsPayload(registryHash, [change], { note: `${version}` }), signers);
}

const specs = new Map<Stage, Map<string, { n: number }>>();

const PRUNED = forgetting({
  oldest: OLDEST,
  governance: [0, 100],
  archive: 's3://archive/\u001b[31m',
});

async function withLie<T>(lie: Lie, use: () => Promise<T>): Promise<T> {
  stage.lie(lie);
  try {
    return await use();
  } finally {
    stage.lie(undefined);
  }
}

async function refusalOf(lie: Lie, acceptPruned = true): Promise<RegistryError> {
  const { client, saved } = openClient(stage, { acceptPruned });
  const error = await withLie(lie, () => errorOf(client.head()));
  assert.ok(error instanceof RegistryError, String(error));
  assert.deepEqual([client.trusted(), await saved()], [undefined, undefined]);
  return error;
}

test('a client that has not read what was pruned says how much it is, and where it may be', async () => {
  const error = await refusalOf(PRUNED, false);
  assert.equal(error.code, 'pruned');
  assert.match(error.message, /those before 262 were pruned: take the 262 from a snapshot/);
  assert.match(error.message, /s3:\/\/archive\/\\u001b/);
  const { version, oldest, entries } = error.details;
  assert.deepEqual([version, oldest, entries], [0, OLDEST, OLDEST]);
});

test('with leave it goes by leaves, and knows governance and set as if it had read all', async () => {
  const { client, saved } = openClient(stage, { acceptPruned: true });
  const { head, items } = await withLie(PRUNED, () => client.set());
  const honest = stage.registry.head()?.object;
  assert.deepEqual(
    [head.version, head.entryHash, head.setRoot, head.governance.version],
    [SIZE - 1, honest?.entry_hash, honest?.set_root, 2],
  );
  assert.equal(items.length, head.setSize);
  assert.deepEqual(head.accepted, [{ from: 0, to: OLDEST - 1 }]);
  const chain = client.trusted();
  assert.deepEqual([...(chain?.signerKeys.keys() ?? [])].length, 3);
  // Who reads the saved state later, with all of the log at hand, is told too.
  const later = openClient(stage, { trust: memoryTrust(await saved()) });
  assert.deepEqual((await later.client.head()).accepted, head.accepted);
});

test('one that was offline across the horizon is told what was between', async () => {
  const trust = memoryTrust();
  assert.equal((await openClient(early, { trust }).client.head()).version, 4);
  const saved = await trust.load();
  const strict = openClient(stage, { trust: memoryTrust(saved) });
  const error = await withLie(PRUNED, () => errorOf(strict.client.head()));
  assert.ok(error instanceof RegistryError);
  assert.equal(error.code, 'pruned');
  assert.deepEqual([error.details.version, error.details.entries], [5, OLDEST - 5]);
  assert.equal(strict.client.trusted()?.version, 4);
  const { client } = openClient(stage, { trust: memoryTrust(saved), acceptPruned: true });
  const head = await withLie(PRUNED, () => client.head());
  assert.deepEqual(head.accepted, [{ from: 5, to: OLDEST - 1 }]);
  assert.equal(head.version, SIZE - 1);
});

test('a client whose head is just below the horizon needs nobody to agree', async () => {
  const trust = memoryTrust();
  const near = openClient(stage, { trust });
  await take(near.client.follow(), OLDEST - 1);
  assert.equal(near.client.trusted()?.version, OLDEST - 1);
  // Restarted: it knows the set by its root, and the version of that root is pruned.
  const { client } = openClient(stage, { trust: memoryTrust(await trust.load()) });
  const head = await withLie(PRUNED, () => client.head());
  assert.deepEqual([head.version, head.accepted], [SIZE - 1, []]);
});

test('a follower begins with the oldest version that is there, and says what it passed over', async () => {
  const { client } = openClient(stage, { acceptPruned: true });
  const updates = await withLie(PRUNED, () => take(client.follow(), SIZE - OLDEST));
  assert.deepEqual(
    updates.map(({ entry, skipped }) => [entry.version, skipped]),
    Array.from({ length: SIZE - OLDEST }, (_, i) => [
      OLDEST + i,
      i === 0 ? { from: 0, to: OLDEST - 1 } : undefined,
    ]),
  );
  assert.equal(updates[0]?.head.governance.version, 2);
  const strict = openClient(stage).client;
  const error = await withLie(PRUNED, () => errorOf(take(strict.follow(), 1)));
  assert.ok(error instanceof RegistryError && error.code === 'pruned');
});

test('a follower whose client went over the gap for somebody else goes on behind it', async () => {
  const own = await openStage();
  await own.grow(2);
  const { client } = openClient(own, { acceptPruned: true });
  await client.head();
  await own.grow(6);
  const gone = forgetting({ oldest: 6 });
  let other: Promise<unknown> | undefined;
  own.lie((path, honest, request) => {
    // It has its turn after the follower's claim, and before the entries of it.
    if (path === '/checkpoint') other ??= client.head();
    return gone(path, honest, request);
  });
  const updates = client.follow()[Symbol.asyncIterator]();
  const next = updates.next();
  while (client.trusted()?.version !== 8) await new Promise((resolve) => setImmediate(resolve));
  await other;
  await own.grow(1);
  const { value } = await next;
  assert.deepEqual([value?.entry.version, value?.skipped], [9, { from: 3, to: 8 }]);
  await updates.return?.();
});

test('an entry that was pruned cannot be read, one that set the governance can', async () => {
  const { client } = openClient(stage);
  await client.head();
  await withLie(PRUNED, async () => {
    const error = await errorOf(client.entry(7));
    assert.ok(error instanceof RegistryError && error.code === 'pruned');
    assert.equal((await client.entry(100)).leaf.type, 'governance');
  });
});

/** An entry's own form, and a signature by nobody. */
function forged(entry: Log[number]): Log[number] {
  const sig = encodeBase64(new Uint8Array(64).fill(9));
  return { ...entry, approvals: entry.approvals.map((approval) => ({ ...approval, sig })) };
}

function isPruned(error: unknown, message: RegExp): void {
  assert.ok(error instanceof RegistryError && error.code === 'pruned', String(error));
  assert.match(error.message, message);
}

test('an entry in an accepted gap is verified for nobody, whoever serves it afterwards', async () => {
  const lied = reseal(edit(log, 200, forged), 200);
  const trust = memoryTrust();
  const first = openClient(stage, { trust, acceptPruned: true });
  await withLie(bundled(lied), () => first.client.head());
  const again = openClient(stage, { trust: memoryTrust(await trust.load()) });
  // A mirror has it all, with a signature in it that nobody made.
  await withLie(serve(lied), async () => {
    for (const { client } of [first, again]) {
      for (const version of [0, 100, OLDEST, SIZE - 1])
        assert.equal((await client.entry(version)).version, version);
      for (const version of [1, 200, OLDEST - 1])
        isPruned(
          await errorOf(client.entry(version)),
          /accepted by its leaf alone, as 0 to 261 were: read it from a mirror/,
        );
    }
  });
});

test('a second reader passes over what a first went over, also where it is to be had again', async () => {
  const own = await openStage();
  await own.grow(2);
  const { client } = openClient(own, { acceptPruned: true });
  await client.head();
  await own.grow(6);
  const gone = forgetting({ oldest: 7 });
  let other: Promise<unknown> | undefined;
  own.lie((path, honest, request) => {
    // It has its turn after the follower's claim, and before the entries of it.
    if (path === '/checkpoint') other ??= client.head().then(() => own.lie(undefined));
    return gone(path, honest, request);
  });
  const updates = client.follow()[Symbol.asyncIterator]();
  const next = updates.next();
  while (client.trusted()?.version !== 8) await new Promise((resolve) => setImmediate(resolve));
  await other;
  await own.grow(1);
  const { value } = await next;
  assert.deepEqual([value?.entry.version, value?.skipped], [9, { from: 3, to: 8 }]);
  assert.deepEqual(value?.head.accepted, [{ from: 3, to: 6 }]);
  await updates.return?.();
});

test('an erase entry in an accepted gap erases nothing', async () => {
  const own = await openStage();
  await own.change(put('a', {}));
  await own.change(put('b', {}));
  await own.change(remove('b', {}));
  await own.grow(1);
  const trust = memoryTrust();
  await openClient(own, { trust }).client.head();
  const erases = entryHash(encodeLeaf((await readLog(own))[2]!.leaf));
  await own.commit(erasePayload(own.registryHash, { erases, version: 2 }));
  await own.grow(4);
  const lied = reseal(edit(await readLog(own), 5, forged), 5);
  const { client } = openClient(own, { trust, acceptPruned: true });
  own.lie(bundledOf(lied, { oldest: 7 }));
  assert.deepEqual((await client.head()).accepted, [{ from: 5, to: 6 }]);
  own.lie(forgetting({ erased: new Map([[2, 5]]) }, serve(lied)));
  isPruned(await errorOf(client.entry(2)), /got version 5, which was accepted by its leaf alone/);
});

/** Bundles of the leaves of `lied`, and what else it would serve. */
function bundled(lied: Log, isHeadHonest = false): Lie {
  return bundledOf(lied, { oldest: OLDEST, governance: [0, 100] }, isHeadHonest);
}

function bundledOf(lied: Log, gone: Gone, isHeadHonest = false): Lie {
  const inner = serve(lied, { isHeadHonest });
  return forgetting(gone, async (path, honest, request) => {
    const [, index, width] = /^\/tile\/entries\/00(\d)(?:\.p\/(\d+))?$/.exec(path) ?? [];
    if (index === undefined) return inner(path, honest, request);
    const first = Number(index) * 256;
    const leaves = lied.slice(first, first + Number(width ?? 256));
    return new Response(Uint8Array.from(encodeBundle(leaves.map(({ leaf }) => encodeLeaf(leaf)))), {
      headers: { 'content-type': 'application/octet-stream' },
    });
  });
}

const OTHER = { committed_at: '2026-11-21T09:00:00.001Z' };
const LIES: readonly (readonly [what: string, code: ErrorCode, lie: () => Lie, why: RegExp])[] = [
  [
    'a leaf that is not linked',
    'fork',
    () => bundled(editLeaf(log, 50, { prev_hash: log[0]!.leaf.payload_b3 })),
    /expected version 50 to follow/,
  ],
  [
    'leaves of another tree',
    'invalid_proof',
    () =>
      bundled(
        reseal(
          log.map((e) => ({ ...e, leaf: { ...e.leaf, ...(e.leaf.version > 60 && OTHER) } })),
          61,
        ),
        true,
      ),
    /lead to the checkpoint/,
  ],
  [
    'a governance that its signers did not approve',
    'quorum_not_reached',
    () =>
      bundled(
        reseal(
          edit(log, 100, (e) => ({ ...e, approvals: e.approvals.slice(1) })),
          100,
        ),
      ),
    /expected a quorum/,
  ],
  [
    'a governance entry as if it were none',
    'invalid_entry',
    () => bundled(reseal(editLeaf(log, 100, { type: 'descriptors' }), 100)),
    /governance_version/,
  ],
  [
    'a horizon beyond the checkpoint',
    'unexpected_answer',
    () => told(SIZE),
    /expected the oldest version after 0 of 270/,
  ],
  ['a horizon that is none', 'unexpected_answer', () => told(0), /got 0/],
  ['a horizon of no number', 'unexpected_answer', () => told('12'), /got 12/],
];

function told(oldest: unknown): Lie {
  return async (path, honest, request) =>
    path.startsWith('/registry/entries')
      ? problem('pruned', { version: 0, oldest, archive: null })
      : PRUNED(path, honest, request);
}

for (const [what, code, lie, why] of LIES)
  test(`${what} is not accepted with what was pruned`, async () => {
    const error = await refusalOf(lie());
    assert.equal(error.code, code, error.message);
    assert.match(error.message, why);
  });

test('a log key that was rotated in what was pruned is found there', async () => {
  const second = makeLogSigner('next');
  const own = await openStage({ signers: [LOG_SIGNER, second] });
  await own.grow(3);
  const { governance: current, registryHash } = own;
  const log_keys = [encodeVerifierKey({ name: ORIGIN, publicKey: second.publicKey })];
  const next = { ...current, version: 2, log_keys };
  await own.commit(governancePayload(registryHash, { next, current }));
  await own.grow(3);
  own.lie(forgetting({ oldest: 6, governance: [0, 4] }));
  const { client } = openClient(own, { acceptPruned: true });
  const head = await client.head();
  assert.deepEqual([head.version, head.governance.log_keys], [7, log_keys]);
  assert.equal(own.requests.filter((request) => request.includes('/tile/entries')).length, 1);
});

async function take(updates: AsyncIterable<Update>, count: number): Promise<readonly Update[]> {
  const taken: Update[] = [];
  for await (const update of updates) if (taken.push(update) === count) break;
  return taken;
}
