/** A disk that runs full under a running server: writes stop with a reason, reads do not, and room brings writes back. */
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  newPayload,
  serve,
  shutChecks,
  tryWrite,
  until,
  type WriteAnswer,
} from '../support/fault-server.ts';
import { mountSmall } from '../support/mount.ts';
import { ReaderLoop } from '../support/reader-loop.ts';
import { beginOver, commitOver } from '../support/server-start.ts';

const MIB = 1024 * 1024;
const READ_BOUND_MS = 1_000;

/** A server on a disk of 16 MiB, of which it is to leave some free. */
async function onSmallDisk(t: TestContext, settings: Readonly<Record<string, string>>) {
  const disk = mountSmall(t, '16m');
  if (disk === undefined) return undefined;
  const server = await serve(t, { data: join(disk, 'data'), settings });
  const registry = await beginOver(server.client);
  const readers = await ReaderLoop.start(t, server.url);
  const ballast = join(disk, 'ballast');
  return {
    server,
    registry,
    readers,
    /** Leaves so many bytes free, or fewer than a page. */
    fillUpTo: async (leftBytes: number) => {
      const { bavail, bsize } = await statfs(disk);
      writeFileSync(ballast, new Uint8Array(bavail * bsize - leftBytes));
      return (await statfs(disk)).bavail * bsize;
    },
    empty: () => rmSync(ballast),
  };
}

function told({ status, code, retryAfter, details }: WriteAnswer): unknown[] {
  return [status, code, retryAfter, details?.reason];
}

const REFUSED = [503, 'read_only', '30', 'disk'];

test('below min_free_space writes are refused with a reason, and resume when there is room', async (t) => {
  const stage = await onSmallDisk(t, { min_free_space: '4MiB' });
  if (stage === undefined) return;
  const { server, registry, readers } = stage;
  const early = newPayload(registry, 'early');
  assert.equal((await tryWrite(server, early)).status, 202);
  const left = await stage.fillUpTo(3 * MIB);
  assert.ok(left > 2 * MIB && left < 4 * MIB, `${left} bytes are left`);
  await until(
    () => shutChecks(server),
    (shut) => shut.includes('disk'),
  );
  const refusal = await tryWrite(server, newPayload(registry, 'late'));
  assert.deepEqual(told(refusal), REFUSED);
  assert.equal(refusal.details?.min_free_bytes, 4 * MIB);
  assert.equal((await tryWrite(server, early)).status, 200, 'what is known is no write');
  stage.empty();
  await until(
    () => shutChecks(server),
    (shut) => shut.length === 0,
  );
  assert.equal(await commitOver(server.client, early), 1);
  await readers.assertGreen({ head: 1, boundMs: READ_BOUND_MS });
  assert.equal(await server.stop(), 0);
});

test('a disk without any room left costs no read and no restart either', async (t) => {
  const stage = await onSmallDisk(t, { min_free_space: '0B' });
  if (stage === undefined) return;
  const { server, registry, readers } = stage;
  assert.ok((await stage.fillUpTo(0)) < 4096);
  // The write-ahead log may have room for some.
  let count = 0;
  const refusal = await until(
    () => tryWrite(server, newPayload(registry, `d${count++}`)),
    ({ status }) => status !== 202,
  );
  assert.deepEqual(told(refusal).slice(0, 3), REFUSED.slice(0, 3));
  // That there is no room is known from the write alone: `/readyz` says so for a while. The audit log may meet it too.
  const shut = await shutChecks(server);
  assert.ok(shut.includes('disk'), `${shut}`);
  const [status, , , reason] = told(await tryWrite(server, newPayload(registry, 'again')));
  assert.ok(status === 503 && (reason === 'disk' || reason === 'audit'), `${status} ${reason}`);
  stage.empty();
  const payload = newPayload(registry, 'room');
  await until(
    () => tryWrite(server, payload),
    ({ status }) => status === 202,
  );
  assert.equal(await commitOver(server.client, payload), 1);
  assert.deepEqual(await shutChecks(server), []);
  await readers.assertGreen({ head: 1, boundMs: READ_BOUND_MS });
  assert.equal(await server.stop(), 0);
});
