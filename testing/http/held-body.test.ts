import assert from 'node:assert/strict';
import { test } from 'node:test';
import { heldBody } from '../../src/http/held-body.ts';
import { openTestApp } from '../support/http-app.ts';
import { put } from '../support/registry.ts';
import { TestTimers } from '../support/timers.ts';

const MIB = 1024 * 1024;

/** A body without end in pieces of half a MiB, and what became of it. */
function openHeld() {
  const timers = new TestTimers(0);
  const seen = { hungUp: 0, released: 0 };
  const endless = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(new Uint8Array(MIB / 2)),
  });
  const reader = heldBody(endless, {
    timers,
    release: () => void seen.released++,
    hangUp: () => void seen.hungUp++,
  }).getReader();
  return { timers, seen, reader };
}

test('a reader that takes a MiB in five minutes goes on, also when it takes it at their end', async () => {
  const { timers, seen, reader } = openHeld();
  for (let window = 0; window < 20; window++) {
    timers.advance(299_999);
    await reader.read();
    await reader.read();
    timers.advance(1);
  }
  assert.deepEqual(seen, { hungUp: 0, released: 0 });
  await reader.cancel();
  assert.deepEqual([seen.released, timers.pending], [1, 0]);
});

test('a reader that takes less in five minutes is hung up on, however much it took before', async () => {
  const { timers, seen, reader } = openHeld();
  for (let i = 0; i < 20; i++) await reader.read();
  timers.advance(300_000);
  for (let i = 0; i < 4; i++) {
    assert.equal(seen.hungUp, 0);
    timers.advance(60_000);
  }
  await reader.read();
  timers.advance(60_000);
  assert.deepEqual([seen.hungUp, timers.pending], [1, 0]);
});

test('the connection of a set that is not read is ended, and one that was read is watched no more', async () => {
  const app = await openTestApp({ deps: { limits: () => ({ maxBufferedBytes: 10 }) } });
  await app.change(put('d', {}));
  const idle = app.timers.pending;
  await (await app.get('/registry/1/set')).text();
  await app.head('/registry/1/set');
  assert.equal(app.timers.pending, idle);
  await app.app.request('/registry/1/set');
  app.timers.advance(299_999);
  assert.equal(app.hungUp(), 0);
  app.timers.advance(1);
  assert.equal(app.hungUp(), 1);
});
