import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { type MarkFile, openHighWater } from '../../../src/registry/high-water.ts';
import { assertMarkCanBeKept, createMarkFile } from '../../../src/server/high-water-file.ts';
import { refusesLater } from '../../support/core-assert.ts';
import { SILENT_LOG } from '../../support/registry.ts';
import { START } from '../../support/signers.ts';
import { TestTimers } from '../../support/timers.ts';
import { TestLog, witnessFile } from '../../support/witness.ts';

/** A high-water mark over a real file that counts its writes. */
function open(log: TestLog, path = witnessFile('mark')) {
  const timers = new TestTimers(START);
  const real = createMarkFile(path);
  const kept: string[] = [];
  const faults = { keep: 0 };
  let told = Promise.withResolvers<void>();
  const file: MarkFile = {
    ...real,
    keep: async (note) => {
      try {
        if (faults.keep-- > 0) throw new Error('no space');
        await real.keep(note);
        kept.push(note);
      } finally {
        told.resolve();
        told = Promise.withResolvers();
      }
    },
  };
  const errors: string[] = [];
  const gauge: boolean[] = [];
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  const cosigner = openHighWater({
    file,
    metrics: { highWaterKept: (isKept) => gauge.push(isKept) },
    log: { ...SILENT_LOG, error: (message) => errors.push(message) },
    timers,
  })({ onCosigned: () => {}, prove: (sizes) => log.prove(sizes), refusal: () => undefined });
  return {
    path,
    timers,
    cosigner,
    errors,
    gauge,
    kept,
    faults,
    settle,
    /** Acts, and waits for the next write that it leads to. */
    written: async (act: () => void) => {
      const { promise } = told;
      act();
      await promise;
      await settle();
    },
    submit: async () => cosigner.submit(await log.published()),
    /** Waits for the verdict. */
    judged: async () => {
      cosigner.submit(await log.published());
      while (/not yet compared/.test(cosigner.refusal()?.message ?? '')) await settle();
      return cosigner.refusal();
    },
  };
}

test('without a mark one is begun, readable to its owner only', async () => {
  const log = new TestLog().grow(3);
  const { path, cosigner, written } = open(log);
  assert.equal(cosigner.refusal(), undefined, 'an empty log has nothing to fall behind of');
  const published = await log.published();
  await written(() => cosigner.submit(published));
  assert.equal(cosigner.refusal(), undefined);
  assert.equal(readFileSync(path, 'utf8'), published.note);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(dirname(path)), ['mark']);
  await cosigner[Symbol.asyncDispose]();
});

test('before it was compared nothing may be written', async () => {
  const log = new TestLog().grow(3);
  const { cosigner, submit } = open(log);
  await submit();
  assert.match(cosigner.refusal()?.message ?? '', /not yet compared.*repeat in a moment/);
  await cosigner[Symbol.asyncDispose]();
});

test('a log that goes on from the mark is written to', async () => {
  const log = new TestLog().grow(9);
  for (const size of [9, 8, 5, 1]) {
    const path = witnessFile('mark');
    writeFileSync(path, await log.note(size));
    const { cosigner, judged } = open(log, path);
    assert.equal(await judged(), undefined);
    await cosigner[Symbol.asyncDispose]();
    assert.equal(readFileSync(path, 'utf8'), await log.note());
  }
});

test('a log behind the mark, or with another history, is not written to, and the mark stays', async () => {
  const log = new TestLog().grow(9);
  const other = new TestLog().grow(3).grow(20, 'other');
  const marks: readonly (readonly [string, RegExp])[] = [
    [await new TestLog().grow(12).note(), /has seen 12 entries, while here are 9/],
    [await other.note(12), /has seen 12 entries/],
    [await other.note(9), /at 9 entries it has seen another history/],
    [await other.note(8), /at 8 entries it has seen another history/],
    [await other.note(4), /at 4 entries/],
    [await new TestLog({ origin: 'other.example/log' }).grow(4).note(), /of another log, other/],
    ['not a note', /cannot be read as a checkpoint/],
    ['', /cannot be read as a checkpoint/],
  ];
  for (const [mark, message] of marks) {
    const path = witnessFile('mark');
    writeFileSync(path, mark);
    const { cosigner, judged, errors } = open(log, path);
    const refusal = await judged();
    assert.equal(refusal?.code, 'not_ready');
    assert.match(refusal?.message ?? '', message);
    assert.match(refusal?.message ?? '', /reads go on; restore a newer backup.*quorate epoch/);
    assert.match(
      refusal?.message ?? '',
      /`quorate snapshot restore [^`]* --catch-up URL`, and restart/,
    );
    assert.ok(errors.length > 0);
    await cosigner[Symbol.asyncDispose]();
    assert.equal(readFileSync(path, 'utf8'), mark);
  }
});

test('a mark that cannot be read forbids writes', async () => {
  const path = dirname(witnessFile('mark'));
  const { cosigner, judged } = open(new TestLog().grow(1), path);
  assert.match((await judged())?.message ?? '', /cannot be read.*EISDIR/);
  await cosigner[Symbol.asyncDispose]();
});

test('a log that reaches the mark while it starts is written to from then on', async () => {
  const log = new TestLog().grow(9);
  const path = witnessFile('mark');
  writeFileSync(path, await log.note());
  const { cosigner, judged, settle } = open(log, path);
  cosigner.submit(await log.published(7));
  while (!/has seen 9/.test(cosigner.refusal()?.message ?? '')) await settle();
  await judged();
  while (cosigner.refusal() !== undefined) await settle();
  await cosigner[Symbol.asyncDispose]();
});

test('the mark follows the log with at most one write a second, and once more at the end', async () => {
  const log = new TestLog().grow(1);
  const { path, cosigner, submit, timers, kept, settle, written } = open(log);
  const first = await log.published();
  await written(() => cosigner.submit(first));
  for (let i = 0; i < 5; i++) {
    log.grow(1);
    await submit();
  }
  timers.advance(999);
  await settle();
  assert.equal(kept.length, 1);
  await written(() => timers.advance(1));
  assert.equal(kept.at(-1), await log.note(6));
  timers.advance(1_000);
  await settle();
  assert.equal(kept.length, 2, 'nothing new, nothing written');
  log.grow(1);
  await submit();
  log.grow(1);
  await submit();
  await cosigner[Symbol.asyncDispose]();
  assert.equal(readFileSync(path, 'utf8'), await log.note());
  assert.equal(timers.pending, 0);
});

test('a mark that cannot be kept is told once, tried again, and stops nothing', async () => {
  const log = new TestLog().grow(1);
  const { cosigner, timers, kept, errors, faults, written } = open(log);
  faults.keep = 2;
  const first = await log.published();
  await written(() => cosigner.submit(first));
  await written(() => timers.advance(1_000));
  assert.equal(cosigner.refusal(), undefined);
  await written(() => timers.advance(1_000));
  assert.equal(kept.length, 1);
  assert.equal(errors.length, 1);
  await cosigner[Symbol.asyncDispose]();
});

test('whether the mark is kept is told at the start and after every try', async () => {
  const log = new TestLog().grow(1);
  const { cosigner, timers, gauge, faults, written } = open(log);
  assert.deepEqual(gauge, [true]);
  faults.keep = 2;
  const first = await log.published();
  await written(() => cosigner.submit(first));
  await written(() => timers.advance(1_000));
  await written(() => timers.advance(1_000));
  assert.deepEqual(gauge, [true, false, false, true]);
  await cosigner[Symbol.asyncDispose]();
});

test('a directory that takes no file is refused in words to act on, and one that does is left as it was', async () => {
  const path = witnessFile('mark');
  await assertMarkCanBeKept(path);
  assert.deepEqual(readdirSync(dirname(path)), []);
  writeFileSync(path, 'a mark');
  await assertMarkCanBeKept(path);
  assert.deepEqual([readdirSync(dirname(path)), readFileSync(path, 'utf8')], [['mark'], 'a mark']);
  for (const [below, got] of [
    [`${dirname(path)}/none/mark`, 'ENOENT'],
    [`${path}/mark`, 'ENOTDIR'],
  ] as const)
    await refusesLater(
      'invalid_request',
      assertMarkCanBeKept(below),
      new RegExp(`^expected high_water in a directory .*, got ${got} beside ${below}: make the `),
    );
});

test('a file that cannot be replaced is said so, and leaves nothing behind', async () => {
  const path = witnessFile('mark');
  await refusesLater('storage_failed', createMarkFile(`${path}/x`).keep('note'), /ENOENT/);
  assert.deepEqual(readdirSync(dirname(path)), []);
});
