/** Folding the write-ahead log is a turn of its own: what waits goes between a batch and the fold after it, once. */
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { Lane } from '../../src/store/lane.ts';
import { makeEntry, makeProposal } from '../support/store-entries.ts';
import { makePath, openStore, unfoldedBytes } from '../support/store-sqlite.ts';

/** A pruning step leaves at least one of them in the log, as zeros. */
const PAYLOAD_BYTES = 128 * 1024;
const ENTRIES = 8;
/** Past so many bytes in the log a pruning step is followed by a fold, and any other write past four times that. */
const DUE_BYTES = 1024 * 1024;

interface Watched {
  readonly lane: Lane;
  /** In the order in which they were heard of; a fold says `folded`. */
  readonly events: string[];
  readonly logBytes: () => number;
  readonly unfolded: () => number;
  /** Resolves at the next fold. */
  folded(): Promise<void>;
}

/** Of its entries all but the newest are to be pruned. */
async function openWatched(t: TestContext): Promise<Watched> {
  const path = makePath();
  const events: string[] = [];
  let heard = Promise.withResolvers<void>();
  const checkpointed = (): void => {
    events.push('folded');
    heard.resolve();
    heard = Promise.withResolvers();
  };
  const open = () =>
    Lane.open({ path, metrics: { fsync() {}, checkpointed }, onFatal: assert.fail });
  const before = await open();
  const entries = Array.from({ length: ENTRIES }, (_, version) =>
    makeEntry(version, { payload: new Uint8Array(PAYLOAD_BYTES).fill(version + 1) }),
  );
  await before.submit({ type: 'append', expected: -1, entries });
  await before.submit({ type: 'set_oldest', oldest: ENTRIES - 1 });
  await before.close();
  const lane = await open();
  t.after(() => lane.close());
  events.length = 0;
  const logBytes = () => statSync(`${path}-wal`).size;
  const unfolded = () => unfoldedBytes(path);
  return { lane, events, logBytes, unfolded, folded: () => heard.promise };
}

/** So far that one pruning step more makes a fold due, and without one. */
async function fillLog({ lane, logBytes, events }: Watched): Promise<void> {
  while (DUE_BYTES - logBytes() > PAYLOAD_BYTES / 2)
    await lane.submit({ type: 'put_checkpoint', note: 'n'.repeat(PAYLOAD_BYTES / 8) });
  assert.ok(logBytes() < DUE_BYTES, `the log has ${logBytes()} bytes before the step`);
  assert.deepEqual(events, []);
}

test('a write that waits for a pruning step is answered before the fold that follows the step', async (t) => {
  const watched = await openWatched(t);
  const { lane, events } = watched;
  await fillLog(watched);
  const folded = watched.folded();
  await Promise.all([
    lane.submit({ type: 'prune_step' }).then(() => events.push('pruned')),
    lane.submit({ type: 'put_checkpoint', note: 'waiting' }).then(() => events.push('written')),
  ]);
  await folded;
  assert.deepEqual(events, ['pruned', 'written', 'folded']);
  assert.equal(watched.unfolded(), 0);
});

test('writes that never end do not keep the log from being folded', async (t) => {
  const watched = await openWatched(t);
  const { lane, events } = watched;
  await fillLog(watched);
  const write = (note: string) =>
    lane.submit({ type: 'put_checkpoint', note }).then(() => events.push(note));
  const pruned = lane.submit({ type: 'prune_step' });
  const first = write('first');
  await pruned;
  // The first is at the lane now, so this one waits; so it goes on.
  const second = write('second');
  await first;
  await Promise.all([second, write('third')]);
  assert.deepEqual(events, ['first', 'folded', 'second', 'third']);
});

test('where nobody waits the fold follows at once', async (t) => {
  const watched = await openWatched(t);
  await fillLog(watched);
  const folded = watched.folded();
  await watched.lane.submit({ type: 'prune_step' });
  await folded;
  assert.deepEqual(watched.events, ['folded']);
});

test('a log of writes that somebody waits for is folded four times more rarely', async (t) => {
  const watched = await openWatched(t);
  const { lane, events, logBytes, folded } = watched;
  const half = 'n'.repeat(DUE_BYTES / 2);
  const next = folded();
  let largest = 0;
  while (events.length === 0) {
    await lane.submit({ type: 'put_checkpoint', note: half });
    largest = Math.max(largest, logBytes());
    if (largest > 4 * DUE_BYTES) await next;
  }
  assert.ok(largest > 4 * DUE_BYTES, `folded at ${largest} bytes`);
});

test('a compaction that drops much is of short steps, and who writes meanwhile comes between them', async (t) => {
  const path = makePath();
  const store = await openStore(t, path);
  for (let i = 0; i < 16; i++)
    await store.putProposal({ ...makeProposal(`${i}${'x'.repeat(1_000_000)}`), expiresAt: '2025' });
  const order: string[] = [];
  const compacted = store.compact({ expiredBefore: '2026' }).then(({ droppedProposals }) => {
    order.push(`dropped ${droppedProposals}`);
  });
  const put = store.putProposal(makeProposal('one more')).then(() => order.push('put'));
  await Promise.all([compacted, put]);
  assert.deepEqual(order, ['put', 'dropped 16']);
  assert.equal((await store.proposals()).length, 1);
});
