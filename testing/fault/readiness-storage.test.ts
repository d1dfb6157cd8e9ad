/**
 * A slow and a failing disk under a running server: writes are shed while reads answer as ever, and
 * come back by themselves; what a failed write did is learnt by a restart.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Hash } from '../../src/core/hash.ts';
import { databasePath } from '../../src/server/open-store.ts';
import { openSqliteReader } from '../../src/store/sqlite.ts';
import { checkLog } from '../support/check-log.ts';
import {
  type FaultServer,
  newPayload,
  serve,
  shutChecks,
  tryWrite,
  until,
} from '../support/fault-server.ts';
import { memoryDir } from '../support/memory-dir.ts';
import { ReaderLoop } from '../support/reader-loop.ts';
import {
  beginOver,
  clientOf,
  commitOver,
  commitService,
  SIGNERS,
} from '../support/server-start.ts';
import { type Attached, attach, isAttachMissing } from '../support/strace-attach.ts';

/** Reads are slowed by strace and by a busy machine, not by the fault. */
const READ_BOUND_MS = 2_000;

async function begun(t: TestContext): Promise<{ server: FaultServer; registry: Hash }> {
  // What the disk of this machine takes by itself is not the fault that is looked for.
  const server = await serve(t, {
    data: join(memoryDir(t), 'data'),
    settings: { shed_storage_after: '1s' },
  });
  return { server, registry: await beginOver(server.client) };
}

/** What a commit waits for, and nothing else, takes longer or fails. */
function disturb(t: TestContext, { pid, data }: FaultServer, effect: string): Promise<Attached> {
  return attach(t, pid, { call: 'fsync', effect, path: `${databasePath(data)}-wal` });
}

/** The log of a server that has stopped, every byte of it; answers its head. */
async function wholeLogAt(data: string): Promise<number | undefined> {
  await using reader = openSqliteReader({ path: databasePath(data) });
  return (await checkLog(reader))?.version;
}

test('a disk that takes 50 ms longer slows writes and refuses none', async (t) => {
  if (isAttachMissing(t)) return;
  const { server, registry } = await begun(t);
  const readers = await ReaderLoop.start(t, server.url);
  const fault = await disturb(t, server, 'delay_enter=50ms');
  const startedMs = performance.now();
  for (const id of ['a', 'b', 'c']) {
    await commitService(server.client, registry, id);
    assert.deepEqual(await shutChecks(server), []);
  }
  const delayed = await fault.detach();
  const tookMs = performance.now() - startedMs;
  // A proposal, three approvals and a commit each.
  assert.ok(delayed >= 15, `${delayed} fsyncs were delayed`);
  assert.ok(tookMs >= 15 * 50, `${tookMs} ms`);
  await readers.assertGreen({ head: 3, boundMs: READ_BOUND_MS });
  assert.equal(await server.stop(), 0);
  assert.equal(await wholeLogAt(server.data), 3);
});

test('a disk that takes 5 s sheds writes after one, keeps reads, and is given back its writes', async (t) => {
  if (isAttachMissing(t)) return;
  const { server, registry } = await begun(t);
  const readers = await ReaderLoop.start(t, server.url);
  const fault = await disturb(t, server, 'delay_enter=5s');
  const startedMs = performance.now();
  const slow = newPayload(registry, 'slow');
  const first = tryWrite(server, slow).then((answer) => {
    return { answer, tookMs: performance.now() - startedMs };
  });
  await until(
    () => shutChecks(server),
    (shut) => shut.includes('storage'),
  );
  const shutAfterMs = performance.now() - startedMs;
  assert.ok(shutAfterMs > 900 && shutAfterMs < 5_000, `shut after ${shutAfterMs} ms`);
  const refusal = await tryWrite(server, newPayload(registry, 'refused'));
  assert.deepEqual(
    [refusal.status, refusal.retryAfter, refusal.code, refusal.details?.reason],
    [503, '5', 'storage_slow', 'storage'],
  );
  const { answer, tookMs } = await first;
  assert.equal(answer.status, 202, 'what was taken is answered');
  assert.ok(tookMs >= 5_000, `${tookMs} ms`);
  assert.ok((await fault.detach()) >= 1);

  await until(
    () => shutChecks(server),
    (shut) => shut.length === 0,
  );
  assert.equal((await tryWrite(server, slow)).status, 200, 'it was kept');
  assert.equal(await commitOver(server.client, slow), 1);
  assert.deepEqual(await shutChecks(server), []);
  const told = await server.remarked(/writes pass again/);
  assert.match(told, /"gate":"storage".*"msg":"writes are refused"/);
  await readers.assertGreen({ head: 1, boundMs: READ_BOUND_MS });
  assert.equal(await server.stop(), 0);
  assert.equal(await wholeLogAt(server.data), 1);
});

test('after a failed fsync no write is acknowledged and reads go on until the end; a restart resolves it', async (t) => {
  if (isAttachMissing(t)) return;
  const { server, registry } = await begun(t);
  await commitService(server.client, registry, 'before');
  const proposal = newPayload(registry, 'a');
  const { proposal_id: id } = await server.client.propose(proposal.bytes);
  for (const signer of SIGNERS) await server.client.approve(id, signer.approve(proposal));
  const readers = await ReaderLoop.start(t, server.url);
  const fault = await disturb(t, server, 'error=EIO');
  const refusal = await server.client.commit(id).then(
    () => assert.fail('a commit that did not reach the disk was acknowledged'),
    (error: { code: string }) => error,
  );
  const answeredMs = performance.now();
  assert.equal(refusal.code, 'outcome_unknown');
  // The process has 200 ms more: it refuses, or is gone already.
  const after = await tryWrite(server, newPayload(registry, 'b')).catch(() => undefined);
  assert.ok(after === undefined || after.code === 'outcome_unknown', `${after?.status}`);
  const { code, signal } = await server.ended;
  assert.deepEqual([code, signal], [null, 'SIGKILL']);
  assert.ok(fault.injected() >= 1);
  const { failures, answers } = await readers.stop();
  assert.ok(answers > 0);
  for (const { what, atMs } of failures)
    assert.ok(atMs > answeredMs, `${what}, ${answeredMs - atMs} ms before the answer`);

  const next = await serve(t, { data: server.data });
  const client = clientOf(next.url);
  const { version } = await client.head();
  assert.ok(version === 1 || version === 2, 'it was done or it was not');
  assert.deepEqual(await shutChecks(next), []);
  assert.equal(await commitOver(client, proposal), 2, 'repeating it resolves it');
  assert.equal(await next.stop(), 0);
  assert.equal(await wholeLogAt(server.data), 2);
});
