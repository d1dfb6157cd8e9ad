/** A blob goes through the server in pieces: what it holds of one is bounded, however large that is. */
import assert from 'node:assert/strict';
import { randomFillSync } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as after } from 'node:timers/promises';
import { receiveBlob, sendBlob } from '../../src/cli/blob-transfer.ts';
import { formatHash } from '../../src/core/hash.ts';
import { createHasher } from '../../src/server/fast-hash/hasher.ts';
import { serve } from '../support/fault-server.ts';
import { memoryDir } from '../support/memory-dir.ts';
import { isWithoutProc, rssMib } from '../support/process-memory.ts';
import { beginOver } from '../support/server-start.ts';

const MIB = 1024 * 1024;
const LARGE_MIB = process.env.QUORATE_TEST_LONG === '1' ? 512 : 128;
const SMALL_MIB = 16;
/** What is on its way, in each direction, and what no collection has found yet. */
const MAX_MIB = 64;
const LOOK_MS = 20;

const PIECE = randomFillSync(new Uint8Array(MIB));

/** The same piece again and again: nothing of it is held here. */
function* piecesOf(mib: number): Generator<Uint8Array> {
  for (let i = 0; i < mib; i++) yield PIECE;
}

function blobOf(mib: number) {
  const hasher = createHasher();
  for (const piece of piecesOf(mib)) hasher.update(piece);
  return { address: formatHash(hasher.digest()), bytes: mib * MIB, pieces: piecesOf(mib) };
}

/** The most that the process has while `act` goes on. */
async function mostMib(pid: number, act: () => Promise<unknown>): Promise<number> {
  let most = rssMib(pid);
  const over = new AbortController();
  const looking = (async () => {
    for (; !over.signal.aborted; most = Math.max(most, rssMib(pid))) await after(LOOK_MS);
  })();
  try {
    await act();
  } finally {
    over.abort();
    await looking;
  }
  return most;
}

test('a large blob is put and got in memory that is bounded', async (t) => {
  if (isWithoutProc(t)) return;
  const server = await serve(t, {
    data: join(memoryDir(t), 'data'),
    settings: { blobs: 'on', shed_storage_after: '10m' },
  });
  await beginOver(server.client);
  const target = { url: server.url, signal: t.signal };
  const put = (mib: number) => sendBlob(target, blobOf(mib));
  const get = async (mib: number) => {
    const { address, bytes } = blobOf(mib);
    const { pieces } = await receiveBlob(target, { address, from: 0 });
    let received = 0;
    // Slower than the server reads: what is not taken must wait on its disk.
    for await (const piece of pieces) {
      const isNext = received % MIB > (received + piece.length) % MIB;
      received += piece.length;
      if (isNext) await after(1);
    }
    assert.equal(received, bytes);
  };
  // What is compiled and kept ready once stays.
  await put(SMALL_MIB);
  await get(SMALL_MIB);
  const before = rssMib(server.pid);
  const ways = [
    ['put', put],
    ['got', get],
  ] as const;
  for (const [name, way] of ways) {
    const grown = (await mostMib(server.pid, () => way(LARGE_MIB))) - before;
    t.diagnostic(`a blob of ${LARGE_MIB} MiB, ${name}: ${grown.toFixed(1)} MiB more`);
    assert.ok(grown < MAX_MIB, `${grown} MiB more for a blob of ${LARGE_MIB} MiB, ${name}`);
  }
});
