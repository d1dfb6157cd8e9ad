/** An event loop that stands still for a second: what waits then is read first, writes come later, and by themselves. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { newPayload, serve, shutChecks, tryWrite, until } from '../support/fault-server.ts';
import { ReaderLoop } from '../support/reader-loop.ts';
import { beginOver, commitOver } from '../support/server-start.ts';

const PRELOAD = join(import.meta.dirname, '../support/block-loop.ts');
const BLOCKED_MS = 1_000;

test('after a blocked event loop writes are refused for a moment, and reads only wait for its end', async (t) => {
  const server = await serve(t, {
    settings: { profile: 'micronode', shed_loop_after: '250ms' },
    nodeOptions: ['--import', PRELOAD],
  });
  const registry = await beginOver(server.client);
  const readers = await ReaderLoop.start(t, server.url);
  let count = 0;
  // What comes in the first two seconds counts as the start: it is tried until it is refused.
  const refusal = await until(
    async () => {
      server.signal('SIGUSR2');
      return tryWrite(server, newPayload(registry, `d${count++}`));
    },
    ({ status }) => status !== 202,
  );
  assert.deepEqual(
    [refusal.status, refusal.code, refusal.retryAfter, refusal.details?.reason],
    [503, 'loop_late', '2', 'loop'],
  );
  const lateMs = refusal.details?.late_ms;
  assert.ok(typeof lateMs === 'number' && lateMs > BLOCKED_MS / 2, `${lateMs} ms`);
  assert.deepEqual(await shutChecks(server), ['loop']);
  const told = await server.remarked(/"gate":"loop".*"msg":"writes are refused"/);
  assert.ok(told.split('blocked for').length - 1 >= 1, 'it was blocked');

  const payload = newPayload(registry, 'later');
  await until(
    () => tryWrite(server, payload),
    ({ status }) => status === 202,
  );
  assert.deepEqual(await shutChecks(server), []);
  assert.equal(await commitOver(server.client, payload), 1);
  const { slowestMs } = await readers.assertGreen({ head: 1, boundMs: 3 * BLOCKED_MS });
  assert.ok(slowestMs > BLOCKED_MS / 2, 'somebody read while it was blocked');
  assert.equal(await server.stop(), 0);
});
