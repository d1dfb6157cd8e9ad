/** kill -9 in the middle of appending and keeping checkpoints, again and again on one database. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { EMPTY_VERSION } from '../../src/store/store.ts';
import { CHILD_ENV, programOf, run } from '../support/child.ts';
import type { WholeLog } from '../support/store-log.ts';
import { recover } from '../support/store-recover.ts';
import { makePath } from '../support/store-sqlite.ts';

const CHILD = programOf('store-child');
const CYCLES = 20;
/** Of some hundred appends and more, in which the log is folded and begun again. */
const FOLDING_CYCLES = process.env.QUORATE_TEST_LONG === '1' ? 20 : 3;
const FOLDING_ACKS = 150;

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
  const said: string[] = [];
  for await (const line of createInterface({ input: child.stdout! })) {
    said.push(line);
    const [word, version] = line.split(' ');
    if (word === 'kept') last = { ...last, kept: Number(version) };
    if (word !== 'ack') continue;
    last = { ...last, head: Number(version) };
    if (++seen === acks) child.kill('SIGKILL');
  }
  assert.equal(await ended, 'SIGKILL', `it said ${said.slice(-5)}`);
  return last;
}

/**
 * Kills one process after the other on one database, each after as many appends as `acks` says. `onKilled` sees what is
 * left before it is recovered.
 */
async function killAgainAndAgain(
  t: TestContext,
  { acks, onKilled }: { acks: readonly number[]; onKilled?: (path: string) => void },
): Promise<void> {
  const path = makePath();
  assert.deepEqual((await run(process.execPath, [CHILD, path, '0'])).lines, ['opened', 'closed']);
  let found: WholeLog = { head: EMPTY_VERSION, kept: EMPTY_VERSION };
  let unacknowledged = 0;
  for (const [cycle, count] of acks.entries()) {
    const acknowledged = await killAfter(count, { path, before: found });
    onKilled?.(path);
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
}

/** How often the write-ahead log was begun again since it was empty: its header counts. */
function turnsOfLog(path: string): number {
  return readFileSync(`${path}-wal`).readUInt32BE(12);
}

test(`of ${CYCLES} processes killed while appending none lost what it had acknowledged`, (t) =>
  killAgainAndAgain(t, {
    acks: Array.from({ length: CYCLES }, (_, cycle) => 1 + ((cycle * 7) % 23)),
  }));

test('nor did those killed while they overwrote a log that was folded', async (t) => {
  const turns: number[] = [];
  await killAgainAndAgain(t, {
    acks: Array.from({ length: FOLDING_CYCLES }, (_, cycle) => FOLDING_ACKS + ((cycle * 37) % 101)),
    onKilled: (path) => turns.push(turnsOfLog(path)),
  });
  assert.ok(
    turns.every((count) => count > 0),
    `logs were begun again ${turns} times`,
  );
});
