import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RegistryError } from '../../../src/core/error.ts';
import { OPERATIONS } from '../../../src/http/authority.ts';
import {
  AuditLog,
  MAX_BACKLOG,
  MAX_WAIT_MS,
  RETRY_MS,
  SYNC_AFTER_MS,
} from '../../../src/server/audit-log/audit-log.ts';
import {
  LISTED_AT_ONCE,
  LISTED_PER_CLIENT,
  MAX_CLIENTS,
  WINDOW_MS,
} from '../../../src/server/audit-log/flood.ts';
import {
  BEFORE_FIRST,
  type Draft,
  type Position,
  sealRecord,
} from '../../../src/server/audit-log/record.ts';
import type { AuditSink } from '../../../src/server/audit-log/sink.ts';
import { event, type Instruments, makeInstruments, strangers } from '../../support/audit-log.ts';

/** Keeps drafts in memory; fails, hangs or is cut when told to. */
class FakeSink implements AuditSink {
  readonly log = 'f'.repeat(32);
  readonly drafts: Draft[] = [];
  position: Position = BEFORE_FIRST;
  isSuspect = false;
  failure: Error | undefined;
  syncFailure: Error | undefined;
  calls = { write: 0, sync: 0, mend: 0, close: 0 };
  hang: Promise<void> | undefined;

  async write(drafts: readonly Draft[]): Promise<number> {
    this.calls.write++;
    await this.hang;
    if (this.failure !== undefined) throw this.failure;
    // Fewer than there are, as at the end of a segment.
    const kept = drafts.slice(0, 3);
    for (const draft of kept) {
      this.drafts.push(draft);
      this.position = sealRecord(draft, this.position).position;
    }
    return kept.length;
  }

  async sync(): Promise<void> {
    this.calls.sync++;
    if (this.syncFailure === undefined) return;
    this.isSuspect = true;
    throw this.syncFailure;
  }

  async mend(): Promise<void> {
    if (!this.isSuspect) return;
    this.calls.mend++;
    if (this.syncFailure !== undefined) throw this.syncFailure;
    this.isSuspect = false;
  }

  setMaxBytes(): void {}

  async close(): Promise<void> {
    this.calls.close++;
  }

  get acts(): string[] {
    return this.drafts.map(({ members }) => members.act);
  }

  get corrIds(): (string | null)[] {
    return this.drafts.flatMap(({ members }) => ('corr_id' in members ? [members.corr_id] : []));
  }
}

interface Trail extends Instruments {
  readonly sink: FakeSink;
  readonly audit: AuditLog;
}

async function openTrail(openSink?: () => Promise<AuditSink>): Promise<Trail> {
  const made = makeInstruments();
  const sink = new FakeSink();
  const audit = new AuditLog({
    ...made,
    now: () => made.timers.now(),
    maxBytes: 1,
    openSink: openSink ?? (async () => sink),
  });
  await audit.begin();
  return { ...made, sink, audit };
}

const errno = (code: string) => Object.assign(new Error(code), { code });
const turn = () => new Promise((resolve) => setImmediate(resolve));

test('an event that cannot be kept is answered, counted, and shuts the gate until it is kept after all', async () => {
  const { audit, sink, counts, timers, logged } = await openTrail();
  sink.failure = errno('EIO');
  await audit.record(event({ corrId: 'a' }));
  assert.equal(audit.refusal()?.code, 'not_ready');
  assert.match(audit.refusal()?.message ?? '', /EIO/);
  await audit.record(event({ corrId: 'b' }));
  assert.deepEqual(counts, { accepted: 1, refused: 0, failed: 2 });
  assert.deepEqual(sink.corrIds, [null]);
  sink.failure = undefined;
  timers.advance(RETRY_MS.first);
  await turn();
  assert.equal(audit.refusal(), undefined);
  assert.deepEqual(sink.corrIds, [null, 'a', 'b']);
  assert.deepEqual(counts, { accepted: 3, refused: 0, failed: 2 });
  const shut = 'error audit records are not kept: writes are refused';
  assert.deepEqual(logged, [
    'info the audit log is open',
    shut,
    'info audit records are kept again',
  ]);
});

test('a full or read-only disk is told apart from a broken one', async () => {
  for (const [code, expected] of [
    ['ENOSPC', 'read_only'],
    ['EDQUOT', 'read_only'],
    ['EROFS', 'read_only'],
    ['EACCES', 'not_ready'],
    ['EMFILE', 'not_ready'],
  ] as const) {
    const { audit, sink } = await openTrail();
    sink.failure = errno(code);
    await audit.record(event());
    assert.equal(audit.refusal()?.code, expected, code);
  }
});

test('it is tried again later each time, and said once', async () => {
  const { audit, sink, timers, logged } = await openTrail();
  sink.failure = errno('EIO');
  await audit.record(event());
  const tries = [sink.calls.write];
  for (const wait of [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]) {
    timers.advance(wait - 1);
    await turn();
    assert.equal(sink.calls.write, tries.at(-1), `after ${wait - 1} ms`);
    timers.advance(1);
    await turn();
    tries.push(sink.calls.write);
  }
  assert.deepEqual(tries, [2, 3, 4, 5, 6, 7, 8, 9]);
  assert.equal(logged.length, 2);
});

test('events beyond the backlog are counted exactly and become one record', async () => {
  const { audit, sink, timers, counts } = await openTrail();
  sink.failure = errno('EIO');
  for (let i = 0; i < MAX_BACKLOG + 30; i++) await audit.record(event({ corrId: `e-${i}` }));
  for (let i = 0; i < 12; i++) await audit.record(event({ decision: 'refused', code: 'conflict' }));
  assert.equal(counts.failed, MAX_BACKLOG + 42);
  sink.failure = undefined;
  timers.advance(RETRY_MS.first);
  await turn();
  assert.equal(sink.corrIds.length, 1 + MAX_BACKLOG);
  assert.equal(sink.corrIds.at(-1), `e-${MAX_BACKLOG - 1}`);
  const last = sink.drafts.at(-1)?.members;
  assert.ok(last?.act === 'lost');
  assert.deepEqual([last.accepted, last.refused], [30, 12]);
  assert.equal(counts.accepted, 1 + MAX_BACKLOG);
});

test('an answer does not wait for a disk that hangs, and no write is taken meanwhile', async () => {
  const { audit, sink, timers, counts } = await openTrail();
  const { promise, resolve } = Promise.withResolvers<void>();
  sink.hang = promise;
  const recorded = audit.record(event({ corrId: 'slow' }));
  await turn();
  timers.advance(MAX_WAIT_MS - 1);
  assert.equal(audit.refusal(), undefined);
  timers.advance(1);
  await recorded;
  assert.equal(audit.refusal()?.code, 'not_ready');
  assert.equal(counts.failed, 1);
  await audit.record(event({ corrId: 'behind' }));
  resolve();
  await turn();
  assert.equal(audit.refusal(), undefined);
  assert.deepEqual(sink.corrIds, [null, 'slow', 'behind']);
});

test('what was written is synced at most a second later, once for all of it', async () => {
  const { audit, sink, timers } = await openTrail();
  for (let i = 0; i < 20; i++) await audit.record(event());
  assert.equal(sink.calls.sync, 0);
  timers.advance(SYNC_AFTER_MS);
  assert.equal(sink.calls.sync, 1);
  timers.advance(60_000);
  assert.equal(sink.calls.sync, 1);
  await audit.record(event());
  timers.advance(SYNC_AFTER_MS);
  assert.equal(sink.calls.sync, 2);
});

test('a failed sync shuts the gate until the sink is mended, and a write that goes well does not hide it', async () => {
  const { audit, sink, timers, counts } = await openTrail();
  sink.syncFailure = errno('EIO');
  timers.advance(SYNC_AFTER_MS);
  await turn();
  assert.equal(audit.refusal()?.code, 'not_ready');
  await audit.record(event({ corrId: 'held' }));
  timers.advance(RETRY_MS.first);
  await turn();
  assert.equal(sink.calls.mend, 1);
  assert.equal(audit.refusal()?.code, 'not_ready');
  assert.deepEqual(sink.corrIds, [null]);
  sink.syncFailure = undefined;
  timers.advance(2 * RETRY_MS.first);
  await turn();
  assert.equal(audit.refusal(), undefined);
  assert.deepEqual(sink.corrIds, [null, 'held']);
  assert.equal(counts.failed, 1);
});

test('a write that was under way when a sync failed does not open the gate', async () => {
  const { audit, sink, timers } = await openTrail();
  const { promise, resolve } = Promise.withResolvers<void>();
  sink.hang = promise;
  const recorded = audit.record(event());
  await turn();
  sink.syncFailure = errno('EIO');
  timers.advance(SYNC_AFTER_MS);
  await turn();
  resolve();
  await recorded;
  await turn();
  assert.ok(sink.calls.mend > 0);
  assert.equal(audit.refusal()?.code, 'not_ready');
});

test('a damaged log is opened anew, and one that lost what was kept stays shut', async () => {
  const first = new FakeSink();
  const cut = new FakeSink();
  const other = Object.assign(new FakeSink(), { log: 'e'.repeat(32) });
  const sinks = [first, cut, other];
  const { audit, timers, logged } = await openTrail(async () => sinks.shift() ?? assert.fail());
  await audit.record(event({ corrId: 'kept' }));
  first.failure = new RegistryError('storage_damaged', 'expected a file, got none');
  await audit.record(event({ corrId: 'a' }));
  assert.match(audit.refusal()?.message ?? '', /moves it away/);
  assert.equal(first.calls.close, 1);
  timers.advance(1_000);
  await turn();
  assert.notEqual(audit.refusal(), undefined);
  assert.equal(cut.calls.write, 0);
  assert.equal(cut.calls.close, 1);
  timers.advance(2_000);
  await turn();
  assert.equal(audit.refusal(), undefined);
  assert.deepEqual(other.corrIds, ['a']);
  assert.ok(logged.includes('warn a new audit log begins'));
});

test('an end writes what is left, and nothing is taken after it', async () => {
  const { audit, sink, counts, timers } = await openTrail();
  for (let i = 0; i < LISTED_PER_CLIENT + 5; i++) await audit.record(strangers('x'));
  const recorded = [audit.record(event({ corrId: 'late' })), audit[Symbol.asyncDispose]()];
  await Promise.all(recorded);
  assert.deepEqual(sink.acts.slice(-3), ['commit', 'suppressed', 'stop']);
  assert.equal(sink.calls.close, 1);
  assert.equal(timers.pending, 0);
  await audit.record(event());
  assert.equal(counts.failed, 1);
  await audit[Symbol.asyncDispose]();
  assert.equal(sink.calls.close, 1);
});

test('an end does not wait for a disk that hangs, and says what is not kept', async () => {
  const { audit, sink, timers, logged } = await openTrail();
  sink.hang = new Promise(() => undefined);
  const ended = audit[Symbol.asyncDispose]();
  for (let i = 0; i < 3; i++) {
    await turn();
    timers.advance(MAX_WAIT_MS);
  }
  await ended;
  assert.equal(logged.at(-1), 'error audit records are not kept');
});

test('of a flood few are listed, the others are counted, and nobody else is pushed out', async () => {
  const { audit, sink, timers, counts } = await openTrail();
  await audit.record(event({ corrId: 'before' }));
  const codes = ['unauthenticated', 'rate_limited', 'overloaded', 'forbidden', 'malformed'];
  for (let i = 0; i < 10_000; i++)
    await audit.record(strangers(`198.51.100.${i % 250}`, { code: codes[i % 5] ?? null }));
  await audit.record(event({ corrId: 'after' }));
  await audit.record(event({ decision: 'refused', code: 'forbidden', corrId: 'a token vouches' }));
  const listed = sink.drafts.length - 5;
  assert.equal(listed, LISTED_AT_ONCE - 1);
  timers.advance(WINDOW_MS);
  await turn();
  const suppressed = sink.drafts.at(-1)?.members;
  assert.ok(suppressed?.act === 'suppressed');
  assert.equal(suppressed.clients, 250);
  const counted = Object.values(suppressed.codes).reduce((a, b) => a + b, 0);
  assert.equal(counted + LISTED_AT_ONCE, 10_000);
  assert.deepEqual(Object.keys(suppressed.codes).sort(), codes.toSorted());
  assert.equal(suppressed.codes.malformed, 2_000 - LISTED_AT_ONCE / 5);
  assert.equal(counts.refused, 10_001);
  assert.deepEqual(sink.corrIds.slice(0, 2), [null, 'before']);
  assert.deepEqual(sink.corrIds.slice(-2), ['after', 'a token vouches']);
});

test('every write that tokens are for can be a flood', async () => {
  for (const act of OPERATIONS) {
    const { audit, sink } = await openTrail();
    for (let i = 0; i < LISTED_PER_CLIENT + 5; i++) await audit.record(strangers('x', { act }));
    assert.equal(sink.acts.filter((listed) => listed === act).length, LISTED_PER_CLIENT, act);
  }
});

test('a flood that goes on costs two records a minute', async () => {
  const { audit, sink, timers } = await openTrail();
  for (let minute = 0; minute < 600; minute++) {
    for (let i = 0; i < 30; i++) await audit.record(strangers(`c-${i}`));
    timers.advance(WINDOW_MS);
    await turn();
  }
  assert.ok(sink.drafts.length <= LISTED_AT_ONCE + 2 * 600 + 2, `${sink.drafts.length}`);
  const counted = sink.drafts.flatMap(({ members }) =>
    members.act === 'suppressed' ? Object.values(members.codes) : [],
  );
  const listed = sink.acts.filter((act) => act === 'commit').length;
  assert.equal(listed + counted.reduce((a, b) => a + b, 0), 600 * 30);
});

test('one client is listed no more than its share in a minute, and anew in the next', async () => {
  const { audit, sink, timers } = await openTrail();
  for (let i = 0; i < LISTED_PER_CLIENT + 1; i++) await audit.record(strangers('one'));
  assert.equal(sink.drafts.length, 1 + LISTED_PER_CLIENT);
  await audit.record(strangers('two'));
  assert.equal(sink.drafts.length, 2 + LISTED_PER_CLIENT);
  timers.advance(WINDOW_MS);
  await turn();
  await audit.record(strangers('one'));
  assert.deepEqual(sink.acts.slice(-2), ['suppressed', 'commit']);
});

test('what a token is limited by counts as a flood, what it is refused for does not', async () => {
  const { audit, sink } = await openTrail();
  const limited = { decision: 'refused', code: 'rate_limited' } as const;
  for (let i = 0; i < 100; i++) await audit.record(event(limited));
  assert.equal(sink.drafts.length, 1 + LISTED_PER_CLIENT);
  for (let i = 0; i < 100; i++)
    await audit.record(event({ decision: 'refused', code: 'conflict' }));
  for (let i = 0; i < 100; i++) await audit.record(event({ token: null }));
  assert.equal(sink.drafts.length, 1 + LISTED_PER_CLIENT + 200);
});

test('what an operator is refused is always listed', async () => {
  const { audit, sink } = await openTrail();
  for (let i = 0; i < 300; i++)
    await audit.record(strangers('operator', { act: 'freeze', code: 'invalid_request' }));
  assert.equal(sink.drafts.length, 301);
});

test('a clock that goes back costs nobody a record', async () => {
  const { audit, sink, timers } = await openTrail();
  await audit.record(strangers('one'));
  timers.advance(-1_000 * WINDOW_MS);
  await audit.record(strangers('two'));
  assert.equal(sink.drafts.length, 3);
});

test('more clients than are told apart are a count that stands still, and a clock that goes back earns nothing', async () => {
  const { audit, sink, timers } = await openTrail();
  for (let i = 0; i < LISTED_AT_ONCE + MAX_CLIENTS + 100; i++)
    await audit.record(strangers(`c-${i}`));
  timers.advance(-10 * WINDOW_MS);
  const listed = sink.drafts.length;
  await audit.record(strangers('new'));
  assert.equal(sink.drafts.length, listed);
  timers.advance(11 * WINDOW_MS);
  await turn();
  const last = sink.drafts.at(-1)?.members;
  assert.ok(last?.act === 'suppressed');
  assert.equal(last.clients, MAX_CLIENTS);
  assert.equal(last.codes.unauthenticated, MAX_CLIENTS + 101);
});
