/** kill -9 in the middle of appending and keeping checkpoints, again and again on one database. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { EMPTY_VERSION } from '../../src/store/store.ts';
import { CHILD_ENV, programOf, run } from '../support/child.ts';
import type { WholeLog } from '../support/store-log.ts';
import { recover } from '../support/store-recover.ts';
import { makePath } from '../support/store-sqlite.ts';

const CHILD = programOf('store-child');
const CYCLES = 20;

/** Kills the child while it goes on after `acks` appends; answers the last versions it acknowledged. */
async function killAfter(
  acks: number,
  { path, before }: { readonly path: string; readonly before: WholeLog },
): Promise<WholeLog> {
  const stdio = ['ignore', 'pipe', 'inherit'] as const;
  const child = spawn(process.execPath, [CHILD, path, '1000000'], {
    stdio: [...stdio],
    env: CHILD_ENV,
  });
  const ended = new Promise<NodeJS.Signals | null>((resolve) => {
    child.once('exit', (_code, signal) => resolve(signal));
  });
  let last = before;
  let seen = 0;
  for await (const line of createInterface({ input: child.stdout! })) {
    const [word, version] = line.split(' ');
    if (word === 'kept') last = { ...last, kept: Number(version) };
    if (word !== 'ack') continue;
    last = { ...last, head: Number(version) };
    if (++seen === acks) child.kill('SIGKILL');
  }
  assert.equal(await ended, 'SIGKILL');
  return last;
}

test(`of ${CYCLES} processes killed while appending none lost what it had acknowledged`, async (t) => {
  const path = makePath();
  assert.deepEqual((await run(process.execPath, [CHILD, path, '0'])).lines, ['opened', 'closed']);
  let found: WholeLog = { head: EMPTY_VERSION, kept: EMPTY_VERSION };
  let unacknowledged = 0;
  for (let cycle = 0; cycle < CYCLES; cycle++) {
    const acknowledged = await killAfter(1 + ((cycle * 7) % 23), { path, before: found });
    found = await recover(path);
    for (const part of ['head', 'kept'] as const) {
      const untold = found[part] - acknowledged[part];
      assert.ok(
        untold === 0 || untold === 1,
        `cycle ${cycle}: ${part} ${acknowledged[part]} was acknowledged, ${found[part]} is there`,
      );
      unacknowledged += untold;
    }
  }
  t.diagnostic(`${unacknowledged} writes were there that nobody had been told of`);
});
