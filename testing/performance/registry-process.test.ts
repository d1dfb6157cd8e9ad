/** What is measured starts, and what is planted in it is there: a benchmark that cannot is noticed here, not in the night. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { entryOf, postEntry } from './entries.ts';
import { findMissingMetrics } from './golden.ts';
import { residentMib } from './machine.ts';
import { NOTHING_PLANTED } from './planted.ts';
import { Poster } from './poster.ts';
import { startRegistry } from './registry-process.ts';

const READ_MS = 20;
const COMMIT_MS = 60;
const MEMORY_MIB = 200;

test('a micronode begins its registry and can be read', async () => {
  await using server = await startRegistry('micronode');
  const response = await fetch(`${server.url}/registry/head`);
  assert.equal(((await response.json()) as { version: number }).version, 0);
});

test('a macronode shows every golden metric when it has read and written', async () => {
  assert.deepEqual(await findMissingMetrics('macronode'), []);
});

/** Milliseconds that it takes at least, of a few times. */
async function leastMs(run: () => Promise<void>): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < 5; i++) {
    const began = performance.now();
    await run();
    times.push(performance.now() - began);
  }
  return Math.min(...times);
}

test('what is planted slows reads and commits by as much as asked, and holds the memory', async () => {
  await using plain = await startRegistry('micronode');
  const planted = { readUs: READ_MS * 1_000, commitUs: COMMIT_MS * 1_000, memoryMib: MEMORY_MIB };
  await using slow = await startRegistry('micronode', {
    planted: { ...NOTHING_PLANTED, ...planted },
  });
  using plainPoster = new Poster(plain.url, 4);
  using slowPoster = new Poster(slow.url, 4);
  const plainMs = await leastMs(() => plainPoster.get('/registry/head'));
  const slowMs = await leastMs(() => slowPoster.get('/registry/head'));
  assert.ok(slowMs >= READ_MS, `expected at least ${READ_MS} ms, got ${slowMs}`);
  assert.ok(plainMs < READ_MS, `expected less than ${READ_MS} ms, got ${plainMs}`);
  const entry = entryOf(slow, { id: 'a', bytes: 100 });
  await postEntry(slowPoster, entry);
  const began = performance.now();
  await slowPoster.post(entry.commitPath);
  const commitMs = performance.now() - began;
  assert.ok(commitMs >= READ_MS + COMMIT_MS, `expected the commit to be slowed, got ${commitMs}`);
  const moreMib = residentMib(slow.pid) - residentMib(plain.pid);
  assert.ok(moreMib > MEMORY_MIB / 2, `expected ${MEMORY_MIB} MiB to be held, got ${moreMib}`);
});
