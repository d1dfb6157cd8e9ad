/** kill -9 in the middle of appending, again and again on one database. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { CHILD_ENV, run } from '../support/child.ts';
import { recover } from '../support/store-recover.ts';
import { makePath } from '../support/store-sqlite.ts';

const CHILD = join(import.meta.dirname, '../support/store-child.ts');
const CYCLES = 20;

/** Kills the child while it goes on after `acks` appends; answers the last version it acknowledged. */
async function killAfter(acks: number, path: string): Promise<number> {
  const stdio = ['ignore', 'pipe', 'inherit'] as const;
  const child = spawn(process.execPath, [CHILD, path, '1000000'], {
    stdio: [...stdio],
    env: CHILD_ENV,
  });
  const ended = new Promise<NodeJS.Signals | null>((resolve) => {
    child.once('exit', (_code, signal) => resolve(signal));
  });
  let last = -1;
  let seen = 0;
  for await (const line of createInterface({ input: child.stdout! })) {
    if (!line.startsWith('ack ')) continue;
    last = Number(line.slice(4));
    if (++seen === acks) child.kill('SIGKILL');
  }
  assert.equal(await ended, 'SIGKILL');
  return last;
}

test(`of ${CYCLES} processes killed while appending none lost what it had acknowledged`, async (t) => {
  const path = makePath();
  assert.deepEqual((await run(process.execPath, [CHILD, path, '0'])).lines, ['opened', 'closed']);
  let unacknowledged = 0;
  for (let cycle = 0; cycle < CYCLES; cycle++) {
    const acknowledged = await killAfter(1 + ((cycle * 7) % 23), path);
    const head = await recover(path);
    assert.ok(
      head >= acknowledged,
      `cycle ${cycle}: ${acknowledged} was acknowledged, head is ${head}`,
    );
    assert.ok(
      head <= acknowledged + 1,
      `cycle ${cycle}: ${head} is there, ${acknowledged} acknowledged`,
    );
    unacknowledged += head - acknowledged;
  }
  t.diagnostic(`${unacknowledged} of ${CYCLES} cycles left a version that nobody was told of`);
});
