import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { RegistryError } from '../../../src/core/error.ts';
import { encodeSignature, type NoteSignature } from '../../../src/core/tlog/note.ts';
import { readSignedCheckpoint, signersOf } from '../../../src/core/tlog/note-signatures.ts';
import { openClock } from '../../../src/registry/clock.ts';
import type { CosignerPort } from '../../../src/registry/cosigners.ts';
import { openHighWater } from '../../../src/registry/high-water.ts';
import type { CheckpointSigner } from '../../../src/registry/options.ts';
import { cosign } from '../../../src/registry/witness-cosign.ts';
import { createMarkFile } from '../../../src/server/high-water-file.ts';
import { createNoteVerifier } from '../../../src/server/note-verifier.ts';
import { refuses } from '../../support/core-assert.ts';
import { keepCheckpoint, openTestRegistry, put, SILENT_LOG } from '../../support/registry.ts';
import { makeLogSigner, ORIGIN, START } from '../../support/signers.ts';
import { TestTimers } from '../../support/timers.ts';
import { makeCosigner, TestLog, witnessFile } from '../../support/witness.ts';

const NAME = `${ORIGIN}/clock`;
const CLOCK = makeCosigner(NAME);
const VERIFIER = createNoteVerifier();
const NOW = START / 1000;

function open({
  name = null,
  signer = makeLogSigner(NAME),
  refusal = () => undefined,
}: {
  name?: string | null;
  signer?: CheckpointSigner;
  refusal?: CosignerPort['refusal'];
} = {}) {
  const log = new TestLog().grow(1);
  const timers = new TestTimers(START);
  const errors: string[] = [];
  const requests: { witness: string; result: string }[] = [];
  const signed: { size: number; line: NoteSignature }[] = [];
  let told = Promise.withResolvers<void>();
  const tell = () => {
    told.resolve();
    told = Promise.withResolvers();
  };
  const cosigner = openClock({
    signer,
    name,
    intervalMs: 5_000,
    verifier: VERIFIER,
    metrics: {
      cosigned: () => {},
      witnessSize: () => {},
      witnessRequested: (one) => {
        requests.push(one);
        tell();
      },
    },
    log: {
      ...SILENT_LOG,
      error: (message) => {
        errors.push(message);
        tell();
      },
    },
    now: () => timers.now(),
    timers,
  })({
    onCosigned: (size, [line]) => {
      if (line !== undefined) signed.push({ size, line });
      tell();
    },
    prove: async () => [],
    refusal,
  });
  return {
    log,
    timers,
    errors,
    requests,
    signed,
    cosigner,
    /** Acts, and waits for the next signature or error, and for the timer after it. */
    next: async (act: () => void) => {
      const { promise } = told;
      act();
      await promise;
      await new Promise((resolve) => setImmediate(resolve));
    },
    /** The time that the newest signature vouches for; throws unless it verifies. */
    time: async () => {
      const { size, line } = signed.at(-1) ?? assert.fail('nothing was signed');
      const checkpoint = readSignedCheckpoint(
        `${(await log.checkpoint(size)).text}\n${encodeSignature(line)}`,
      );
      return (await signersOf(checkpoint, [CLOCK.key], VERIFIER)).get(CLOCK.key);
    },
  };
}

test('the clock signs a new checkpoint at once, and the newest one every interval', async () => {
  const { log, timers, cosigner, next, time, signed } = open();
  const first = await log.published();
  await next(() => cosigner.submit(first));
  assert.equal(await time(), NOW);
  await next(() => timers.advance(5_000));
  assert.equal(await time(), NOW + 5);
  const second = await log.grow(2).published();
  timers.advance(1_000);
  await next(() => cosigner.submit(second));
  assert.equal(await time(), NOW + 6);
  timers.advance(4_999);
  assert.equal(signed.length, 3);
  await next(() => timers.advance(1));
  assert.equal(await time(), NOW + 11);
  assert.deepEqual(
    signed.map(({ size }) => size),
    [1, 1, 3, 3],
  );
  assert.equal(cosigner.refusal(), undefined);
  await cosigner[Symbol.asyncDispose]();
  assert.equal(timers.pending, 0);
});

test('a checkpoint that comes while the key is at work is signed right after it', async () => {
  const real = makeLogSigner(NAME);
  const gate = Promise.withResolvers<void>();
  const sign = async (message: Uint8Array) => {
    await gate.promise;
    return real.sign(message);
  };
  const { log, cosigner, next, signed } = open({ signer: { ...real, sign } });
  const [first, second] = [await log.published(), await log.grow(1).published()];
  cosigner.submit(first);
  cosigner.submit(second);
  await next(() => gate.resolve());
  while (signed.length < 2) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(
    signed.map(({ size }) => size),
    [1, 2],
  );
  await cosigner[Symbol.asyncDispose]();
});

test('a clock that goes back is not believed until it has caught up', async () => {
  const { log, timers, cosigner, next, time, signed, errors } = open();
  const published = await log.published();
  await next(() => cosigner.submit(published));
  timers.advance(-60_000);
  await next(() => cosigner.submit(published));
  assert.equal(errors.length, 1);
  assert.equal(signed.length, 1);
  for (let i = 0; i < 12; i++) {
    timers.advance(5_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  while (signed.length < 2) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(await time(), NOW);
  assert.equal(errors.length, 1, 'told once');
  await cosigner[Symbol.asyncDispose]();
});

test('after a restart it goes on from the time it signed last', async () => {
  for (const [ahead, isSigned] of [
    [0, true],
    [60, false],
  ] as const) {
    const { log, cosigner, next, signed } = open();
    const line = await cosign(await log.checkpoint(), CLOCK, NOW + ahead);
    const published = await log.published();
    await next(() =>
      cosigner.submit({ ...published, note: published.note + encodeSignature(line) }),
    );
    assert.equal(signed.length === 1, isSigned);
    await cosigner[Symbol.asyncDispose]();
  }
});

test('a time that it did not sign does not hold it back', async () => {
  const { log, cosigner, next, time } = open();
  const forged = await cosign(await log.grow(1).checkpoint(1), CLOCK, NOW + 60);
  const published = await log.published();
  await next(() =>
    cosigner.submit({ ...published, note: published.note + encodeSignature(forged) }),
  );
  assert.equal(await time(), NOW);
  await cosigner[Symbol.asyncDispose]();
});

test('a key that cannot sign is told, and asked again at the next interval', async () => {
  const real = makeLogSigner(NAME);
  let failures = 1;
  const sign = async (message: Uint8Array) => {
    if (failures-- > 0) throw new Error('the module is gone');
    return real.sign(message);
  };
  const { log, timers, cosigner, next, time, errors } = open({ signer: { ...real, sign } });
  const published = await log.published();
  await next(() => cosigner.submit(published));
  assert.equal(errors.length, 1);
  await next(() => timers.advance(5_000));
  assert.equal(await time(), NOW + 5);
  await cosigner[Symbol.asyncDispose]();
});

test('each try to sign is counted under its name, and a failure told once until it signs again', async () => {
  const real = makeLogSigner(NAME);
  let failures = 3;
  const sign = async (message: Uint8Array) => {
    if (failures-- > 0) throw new Error('the program exited with 1');
    return real.sign(message);
  };
  const { log, timers, cosigner, next, requests, errors } = open({ signer: { ...real, sign } });
  const published = await log.published();
  await next(() => cosigner.submit(published));
  for (let i = 0; i < 3; i++) await next(() => timers.advance(5_000));
  const results = ['unavailable', 'unavailable', 'unavailable', 'signed'];
  assert.deepEqual(
    requests,
    results.map((result) => ({ witness: NAME, result })),
  );
  assert.equal(errors.length, 1);
  failures = 1;
  await next(() => timers.advance(5_000));
  assert.equal(errors.length, 2, 'a new failure is told anew');
  timers.advance(-60_000);
  await next(() => cosigner.submit(published));
  assert.deepEqual(requests.at(-1), { witness: NAME, result: 'unavailable' });
  await cosigner[Symbol.asyncDispose]();
});

test('a name of its own is signed under, and one that no note can hold is refused', async () => {
  const { log, cosigner, next, signed } = open({ name: 'clock.example' });
  const published = await log.published();
  await next(() => cosigner.submit(published));
  assert.equal(signed[0]?.line.name, 'clock.example');
  await cosigner[Symbol.asyncDispose]();
  for (const name of ['', 'a b', 'a+b', 'x'.repeat(256)])
    refuses('invalid_request', () => open({ name }));
});

test('while another cosigner refuses the clock signs nothing, and within a second after that again', async () => {
  let refusal: RegistryError | undefined = new RegistryError('not_ready', 'a witness saw 9');
  let asked = 0;
  const { log, timers, cosigner, next, time, signed } = open({
    refusal: () => {
      asked++;
      return refusal;
    },
  });
  cosigner.submit(await log.published());
  for (let tick = 0; tick < 20; tick++) {
    timers.advance(1_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(asked >= 20);
  assert.equal(signed.length, 0);
  refusal = undefined;
  await next(() => timers.advance(1_000));
  assert.equal(await time(), NOW + 21);
  timers.advance(4_999);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(signed.length, 1, 'then every interval again');
  await cosigner[Symbol.asyncDispose]();
});

test('over a store that is older than its high-water mark the clock signs nothing', async () => {
  const newer = await openTestRegistry();
  const marks = { same: newer.registry.checkpoint()?.note ?? '', newer: '' };
  await newer.change(put('a', {}));
  marks.newer = newer.registry.checkpoint()?.note ?? '';
  for (const [mark, isSigned] of [
    [marks.same, true],
    [marks.newer, false],
  ] as const) {
    const restored = await openTestRegistry();
    await keepCheckpoint(restored);
    const path = witnessFile('mark');
    writeFileSync(path, mark);
    const timers = new TestTimers(START);
    const world = { log: SILENT_LOG, now: () => timers.now(), timers };
    const metrics = {
      cosigned: () => {},
      witnessSize: () => {},
      witnessRequested: () => {},
      highWaterKept: () => {},
    };
    const signer = makeLogSigner(NAME);
    // In the order of a server: the clock is handed the checkpoint first.
    const cosigners = [
      openClock({ ...world, metrics, signer, name: null, intervalMs: 5_000, verifier: VERIFIER }),
      openHighWater({ ...world, metrics, file: createMarkFile(path) }),
    ];
    const { registry } = await openTestRegistry({ ...world, store: restored.store, cosigners });
    while (registry.readiness().missing.some((reason) => reason.includes('not yet compared')))
      await new Promise((resolve) => setImmediate(resolve));
    for (let tick = 0; tick < 20; tick++) {
      timers.advance(1_000);
      for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(registry.readiness().writeReady, isSigned);
    assert.equal(registry.checkpoint()?.note.includes(NAME), isSigned);
    await registry[Symbol.asyncDispose]();
  }
});
