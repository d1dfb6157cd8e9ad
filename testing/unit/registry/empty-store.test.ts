/** A store that is empty again, though its high-water mark has seen entries: nothing is begun over what was published. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { openHighWater } from '../../../src/registry/high-water.ts';
import type { CheckpointSigner } from '../../../src/registry/options.ts';
import { createMarkFile } from '../../../src/server/high-water-file.ts';
import { createMemoryStore } from '../../../src/store/memory.ts';
import { checkLog } from '../../support/check-log.ts';
import { openTestRegistry, put, SILENT_LOG, type TestRegistry } from '../../support/registry.ts';
import { genesisPayload, LOG_SIGNER, START } from '../../support/signers.ts';
import { TestTimers } from '../../support/timers.ts';
import { TestLog, witnessFile } from '../../support/witness.ts';

const QUIET = { highWaterKept: () => {} };

/** Over the mark at `path`, with a log key that counts what it signs. */
async function open(path: string, { store = createMemoryStore(), isBegun = true } = {}) {
  const timers = new TestTimers(START);
  const file = createMarkFile(path);
  let signed = 0;
  const signer: CheckpointSigner = {
    ...LOG_SIGNER,
    sign: (message) => {
      signed++;
      return LOG_SIGNER.sign(message);
    },
  };
  const real = await openTestRegistry({
    store,
    isBegun,
    signers: [signer],
    cosigners: [openHighWater({ file, metrics: QUIET, log: SILENT_LOG, timers })],
  });
  return { ...real, signed: () => signed };
}

async function writable({ registry }: TestRegistry): Promise<void> {
  while (!registry.readiness().writeReady) await new Promise((resolve) => setImmediate(resolve));
}

test('an emptied store takes no genesis while its high-water mark has seen entries', async () => {
  const path = witnessFile('mark');
  const before = await open(path);
  await writable(before);
  await before.change(put('a', {}));
  await before.registry[Symbol.asyncDispose]();
  const mark = readFileSync(path, 'utf8');

  const emptied = await open(path, { isBegun: false });
  const { proposals } = emptied.registry;
  const genesis = genesisPayload(emptied.governance);
  const refusal = { code: 'not_ready', details: { high_water: path, reason: 'checkpoint' } };
  await assert.rejects(proposals.propose(genesis.bytes), refusal);
  const { writeReady, missing } = emptied.registry.readiness();
  assert.equal(writeReady, false);
  assert.match(
    missing.join(),
    /has seen 2 entries, while here are 0: this store is older than what was published; reads go on; restore a newer backup/,
  );
  await emptied.registry[Symbol.asyncDispose]();
  assert.equal(emptied.signed(), 0);
  assert.equal(await emptied.store.head(), undefined);
  assert.equal(readFileSync(path, 'utf8'), mark);
});

test('a genesis that was approved before the store was seen to be emptied is not committed', async () => {
  const path = witnessFile('mark');
  const store = createMemoryStore();
  const begun = await openTestRegistry({ store, isBegun: false });
  const genesis = genesisPayload(begun.governance);
  await begun.registry.proposals.propose(genesis.bytes);
  for (const signer of begun.signers)
    await begun.registry.proposals.approve(genesis.payloadB3, signer.approve(genesis));
  writeFileSync(path, await new TestLog().grow(100).note());
  const real = await open(path, { store, isBegun: false });
  await assert.rejects(real.registry.proposals.commit(genesis.payloadB3), /has seen 100 entries/);
  assert.equal(real.signed(), 0);
  assert.equal(await store.head(), undefined);
});

test('an empty store with a mark that cannot be read takes no genesis', async () => {
  const real = await open(dirname(witnessFile('mark')), { isBegun: false });
  await assert.rejects(real.commit(genesisPayload(real.governance)), /cannot be read.*EISDIR/);
  assert.equal(await real.store.head(), undefined);
});

test('an empty store without a mark, or with that of an empty log, is begun and goes on', async () => {
  for (const mark of [undefined, await new TestLog().note(0)]) {
    const path = witnessFile('mark');
    if (mark !== undefined) writeFileSync(path, mark);
    const real = await open(path);
    await writable(real);
    assert.equal((await real.change(put('a', {}))).version, 1);
    await checkLog(real.store);
    await real.registry[Symbol.asyncDispose]();
    assert.equal(readFileSync(path, 'utf8'), real.registry.checkpoint()?.note);
  }
});
