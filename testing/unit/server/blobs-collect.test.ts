/** What is collected, and above all what is not: over a real database, with the real thread. */
import assert from 'node:assert/strict';
import { utimesSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import Database from 'better-sqlite3';
import type { JsonObject } from '../../../src/core/canonical.ts';
import type { Hash } from '../../../src/core/hash.ts';
import type { BlobCollector, CollectData } from '../../../src/server/blobs/collector.ts';
import { namedBlobs } from '../../../src/server/blobs/named-blobs.ts';
import { runThread } from '../../../src/server/reporting-thread.ts';
import { walkTexts } from '../../../src/store/sqlite-texts.ts';
import type { Store } from '../../../src/store/store.ts';
import {
  GRACE_MS,
  inPieces,
  makeBlob,
  openTestBlobs,
  openTestCollector,
  type TestBlob,
  type TestBlobs,
} from '../../support/blobs.ts';
import { openTestRegistry, put, remove, type TestRegistry } from '../../support/registry.ts';
import { makeDataDir } from '../../support/server-start.ts';
import { descriptorsPayload, erasePayload } from '../../support/signers.ts';
import { openStore } from '../../support/store-sqlite.ts';
import { TestTimers } from '../../support/timers.ts';

interface Stage extends TestBlobs {
  readonly real: TestRegistry;
  readonly collector: BlobCollector;
  readonly timers: TestTimers;
  readonly databasePath: string;
  /** The next proposal waits on its way into the store: resolves with what lets it on when it is there. */
  holdNext(): Promise<() => void>;
  /** Put so long ago. */
  putAged(blob: TestBlob, ageMs?: number): Promise<void>;
  age(address: Hash, ageMs: number): void;
}

async function openStage(t: TestContext): Promise<Stage> {
  const dataDir = makeDataDir();
  const kept = await openTestBlobs({ dataDir });
  const databasePath = join(dataDir, 'registry.db');
  const timers = new TestTimers(0);
  const collector = openTestCollector(t, kept, timers);
  const { store, holdNext } = withGate(await openStore(t, databasePath));
  const hold = (payload: Uint8Array) => collector.hold(payload);
  const real = await openTestRegistry({ store, hold });
  const age = (address: Hash, ageMs: number) => {
    const at = new Date(Date.now() - ageMs);
    utimesSync(kept.pathOf(address), at, at);
  };
  const putAged = async ({ address, bytes }: TestBlob, ageMs = 2 * GRACE_MS) => {
    await kept.blobs.put(address, { parts: inPieces(bytes), declaredBytes: undefined });
    age(address, ageMs);
  };
  return { ...kept, real, collector, timers, databasePath, holdNext, putAged, age };
}

function withGate(inner: Store): Pick<Stage, 'holdNext'> & { readonly store: Store } {
  let gate: { readonly arrived: () => void; readonly open: Promise<void> } | undefined;
  const putProposal: Store['putProposal'] = async (proposal) => {
    gate?.arrived();
    await gate?.open;
    return inner.putProposal(proposal);
  };
  const store = new Proxy(inner, {
    get: (target, name) => {
      if (name === 'putProposal') return putProposal;
      const member: unknown = Reflect.get(target, name);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
  const holdNext = () =>
    new Promise<() => void>((resolve) => {
      const { promise: open, resolve: letOn } = Promise.withResolvers<void>();
      gate = { open, arrived: () => resolve(letOn) };
    });
  return { store, holdNext };
}

function fileOf({ address }: TestBlob): string {
  return address.slice('b3:'.length);
}

function specOf(...blobs: readonly TestBlob[]): JsonObject {
  return { port: 80, artifacts: { all: blobs.map(({ address }) => ({ at: address })) } };
}

test('what nothing names is removed once it is old, and what is named or young is not', async (t) => {
  const { real, collector, putAged, files, metric } = await openStage(t);
  const [named, young, old] = [makeBlob(100, 1), makeBlob(100, 2), makeBlob(100, 3)];
  await putAged(named);
  await putAged(young, GRACE_MS / 2);
  await putAged(old);
  await real.change(put('api', specOf(named)));
  assert.deepEqual(await collector.collect(), { blobs: 1, bytes: 100 });
  assert.deepEqual([...files()].sort(), [fileOf(named), fileOf(young)].sort());
  assert.equal(await metric('blobs_collected_total'), 1);
  assert.equal(await metric('registry_blobs'), 2);
  assert.equal(await metric('registry_blob_bytes'), 200);
});

test('what an older version names is kept, replaced and removed as its descriptor was', async (t) => {
  const { real, collector, putAged, files } = await openStage(t);
  const [first, second] = [makeBlob(100, 1), makeBlob(100, 2)];
  for (const blob of [first, second]) await putAged(blob);
  await real.change(put('api', specOf(first)));
  await real.change(put('api', specOf(second), specOf(first)));
  await real.change(remove('api', specOf(second)));
  assert.deepEqual(await collector.collect(), { blobs: 0, bytes: 0 });
  assert.equal(files().length, 2);
});

test('what only pruned versions name is removed, and what is still current is not', async (t) => {
  const { real, collector, putAged, files } = await openStage(t);
  const [pruned, current, retained] = [makeBlob(100, 1), makeBlob(100, 2), makeBlob(100, 3)];
  for (const blob of [pruned, current, retained]) await putAged(blob);
  await real.change(put('api', specOf(pruned)), put('web', specOf(current)));
  await real.change(put('api', specOf(retained), specOf(pruned)));
  await real.change(remove('api', specOf(retained)));
  // Version 2 is the oldest that is retained: at it the one is current, and the other no longer.
  await real.store.setOldest(2);
  await real.store.prune();
  assert.deepEqual(await collector.collect(), { blobs: 1, bytes: 100 });
  assert.deepEqual([...files()].sort(), [fileOf(current), fileOf(retained)].sort());
});

test('what only an erased payload names is removed', async (t) => {
  const { real, collector, putAged, files } = await openStage(t);
  const [erased, other] = [makeBlob(100, 1), makeBlob(100, 2)];
  for (const blob of [erased, other]) await putAged(blob);
  const named = await real.change(put('api', specOf(erased)));
  await real.change(put('api', specOf(other), specOf(erased)));
  await real.commit(
    erasePayload(real.registryHash, { erases: named.object.entry_hash, version: named.version }),
  );
  assert.deepEqual(await collector.collect(), { blobs: 1, bytes: 100 });
  assert.deepEqual(files(), [fileOf(other)]);
});

test('what a proposal in flight names is kept', async (t) => {
  const { real, collector, putAged, files } = await openStage(t);
  const blob = makeBlob(100);
  await putAged(blob);
  const payload = descriptorsPayload(real.registryHash, [put('api', specOf(blob))]);
  await real.registry.proposals.propose(payload.bytes);
  assert.equal((await collector.collect()).blobs, 0);
  assert.deepEqual(files(), [fileOf(blob)]);
});

test('what is named while the walk is under way is kept', async (t) => {
  const { real, collector, putAged, files } = await openStage(t);
  const [named, other] = [makeBlob(100, 1), makeBlob(100, 2)];
  for (const blob of [named, other]) await putAged(blob);
  const collecting = collector.collect();
  // As a server does with every payload, before it is kept; the walk may have passed its place.
  const { bytes } = descriptorsPayload(real.registryHash, [put('api', specOf(named))]);
  collector.hold(bytes)[Symbol.dispose]();
  assert.deepEqual(await collecting, { blobs: 1, bytes: 100 });
  assert.deepEqual(files(), [fileOf(named)]);
});

test('what a proposal names that is on its way into the store is kept', async (t) => {
  const { real, collector, holdNext, putAged, files } = await openStage(t);
  const [named, other] = [makeBlob(100, 1), makeBlob(100, 2)];
  for (const blob of [named, other]) await putAged(blob);
  const arrived = holdNext();
  const payload = descriptorsPayload(real.registryHash, [put('api', specOf(named))]);
  const proposing = real.registry.proposals.propose(payload.bytes);
  const letOn = await arrived;
  // All of it: no row says yet what is about to be named.
  assert.deepEqual(await collector.collect(), { blobs: 1, bytes: 100 });
  assert.deepEqual(files(), [fileOf(named)]);
  letOn();
  assert.ok((await proposing).isNew);
  assert.equal((await collector.collect()).blobs, 0);
});

test('what several payloads name is held as long as one of them is, and no longer', async (t) => {
  const { real, collector, putAged } = await openStage(t);
  const blob = makeBlob(100);
  await putAged(blob);
  const { bytes } = descriptorsPayload(real.registryHash, [put('api', specOf(blob))]);
  const both = [collector.hold(bytes), collector.hold(bytes)];
  both[0]?.[Symbol.dispose]();
  assert.equal((await collector.collect()).blobs, 0);
  both[1]?.[Symbol.dispose]();
  assert.equal((await collector.collect()).blobs, 1);
});

test('a payload that is refused holds nothing', async (t) => {
  const { real, collector, putAged } = await openStage(t);
  const blob = makeBlob(100);
  await putAged(blob);
  const payload = descriptorsPayload(blob.address, [put('api', specOf(blob))]);
  await assert.rejects(real.registry.proposals.propose(payload.bytes), { code: 'wrong_registry' });
  assert.equal((await collector.collect()).blobs, 1);
});

test('what is put again before it is collected is kept, also while it is arriving', async (t) => {
  const { blobs, collector, putAged, age, files } = await openStage(t);
  const [again, arriving] = [makeBlob(100, 1), makeBlob(100, 2)];
  for (const blob of [again, arriving]) await putAged(blob);
  await blobs.put(again.address, { parts: inPieces(again.bytes), declaredBytes: 100 });
  const gate = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  async function* slowly() {
    yield arriving.bytes.subarray(0, 50);
    begun.resolve();
    await gate.promise;
    yield arriving.bytes.subarray(50);
  }
  const putting = blobs.put(arriving.address, { parts: slowly(), declaredBytes: 100 });
  await begun.promise;
  assert.equal((await collector.collect()).blobs, 0);
  gate.resolve();
  assert.deepEqual(await putting, { isNew: false, bytes: 100 });
  assert.equal(files().length, 2);
  // And the control: nothing else kept them.
  for (const { address } of [again, arriving]) age(address, 2 * GRACE_MS);
  assert.equal((await collector.collect()).blobs, 2);
  assert.deepEqual(files(), []);
});

/** As a disk might: past the triggers, which stand again afterwards. */
function changeValue(path: string): void {
  const db = new Database(path);
  const triggers = db
    .prepare<[], { name: string; sql: string }>(
      "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'spans'",
    )
    .all();
  for (const { name } of triggers) db.exec(`DROP TRIGGER ${name}`);
  const changed = db
    .prepare(
      "UPDATE spans SET bytes = CAST(replace(CAST(bytes AS TEXT), 'artifacts', 'artifactz') AS BLOB)",
    )
    .run();
  for (const { sql } of triggers) db.exec(sql);
  db.close();
  assert.equal(changed.changes, 1);
}

test('a value that the disk has changed ends the collection, and nothing is removed', async (t) => {
  const { real, collector, putAged, files, databasePath } = await openStage(t);
  const [named, other] = [makeBlob(100, 1), makeBlob(100, 2)];
  for (const blob of [named, other]) await putAged(blob);
  await real.change(put('api', specOf(named)));
  changeValue(databasePath);
  await assert.rejects(collector.collect(), { code: 'storage_damaged' });
  assert.equal(files().length, 2);
});

test('the walk may be given up at each shelf and each page', async (t) => {
  const { dataDir, databasePath, putAged, real } = await openStage(t);
  await putAged(makeBlob(100));
  await real.change(put('api', { port: 80 }));
  const walk = (signal: AbortSignal, onProgress: () => void) =>
    runThread<readonly Hash[]>({
      program: new URL('../../../src/server/blobs/collect-worker.ts', import.meta.url),
      name: 'the walk',
      data: { dataDir, databasePath, beforeMs: Date.now() } satisfies CollectData,
      signal,
      onProgress,
    });
  let told = 0;
  const found = await walk(new AbortController().signal, () => told++);
  assert.equal(found.length, 1);
  const pages = [...walkTexts(databasePath)].length;
  assert.deepEqual([told, pages], [256 + pages, 1]);
  const end = new AbortController();
  const givenUp = walk(end.signal, () => assert.fail('it goes on'));
  end.abort();
  await assert.rejects(givenUp, { code: 'unavailable' });
});

test('who asked for a collection may give it up, and with it the walk', async (t) => {
  const stage = await openStage(t);
  const [named, other] = [makeBlob(100, 1), makeBlob(100, 2)];
  for (const blob of [named, other]) await stage.putAged(blob);
  await stage.real.change(put('api', specOf(named)));
  // Nobody gets as far as to find it.
  changeValue(stage.databasePath);
  const gone = new AbortController();
  const blobs = {
    count: async () => void setImmediate(() => gone.abort()),
    remove: () => assert.fail('it was given up'),
  };
  const collector = openTestCollector(t, { ...stage, blobs });
  await assert.rejects(collector.collect(gone.signal), { code: 'unavailable' });
  await assert.rejects(stage.collector.collect(), { code: 'storage_damaged' });
  assert.equal(stage.files().length, 2);
});

test('it is done in time by itself, and by one at a time', async (t) => {
  const { collector, timers, putAged, files } = await openStage(t);
  await putAged(makeBlob(100));
  const waiting = () => timers.pending;
  assert.equal(waiting(), 1);
  timers.advance(GRACE_MS / 4);
  const [one, other] = [collector.collect(), collector.collect()];
  assert.equal(one, other);
  assert.equal((await one).blobs, 1);
  assert.deepEqual(files(), []);
  while (waiting() === 0) await new Promise((resolve) => setImmediate(resolve));
  await collector.close();
  assert.equal(waiting(), 0);
});

test('an address is seen wherever it is a text of its own, and nowhere else', () => {
  const { address } = makeBlob(1);
  const other = makeBlob(2).address;
  const seen = (value: unknown) => [...namedBlobs(Buffer.from(JSON.stringify(value)))];
  assert.deepEqual(seen({ a: [address, { b: other }], c: address }), [address, other, address]);
  assert.deepEqual(seen(address), [address]);
  for (const text of [
    `${address} `,
    ` ${address}`,
    `"${address}"`,
    address.toUpperCase(),
    address.slice(0, -1),
    `${address}0`,
    `${address}\\`,
    'b3:',
  ])
    assert.deepEqual(seen({ text }), [], text);
  // Kept for nothing, which harms nobody.
  assert.deepEqual(seen({ text: `x"${address}`, [other]: 1 }), [address, other]);
  assert.deepEqual(seen({ text: `"b3:"b3:${'0'.repeat(70)}`, more: address }), [address]);
});
