import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Readiness } from '../../../src/registry/registry.ts';
import { isAfterCrash, observeReadiness, watchStart } from '../../../src/server/health/observe.ts';
import { databasePath } from '../../../src/server/open-store.ts';
import { makeDataDir } from '../../support/server-start.ts';
import { TestTimers } from '../../support/timers.ts';

function readinessWith(missing: readonly string[]): Readiness {
  const names = ['genesis', 'running', 'store', 'log', 'checkpoint', 'storage', 'freeze'];
  const checks = names.map((name) => {
    const isOk = !missing.includes(name);
    return { name, isOk, missing: isOk ? null : 'something' };
  });
  return { ready: true, writeReady: missing.length === 0, checks, missing, version: 0 };
}

test('a scrape sees each condition as /readyz?verbose does', () => {
  const states: unknown[] = [];
  observeReadiness(
    { readiness: () => readinessWith(['freeze']) },
    { readiness: (state) => void states.push(state) },
  );
  const open = ['genesis', 'running', 'store', 'log', 'checkpoint', 'storage'];
  const gates = new Map([...open.map((name) => [name, true] as const), ['freeze', false]]);
  assert.deepEqual(states, [{ isReadReady: true, isWriteReady: false, gates }]);
});

test('a store that was not closed left a write-ahead log that is not empty', async () => {
  const dataDir = makeDataDir();
  const isCrashed = () => isAfterCrash({ profile: 'macronode', dataDir });
  assert.equal(await isCrashed(), false, 'there is no directory yet');
  mkdirSync(dataDir, { recursive: true });
  writeFileSync(databasePath(dataDir), 'x');
  assert.equal(await isCrashed(), false);
  writeFileSync(`${databasePath(dataDir)}-wal`, '');
  assert.equal(await isCrashed(), false);
  writeFileSync(`${databasePath(dataDir)}-wal`, 'x');
  assert.equal(await isCrashed(), true);
  assert.equal(await isAfterCrash({ profile: 'micronode', dataDir }), false);
});

function watch(missing: string[]) {
  const timers = new TestTimers(0);
  const told: unknown[] = [];
  const stop = watchStart({
    registry: { readiness: () => readinessWith(missing) },
    metrics: { started: (sample) => void told.push(sample) },
    isAfterCrash: true,
    uptimeSeconds: () => timers.now() / 1000,
    timers,
  });
  return { timers, told, stop };
}

test('a start is over for writes when the log is known to be whole and signed', () => {
  const missing = ['log', 'freeze'];
  const { timers, told } = watch(missing);
  const read = { phase: 'read', isAfterCrash: true, seconds: 0 };
  timers.advance(3_000);
  assert.deepEqual(told, [read]);
  missing.shift();
  timers.advance(500);
  // Frozen as it is: that was somebody's decision, and no part of the start.
  assert.deepEqual(told, [read, { phase: 'write', isAfterCrash: true, seconds: 3.5 }]);
  assert.equal(timers.pending, 0);
});

test('a server that stops before that leaves no timer', () => {
  const { timers, told, stop } = watch(['checkpoint']);
  timers.advance(10);
  stop();
  assert.deepEqual([told.length, timers.pending], [1, 0]);
});
