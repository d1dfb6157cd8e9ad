/** Somebody with a proposer's token proposes as much as is taken: the server keeps its memory, and starts again. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { SERVICE_ENV, SERVICE_FLAGS } from '../performance/service-flags.ts';
import { put } from '../support/registry.ts';
import { type ServerProcess, spawnServer } from '../support/server-process.ts';
import { beginOver, makeDataDir } from '../support/server-start.ts';
import { descriptorsPayload } from '../support/signers.ts';

const MIB = 1024 * 1024;
/** Of the objectives, in bursts. */
const MOST_MIB = 512;

const CHANGES = 7_000;
/** Fences that are all broken, and values that take the most memory for their bytes. */
const changesOf = (n: number) =>
  Array.from({ length: CHANGES }, (_, i) => put(`p${n}-${i}`, { a: [] }, { never: 'there' }));

/** The most that the process ever had. */
function mostMiB({ pid }: ServerProcess): number {
  const most = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(most?.[1]) / 1024;
}

async function listedBytes({ url }: ServerProcess, proposals: number): Promise<number> {
  const text = await (await fetch(`${url}/registry/proposals`)).text();
  const list = JSON.parse(text).proposals.filter((p: { state: string }) => p.state === 'blocked');
  assert.equal(list.length, proposals);
  return text.length;
}

test('proposals as large and as many as are taken leave room, after a restart too', async (t) => {
  const data = makeDataDir();
  const options = { flags: SERVICE_FLAGS, env: SERVICE_ENV };
  let server = await spawnServer(data, options);
  t.after(() => server.kill());
  const registry = await beginOver(server.client);
  let [taken, bytes] = [0, 0];
  for (; ; taken++) {
    const payload = descriptorsPayload(registry, changesOf(taken));
    const answer = await fetch(`${server.url}/registry/proposals`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: new Uint8Array(payload.bytes),
    });
    const { code } = await answer.json();
    if (code === 'too_many_proposals') break;
    assert.equal(answer.status, 202);
    bytes += payload.bytes.length;
  }
  assert.ok(bytes > 14 * MIB && bytes <= 16 * MIB, `${bytes} in ${taken}`);
  assert.ok((await listedBytes(server, taken)) < 4_096 * taken);
  assert.ok(mostMiB(server) < MOST_MIB, `${mostMiB(server)} MiB`);
  assert.equal(await server.stop(), 0);
  server = await spawnServer(data, options);
  assert.ok((await listedBytes(server, taken)) < 4_096 * taken);
  assert.ok(mostMiB(server) < MOST_MIB, `${mostMiB(server)} MiB after a restart`);
});
