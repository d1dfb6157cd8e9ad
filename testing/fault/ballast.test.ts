/**
 * A disk that fills under a real server with a ballast: warned, then read-only with the ballast released;
 * operators act, a crash is recovered from, room brings everything back. And a quota, which no disk tells of.
 */
import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { askOperator } from '../../src/cli/operator-socket.ts';
import { openDiskStage } from '../support/disk-stage.ts';
import {
  type FaultServer,
  newPayload,
  serve,
  shutChecks,
  tryWrite,
  until,
} from '../support/fault-server.ts';
import { mountSmall } from '../support/mount.ts';
import { ReaderLoop } from '../support/reader-loop.ts';
import { beginOver, clientOf, commitOver, commitService } from '../support/server-start.ts';

const MIB = 1024 * 1024;
const SETTINGS = {
  min_free_space: '6MiB',
  warn_free_space: '16MiB',
  ballast: '4MiB',
  metrics_listen: '127.0.0.1:0',
};
const READ_BOUND_MS = 1_000;

/** A disk of 40 MiB with a ballast from before, of which somebody else can take some. */
function smallDisk(t: TestContext) {
  const disk = mountSmall(t, '40m');
  if (disk === undefined) return undefined;
  mkdirSync(join(disk, 'data'));
  writeFileSync(join(disk, 'data', 'ballast'), new Uint8Array(4 * MIB));
  const other = join(disk, 'other');
  const free = async () => {
    const { bavail, bsize } = await statfs(disk);
    return bavail * bsize;
  };
  return {
    data: join(disk, 'data'),
    ballast: () => statSync(join(disk, 'data', 'ballast'), { throwIfNoEntry: false })?.size,
    free,
    /** Leaves so many bytes free. */
    fillUpTo: async (leftBytes: number) => {
      rmSync(other, { force: true });
      writeFileSync(other, new Uint8Array((await free()) - leftBytes));
    },
    empty: () => rmSync(other),
  };
}

async function markOf({ metricsUrl }: { readonly metricsUrl: string }): Promise<number> {
  const page = await (await fetch(metricsUrl)).text();
  return Number(/^registry_storage_mark (\d)$/m.exec(page)?.[1]);
}

/** With the address of its metrics, which its log tells. */
async function serveOn(t: TestContext, data: string) {
  const server = await serve(t, { data, settings: SETTINGS });
  const said = await server.remarked(/"metrics":"http[^"]+"/);
  const [, metricsUrl = ''] = /"metrics":"(http[^"]+)"/.exec(said) ?? [];
  return { server, metricsUrl };
}

function act(server: FaultServer, name: string, reason?: string) {
  return askOperator(join(server.data, 'operator.sock'), {
    method: 'POST',
    path: `/operator/${name}`,
    body: reason === undefined ? {} : { reason },
  });
}

test('a disk that fills: warned, read-only with the ballast released, operators act, a crash is survived, and all comes back', async (t) => {
  const disk = smallDisk(t);
  if (disk === undefined) return;
  const { server, metricsUrl } = await serveOn(t, disk.data);
  const registry = await beginOver(server.client);
  const readers = await ReaderLoop.start(t, server.url);

  await disk.fillUpTo(12 * MIB);
  await until(
    () => markOf({ metricsUrl }),
    (mark) => mark === 1,
  );
  await server.remarked(/the disk of the data has little room/);
  assert.equal(await commitService(server.client, registry, 'warned'), 1);

  await disk.fillUpTo(5 * MIB);
  await server.remarked(/the ballast was released/);
  await until(
    () => markOf({ metricsUrl }),
    (mark) => mark === 2,
  );
  assert.equal(disk.ballast(), 0);
  assert.ok((await disk.free()) > 6 * MIB, 'more is free than min_free_space asks for');
  // Whoever fills the disk does not stop at that.
  await disk.fillUpTo(4 * MIB);
  assert.deepEqual(await shutChecks(server), ['disk']);
  assert.equal((await tryWrite(server, newPayload(registry, 'late'))).code, 'read_only');

  assert.equal((await act(server, 'compact')).log_folded, true);
  assert.equal((await act(server, 'freeze', 'the disk is full')).changed, true);
  assert.equal((await act(server, 'thaw', 'it was a try')).changed, true);
  await readers.assertGreen({ head: 1, boundMs: READ_BOUND_MS });
  server.signal('SIGKILL');
  await server.ended;

  const again = await serveOn(t, disk.data);
  const client = clientOf(again.server.url);
  const readersAgain = await ReaderLoop.start(t, again.server.url);
  assert.deepEqual(await shutChecks(again.server), ['disk']);
  disk.empty();
  await until(
    () => shutChecks(again.server),
    (shut) => shut.length === 0,
  );
  assert.equal(await commitOver(client, newPayload(registry, 'room')), 2);
  await again.server.remarked(/the ballast was made/);
  assert.equal(disk.ballast(), 4 * MIB);
  await until(
    () => markOf(again),
    (mark) => mark === 0,
  );
  await readersAgain.assertGreen({ head: 2, boundMs: READ_BOUND_MS });
  assert.equal(await again.server.stop(), 0);
  assert.equal(disk.ballast(), 4 * MIB, 'the next start finds it');
});

test('a crash beside a full disk is recovered from, for the ballast makes room before the store is opened', async (t) => {
  const disk = smallDisk(t);
  if (disk === undefined) return;
  const { server } = await serveOn(t, disk.data);
  const registry = await beginOver(server.client);
  await commitService(server.client, registry, 'one');
  server.signal('SIGKILL');
  await server.ended;
  // Without it SQLite cannot read the write-ahead log, and it takes room to make it again.
  rmSync(join(disk.data, 'registry.db-shm'));
  await disk.fillUpTo(0);
  await t.test('without a ballast nothing is served', async (t) => {
    const settings = { ...SETTINGS, ballast: '0B' };
    const ballast = join(disk.data, 'ballast');
    const moved = join(disk.data, 'moved');
    renameSync(ballast, moved);
    await assert.rejects(serve(t, { data: disk.data, settings }));
    renameSync(moved, ballast);
  });
  const { server: again } = await serveOn(t, disk.data);
  assert.equal(disk.ballast(), 0);
  assert.match(await again.remarked(/serving on/), /the ballast was released.*serving on/s);
  assert.deepEqual(await shutChecks(again), ['disk']);
  for (const path of ['/registry/head', '/registry/1', '/registry/1/set', '/checkpoint'])
    assert.equal((await fetch(`${again.url}${path}`)).status, 200, path);
  assert.equal(await again.stop(), 0);
});

test('under a quota that no disk tells of, room is tried once a minute, and writes stay refused until it is there', async (t) => {
  const disk = mountSmall(t, '6m');
  if (disk === undefined) return;
  const stage = await openDiskStage({
    room: 1024 * MIB,
    minBytes: MIB,
    ballastBytes: 4 * MIB,
    dataDir: join(disk, 'data'),
  });
  await stage.look(5);
  assert.equal(stage.size(), 4 * MIB);
  const other = join(disk, 'other');
  writeFileSync(other, new Uint8Array(1.5 * MIB));
  assert.throws(() => writeFileSync(join(disk, 'more'), new Uint8Array(MIB)), { code: 'ENOSPC' });
  rmSync(join(disk, 'more'));
  stage.write({ isRefused: true });
  await stage.look();
  assert.deepEqual([stage.size(), stage.isShut()], [0, true]);
  // Now there is room for the ballast, but for nothing beside it.
  let changes = 0;
  for (let second = 0; second < 300; second++) {
    await stage.look();
    if (!stage.isShut()) changes++;
  }
  assert.deepEqual([stage.size(), changes], [0, 0]);
  const failed = 'the ballast could not be made again: there is no room for it yet';
  assert.equal(stage.messages().filter((one) => one === failed).length, 1);
  rmSync(other);
  await stage.look(60);
  assert.deepEqual([stage.size(), stage.isShut()], [4 * MIB, false]);
  await stage.gate.close();
});
