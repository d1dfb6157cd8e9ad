/** Entries whose payload was erased: what the client still verifies of them, and what it asks for before it believes them. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import type { ErasedEntry, Update } from '../../../src/client/client.ts';
import { memoryTrust } from '../../../src/client/memory-trust.ts';
import type { ErrorCode } from '../../../src/core/error.ts';
import { RegistryError } from '../../../src/core/error.ts';
import { formatHash } from '../../../src/core/hash.ts';
import { encodeLeaf, entryHash } from '../../../src/core/leaf.ts';
import { EMPTY_HASH } from '../../../src/core/set-hash.ts';
import { forgetting, type Gone } from '../../support/client-gone.ts';
import {
  edit,
  editLeaf,
  extend,
  type Log,
  type LogEntry,
  ndjson,
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
import { erasePayload } from '../../support/signers.ts';

const ADA = { born: '1815-12-10' };
const MOVED = { street: 'St James’s Square' };
/** Versions 2 and 3 put what is erased by 6 and 8; no set is whole from 2 to 4. */
const GONE: Gone = {
  erased: new Map([
    [2, 6],
    [3, 8],
  ]),
  unwhole: [{ from: 2, to: 4 }],
};

let stage: Stage;
/** Whole. */
let log: Log;

before(async () => {
  stage = await openStage();
  await stage.grow(1);
  await stage.change(put('ada', ADA), put('beta', { n: 1 }));
  await stage.change(put('ada', MOVED, ADA));
  await stage.change(put('beta', { n: 2 }, { n: 1 }), put('gamma', {}));
  await stage.change(remove('ada', MOVED), remove('gamma', {}));
  const before = await readLog(stage);
  await erase(stage, 2);
  await stage.grow(1);
  await erase(stage, 3);
  await stage.grow(1);
  // As it was: a lie begins with what there was to lie about.
  log = (await readLog(stage)).map((entry) => before[entry.leaf.version] ?? entry);
});

async function erase(on: Stage, version: number): Promise<void> {
  const entry = await on.registry.reader.entry(version);
  assert.ok(entry);
  await on.commit(erasePayload(on.registryHash, { erases: entry.entryHash, version }));
}

const HEAD = 9;

async function withLie<T>(lie: Lie, use: () => Promise<T>): Promise<T> {
  stage.lie(lie);
  try {
    return await use();
  } finally {
    stage.lie(undefined);
  }
}

async function refuses(code: ErrorCode, lie: Lie, message = /./): Promise<void> {
  const { client, saved } = openClient(stage);
  const error = await withLie(lie, () => errorOf(client.head()));
  assert.ok(error instanceof RegistryError, String(error));
  assert.equal(error.code, code, error.message);
  assert.match(error.message, message);
  const trusted = client.trusted();
  assert.ok(trusted === undefined || trusted.version < 2, `it trusts version ${trusted?.version}`);
  if (trusted === undefined) assert.equal(await saved(), undefined);
}

test('a client from genesis verifies a log in which payloads were erased, and reaches the same head', async () => {
  const { client } = openClient(stage);
  const { head, items } = await withLie(forgetting(GONE), () => client.set());
  assert.equal(head.version, HEAD);
  assert.equal(head.entryHash, stage.registry.head()?.object.entry_hash);
  assert.deepEqual(
    items.map(({ id }) => id),
    ['beta', 'grown-0', 'grown-1', 'grown-2'],
  );
  assert.deepEqual(head.accepted, []);
  // Where an erased value stood, the set is known by its hashes.
  assert.ok(stage.requests.some((request) => /\/set\/hashes$/.test(request)));
});

test('every version is followed, an erased one without what it changed', async () => {
  const { client } = openClient(stage);
  const updates = await withLie(forgetting(GONE), () => take(client.follow(), HEAD));
  assert.deepEqual(
    updates.map(({ entry }) => [entry.version, entry.proposal === null, entry.erasedBy]),
    [1, 2, 3, 4, 5, 6, 7, 8, 9].map((version) => {
      const by = GONE.erased?.get(version) ?? null;
      return [version, by !== null, by];
    }),
  );
  const [, erased] = updates;
  assert.equal(erased?.entry.leaf.payload_b3, log[2]?.leaf.payload_b3);
  assert.equal(erased?.entry.approvals.length, 2);
  assert.equal(erased?.head.setRoot, log[2]?.leaf.set_root);
  assert.equal(erased?.skipped, undefined);
});

test('an entry that erases is walked to before anything is believed, however far it is', async () => {
  for (const size of [1, 2, 4]) {
    const { client, saves } = openClient(stage);
    const lie = paged(forgetting(GONE), size);
    const updates = await withLie(lie, () => take(client.follow(), HEAD));
    assert.deepEqual(
      updates.map(({ entry }) => entry.erasedBy),
      [null, 6, 8, null, null, null, null, null, null],
    );
    assert.ok(saves() >= HEAD);
  }
  // The entry that erases is there, and does not verify: nothing from the erased one on is believed.
  const unsigned = edit(log, 8, (entry) => ({ ...entry, approvals: entry.approvals.slice(1) }));
  const { client } = openClient(stage);
  const lie = paged(forgetting(GONE, serve(reseal(unsigned, 8))), 2);
  const error = await withLie(lie, () => errorOf(client.head()));
  assert.ok(error instanceof RegistryError && error.code === 'quorum_not_reached', String(error));
  assert.equal(client.trusted()?.version, 1);
});

test('a client that was offline goes on over erased entries from the state that it saved', async () => {
  const trust = memoryTrust();
  const first = await openStage();
  await first.grow(1);
  await openClient(first, { trust }).client.head();
  const later = openClient(stage, { trust });
  const head = await withLie(forgetting(GONE), () => later.client.head());
  assert.equal(head.version, HEAD);
});

test('a client that stopped where no set is whole goes on from its root', async () => {
  for (const stop of [2, 3, 4]) {
    const trust = memoryTrust();
    const reader = openClient(stage, { trust });
    await withLie(forgetting(GONE), () => take(reader.client.follow(), stop));
    assert.equal(reader.client.trusted()?.version, stop);
    const later = openClient(stage, { trust });
    const head = await withLie(forgetting(GONE), () => later.client.head());
    assert.equal(head.version, HEAD, `stopped at ${stop}`);
  }
});

test('an erased entry is read with who approved it and which entry erased it', async () => {
  const { client } = openClient(stage);
  const entry = await withLie(forgetting(GONE), () => client.entry(3));
  assert.equal(entry.proposal, null);
  const { erasedBy, bytes, entryHash: hash }: ErasedEntry = entry;
  assert.deepEqual([erasedBy, bytes.payload], [8, null]);
  assert.equal(hash, log[3] && entryHash(encodeLeaf(log[3].leaf)));
  const other = await client.entry(4);
  assert.equal(other.erasedBy, null);
});

test('an entry that was erased after the head was trusted is read too', async () => {
  const own = await openStage();
  await own.grow(2);
  const { client } = openClient(own);
  await client.head();
  await own.change(remove('grown-0', { n: 0 }));
  await erase(own, 1);
  own.lie(forgetting({ erased: new Map([[1, 4]]) }));
  const entry = await client.entry(1);
  assert.deepEqual([entry.erasedBy, client.trusted()?.version], [4, 4]);
});

test('without an entry that erases it nothing of an entry without its payload is believed', async () => {
  await refuses(
    'invalid_entry',
    forgetting({ erased: new Map([[4, 6]]) }),
    /entry 4: expected its payload/,
  );
  await refuses(
    'invalid_entry',
    forgetting({ erased: new Map([[9, 6]]) }),
    /entry 9: expected its payload/,
  );
  await refuses('invalid_entry', forgetting({ erased: new Map([[6, 8]]) }), /got one with erase/);
  await refuses('invalid_entry', forgetting({ erased: new Map([[0, 6]]) }), /expected a genesis/);
});

/** A log that hangs together from `version` on, with what it would have erased. */
function lying(change: (log: Log) => Log, gone: Gone = GONE): Lie {
  return forgetting(gone, serve(reseal(change(log), 3)));
}

function later(entry: LogEntry): LogEntry {
  return { ...entry, leaf: { ...entry.leaf, committed_at: '2026-11-21T09:30:00.000Z' } };
}

/** Pages of so many entries: an entry that erases is looked for beyond the one it is needed in. */
function paged(lie: Lie, size: number): Lie {
  return async (path, honest, request) => {
    const answer = await lie(path, honest, request);
    if (!path.startsWith('/registry/entries')) return answer;
    const kept = (await answer.text()).trimEnd().split('\n').slice(0, size);
    return ndjson(kept.map((line) => `${line}\n`).join(''));
  };
}

const ZERO = formatHash(EMPTY_HASH);
const LIES: readonly (readonly [what: string, code: ErrorCode, lie: () => Lie, message: RegExp])[] =
  [
    [
      'an erased entry of which another than the one that was erased is shown',
      'fence_broken',
      () => lying((all) => all.map((entry) => (entry.leaf.version < 3 ? entry : later(entry)))),
      /entry 8: expected it to erase/,
    ],
    [
      'the same, where the entry that erases it is pages away',
      'invalid_entry',
      () =>
        paged(
          lying((all) => all.map((entry) => (entry.leaf.version < 3 ? entry : later(entry)))),
          2,
        ),
      /entry 3: expected its payload/,
    ],
    [
      'a set size that its root cannot have',
      'invalid_entry',
      () => lying((all) => editLeaf(all, 3, { set_root: ZERO })),
      /set_size/,
    ],
    [
      'approvals of another payload',
      'invalid_signature',
      () => lying((all) => edit(all, 3, (entry) => ({ ...entry, approvals: all[4]!.approvals }))),
      /entry 3: expected a signature/,
    ],
    [
      'too few approvals',
      'quorum_not_reached',
      () =>
        lying((all) =>
          edit(all, 3, (entry) => ({ ...entry, approvals: entry.approvals.slice(1) })),
        ),
      /entry 3: expected a quorum/,
    ],
    [
      'an erased change of governance',
      'invalid_entry',
      () => lying((all) => editLeaf(all, 3, { type: 'governance' })),
      /sets no governance/,
    ],
  ];

for (const [what, code, lie, message] of LIES)
  test(`${what} is refused`, () => refuses(code, lie(), message));

test('an entry that erases what does not stand there, or the same again, is refused', async () => {
  const { registryHash, signers } = stage;
  const erases = entryHash(encodeLeaf(log[4]!.leaf));
  const known = openClient(stage);
  await withLie(forgetting(GONE), () => known.client.head());
  for (const [version, hash] of [
    [5, erases],
    [3, entryHash(encodeLeaf(log[3]!.leaf))],
  ] as const) {
    const proposal = erasePayload(registryHash, { erases: hash, version }, { note: 'again' });
    const lied = forgetting(GONE, serve(extend(log, proposal, signers.slice(0, 2))));
    // A reader from genesis, and one who has verified what is named, and remembers it.
    await refuses('fence_broken', lied, /entry 10: expected it to erase/);
    const error = await withLie(lied, () => errorOf(known.client.head()));
    assert.ok(error instanceof RegistryError && error.code === 'fence_broken', String(error));
    assert.equal(known.client.trusted()?.version, HEAD);
  }
});

test('hashes of another set are refused', async () => {
  const lied: Lie = async (path, honest, request) =>
    path.endsWith('/set/hashes')
      ? honest('/registry/9/set/hashes')
      : forgetting(GONE)(path, honest, request);
  await refuses('invalid_proof', lied, /set root/);
  const swapped: Lie = async (path, honest, request) => {
    const answer = await forgetting(GONE)(path, honest, request);
    if (!path.endsWith('/set/hashes')) return answer;
    const { items, ...rest } = await answer.json();
    const [first, second, ...others] = items;
    const wrong = { ...first, value_hash: second.value_hash };
    return Response.json({ ...rest, items: [wrong, second, ...others] });
  };
  await refuses('invalid_proof', swapped, /set root/);
  const doubled: Lie = async (path, honest, request) => {
    const answer = await forgetting(GONE)(path, honest, request);
    if (!path.endsWith('/set/hashes')) return answer;
    const { items, ...rest } = await answer.json();
    return Response.json({ ...rest, items: [...items, items[0]] });
  };
  await refuses('invalid_proof', doubled, /each path once/);
});

test('a set by hashes is held to what hashes need', async () => {
  const beside: Lie = async (path, honest, request) => {
    const answer = await forgetting(GONE)(path, honest, request);
    if (!path.endsWith('/set/hashes')) return answer;
    const { items, ...rest } = await answer.json();
    const [first, ...others] = items;
    return Response.json({ ...rest, items: [{ ...first, more: Array(40).fill(0) }, ...others] });
  };
  await refuses('unexpected_answer', beside, /at most 32 values from byte \d+ on/);
});

test('the entry that is said to have erased one must name it', async () => {
  for (const [by, message] of [
    [6, /does not erase it/],
    [7, /does not erase it/],
    [0, /no version/],
    ['8', /no version/],
    [2 ** 53, /no version/],
  ] as const) {
    const { client } = openClient(stage);
    await client.head();
    const erased = new Map([[3, by as number]]);
    const error = await withLie(forgetting({ erased }), () => errorOf(client.entry(3)));
    assert.ok(error instanceof RegistryError);
    assert.equal(error.code, 'invalid_entry', `${by}: ${error.message}`);
    assert.match(error.message, message);
  }
});

async function take(updates: AsyncIterable<Update>, count: number): Promise<readonly Update[]> {
  const taken: Update[] = [];
  for await (const update of updates) if (taken.push(update) === count) break;
  return taken;
}
