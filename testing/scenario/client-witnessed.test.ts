/** A follower that demands the log's own clock, over a real registry: commits are believed once it vouched for them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeVerifierKey } from '../../src/core/vkey.ts';
import { clockNameOf, openClock } from '../../src/registry/clock.ts';
import { createNativeVerifier } from '../../src/server/native-verifier.ts';
import { openClient, openStage } from '../support/client-server.ts';
import { SILENT_LOG } from '../support/registry.ts';
import { makeLogSigner, ORIGIN, START } from '../support/signers.ts';
import { TestTimers } from '../support/timers.ts';

test('a follower that demands a cosigner believes each commit once it is cosigned, and remembers the time', async () => {
  const signer = makeLogSigner('clock');
  const timers = new TestTimers(START);
  const clock = openClock({
    signer,
    name: null,
    intervalMs: 5_000,
    verifier: createNativeVerifier(),
    metrics: { cosigned: () => {}, witnessSize: () => {}, witnessRequested: () => {} },
    log: SILENT_LOG,
    now: () => timers.now(),
    timers,
  });
  const stage = await openStage({ cosigners: [clock] });
  const name = clockNameOf(ORIGIN);
  const vkey = encodeVerifierKey({ name, type: 'cosigner', publicKey: signer.publicKey });
  const policy = `witness clock ${vkey}\nquorum clock\n`;
  const running = openClient(stage, { policy, maxStaleMs: 60_000 });
  const updates = running.client.follow()[Symbol.asyncIterator]();
  const seen: (number | undefined)[] = [];
  for (let n = 1; n <= 5; n++) {
    const next = updates.next();
    await stage.grow(1);
    // What the stream brings too early is asked for after a second.
    const ended = next.then(() => true);
    while (!(await Promise.race([ended, new Promise<false>((done) => setImmediate(done, false))])))
      running.clock.advance(running.clock.pending.includes(1_000) ? 1_000 : 0);
    const { value } = await next;
    seen.push(value?.head.version);
    assert.equal(value?.head.checkpoint.freshAt, START / 1000);
  }
  assert.deepEqual(seen, [1, 2, 3, 4, 5]);
  await updates.return?.();
  assert.deepEqual(running.clock.pending, []);
  assert.equal(stage.registry.feed.subscribers, 0);
});
