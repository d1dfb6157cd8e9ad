import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RegistryError } from '../../../src/core/error.ts';
import { isConsistent, isIncluded, recordHash } from '../../../src/core/tlog/merkle.ts';
import type { NoteSignature } from '../../../src/core/tlog/note.ts';
import { readSignedCheckpoint, signersOf } from '../../../src/core/tlog/note-signatures.ts';
import { encodeVerifierKey, parseVerifierKey } from '../../../src/core/vkey.ts';
import type { CosignerPort, OpenCosigner } from '../../../src/registry/cosigners.ts';
import type { CheckpointSigner } from '../../../src/registry/options.ts';
import type { PublishedCheckpoint } from '../../../src/registry/registry.ts';
import { createNativeVerifier } from '../../../src/server/native-verifier.ts';
import { createMemoryStore } from '../../../src/store/memory.ts';
import { checkLog } from '../../support/check-log.ts';
import { lying } from '../../support/lying-store.ts';
import {
  appendDirectly,
  damageFound,
  keepCheckpoint,
  openTestRegistry,
  put,
  type TestRegistry,
} from '../../support/registry.ts';
import {
  descriptorsPayload,
  governancePayload,
  LOG_SIGNER,
  makeLogSigner,
  ORIGIN,
} from '../../support/signers.ts';

const verifier = createNativeVerifier();

function code(expected: string) {
  return (error: unknown) => error instanceof RegistryError && error.code === expected;
}

async function logSigners(real: TestRegistry, vkeys = real.governance.log_keys): Promise<string[]> {
  const note = real.registry.checkpoint()?.note ?? '';
  const keys = vkeys.flatMap((vkey) => parseVerifierKey(vkey) ?? []);
  const found = await signersOf(readSignedCheckpoint(note), keys, verifier);
  return [...found.keys()].map(({ keyId }) => keyId);
}

/** One more turn than any answer of a memory store takes. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

test('every head is under a checkpoint of its size, signed by the log key in force', async () => {
  const real = await openTestRegistry();
  for (let version = 0; version < 5; version++) {
    const checkpoint = real.registry.checkpoint();
    assert.equal(checkpoint?.size, version + 1);
    assert.equal(checkpoint?.origin, ORIGIN);
    assert.equal((await logSigners(real)).length, 1);
    const chain = await checkLog(real.store);
    assert.deepEqual(chain?.tree.root, checkpoint?.root);
    await real.change(put(`d${version}`, {}));
  }
});

test('a batch of entries is under one checkpoint, which each of their events carries', async () => {
  const real = await openTestRegistry();
  const events = real.registry.feed.subscribe({ after: 0, mode: 'all', consumer: 'test' });
  const proposals = ['a', 'b', 'c'].map((id) =>
    descriptorsPayload(real.registryHash, [put(id, {})]),
  );
  for (const proposal of proposals) {
    await real.registry.proposals.propose(proposal.bytes);
    for (const signer of real.signers)
      await real.registry.proposals.approve(proposal.payloadB3, signer.approve(proposal));
  }
  await Promise.all(proposals.map(({ payloadB3 }) => real.registry.proposals.commit(payloadB3)));
  const note = real.registry.checkpoint()?.note ?? '';
  assert.equal(readSignedCheckpoint(note).size, 4);
  for (const _ of proposals) {
    const { frame } = await events.next();
    assert.ok(new TextDecoder().decode(frame).includes(JSON.stringify(note)));
  }
});

test('what the store gives back otherwise than it was appended is never signed nor shown', async () => {
  const store = createMemoryStore();
  let isLying = false;
  const real = await openTestRegistry({
    store: lying(store, {
      entries: async (range) =>
        (await store.entries(range)).map((entry) =>
          isLying ? { ...entry, approvals: new TextEncoder().encode('[]') } : entry,
        ),
    }),
  });
  const before = real.registry.checkpoint();
  isLying = true;
  await assert.rejects(real.change(put('a', {})), code('outcome_unknown'));
  assert.equal(real.registry.checkpoint(), before);
  assert.equal(real.registry.head()?.version, 0);
  assert.equal(real.fatal.length, 1);
});

test('tree nodes that are read back otherwise are never signed', async () => {
  const store = createMemoryStore();
  let isLying = false;
  const real = await openTestRegistry({
    store: lying(store, {
      nodes: async (places) =>
        (await store.nodes(places)).map((hash) => (isLying ? hash?.map((b) => b ^ 1) : hash)),
    }),
  });
  isLying = true;
  await assert.rejects(real.change(put('a', {})), code('outcome_unknown'));
  assert.equal(real.registry.checkpoint()?.size, 1);
});

/** Signs while `isAble`. */
function fickleSigner(): CheckpointSigner & { isAble: boolean } {
  return {
    ...LOG_SIGNER,
    isAble: true,
    async sign(message) {
      if (!this.isAble) throw new Error('the device is busy');
      return LOG_SIGNER.sign(message);
    },
  };
}

test('a log key that cannot sign holds back the checkpoint and the next write, not the entry', async () => {
  const signer = fickleSigner();
  const real = await openTestRegistry({ signers: [signer] });
  const events = real.registry.feed.subscribe({ after: 0, mode: 'all', consumer: 'test' });
  signer.isAble = false;
  assert.equal((await real.change(put('a', {}))).version, 1);
  assert.equal(real.registry.head()?.version, 1);
  assert.equal(real.registry.checkpoint()?.size, 1);
  assert.equal(real.registry.readiness().writeReady, false);
  assert.match(real.registry.readiness().missing.join(), /the device is busy/);
  await assert.rejects(real.change(put('b', {})), code('not_ready'));

  assert.equal((await events.next()).type, 'update');
  const next = events.next();
  signer.isAble = true;
  real.timers.advance(1_000);
  const event = await next;
  assert.equal(event.type, 'progress', 'who waits hears of the late checkpoint at once');
  assert.equal(real.registry.checkpoint()?.size, 2);
  assert.equal((await real.change(put('b', {}))).version, 2);
  await checkLog(real.store);
});

test('without a log key that governance names nothing is written after genesis', async () => {
  const begun = await openTestRegistry();
  for (const signers of [[], [makeLogSigner('another')]]) {
    const real = await openTestRegistry({ store: begun.store, signers });
    assert.equal(real.registry.readiness().writeReady, false);
    assert.match(real.registry.readiness().missing.join(), /log_key/);
    await assert.rejects(real.change(put('a', {})), code('not_ready'));
  }
});

test('checkpoints are signed by the keys that governance names, from the entry on that names them', async () => {
  const rotated = makeLogSigner('rotated');
  const real = await openTestRegistry({ signers: [LOG_SIGNER, rotated] });
  const vkeys = [LOG_SIGNER, rotated].map(({ publicKey }) =>
    encodeVerifierKey({ name: ORIGIN, publicKey }),
  );
  const all = vkeys.flatMap((vkey) => parseVerifierKey(vkey)?.keyId ?? []);
  assert.deepEqual(await logSigners(real, vkeys), all.slice(0, 1));
  const both = { ...real.governance, version: 2, log_keys: vkeys };
  await real.commit(governancePayload(real.registryHash, { next: both, current: real.governance }));
  assert.deepEqual(await logSigners(real, vkeys), all);
  const last = { ...both, version: 3, log_keys: vkeys.slice(1) };
  await real.commit(governancePayload(real.registryHash, { next: last, current: both }));
  assert.deepEqual(await logSigners(real, vkeys), all.slice(1));
  await keepCheckpoint(real);
  const after = await openTestRegistry({ store: real.store, signers: [rotated] });
  assert.equal(after.registry.checkpoint()?.note, real.registry.checkpoint()?.note);
});

test('a governance under which nobody here could sign is not committed', async () => {
  const real = await openTestRegistry();
  const { publicKey } = makeLogSigner('elsewhere');
  const next = {
    ...real.governance,
    version: 2,
    log_keys: [encodeVerifierKey({ name: ORIGIN, publicKey })],
  };
  const proposal = governancePayload(real.registryHash, { next, current: real.governance });
  await assert.rejects(real.commit(proposal), code('not_ready'));
  assert.equal(real.registry.head()?.version, 0);
});

test('after a restart the kept checkpoint is served as it was, or the same text is signed again', async () => {
  const real = await openTestRegistry();
  await real.change(put('a', {}));
  const lost = await openTestRegistry({ store: real.store });
  assert.equal(lost.registry.checkpoint()?.note, real.registry.checkpoint()?.note);
  await keepCheckpoint(real);
  await real.change(put('b', {}));
  const behind = await openTestRegistry({ store: real.store });
  assert.equal(behind.registry.checkpoint()?.note, real.registry.checkpoint()?.note);
});

test('a kept checkpoint that nobody signed, of another tree, or of lost entries is refused', async () => {
  const real = await openTestRegistry();
  await real.change(put('a', {}));
  await keepCheckpoint(real);
  const other = await openTestRegistry();
  await other.change(put('b', {}));
  const longer = await openTestRegistry();
  for (const id of ['a', 'b']) await longer.change(put(id, {}));
  const note = real.registry.checkpoint()?.note ?? '';
  const refused: Record<string, string | undefined> = {
    'another text': note.replace('\n2\n', '\n1\n'),
    'no note': note.slice(0, -3),
    'a signature by others': note.replace(/\u2014 \S+ \S+\n$/, '\u2014 other.example AAAAAAAA\n'),
    'another tree': other.registry.checkpoint()?.note,
    'more entries': longer.registry.checkpoint()?.note,
  };
  for (const [name, kept] of Object.entries(refused))
    await assert.rejects(
      openTestRegistry({ store: lying(real.store, { checkpoint: async () => kept }) }),
      code('storage_damaged'),
      name,
    );
});

test('a start with a kept checkpoint writes at once, and reads no more of a longer log', async () => {
  const counts: number[] = [];
  for (const count of [100, 3_000]) {
    const real = await openTestRegistry();
    await appendDirectly(real, count);
    const first = await openTestRegistry({ store: real.store });
    await keepCheckpoint(first);
    let asked = 0;
    const never = new Promise<never>(() => undefined);
    const store = lying(real.store, {
      nodes: (places) => {
        asked += places.length;
        return real.store.nodes(places);
      },
      // The walk comes later, or never: nothing waits for it.
      entries: ({ from, limit }) => (from === 0 ? never : real.store.entries({ from, limit })),
    });
    const after = await openTestRegistry({ store });
    assert.equal(after.registry.checkpoint()?.size, count + 1);
    counts.push(asked);
    assert.equal((await after.change(put('new', {}))).version, count + 1);
  }
  const [short = 0, long = 0] = counts;
  assert.ok(long <= short + 2 * Math.ceil(Math.log2(30)), `${short} nodes, then ${long}`);
});

test('a long log without a kept checkpoint is signed only after the walk over it', async () => {
  const real = await openTestRegistry();
  await appendDirectly(real, 4_200);
  const slow = { isHeld: false };
  const store = lying(real.store, {
    checkpoint: async () => undefined,
    entries: async (range) => {
      while (slow.isHeld) await turn();
      return real.store.entries(range);
    },
  });
  slow.isHeld = true;
  const opening = openTestRegistry({ store, isChecked: false });
  const after = await opening;
  assert.equal(after.registry.head()?.version, 4_200);
  assert.equal(after.registry.checkpoint(), undefined, 'nothing vouches for the tree yet');
  slow.isHeld = false;
  while (after.registry.checkpoint() === undefined) await turn();
  assert.equal(after.registry.checkpoint()?.size, 4_201);
});

test('every proof under every size verifies, and none is given beyond the checkpoint', async () => {
  const real = await openTestRegistry();
  const roots = [real.registry.checkpoint()?.root];
  for (let i = 1; i < 20; i++) {
    await real.change(put(`d${i}`, {}));
    roots.push(real.registry.checkpoint()?.root);
  }
  const { reader } = real.registry;
  const entries = await real.store.entries({ from: 0, limit: 20 });
  for (let size = 1; size <= 20; size++) {
    const root = roots[size - 1];
    assert.ok(root);
    for (let version = 0; version < size; version++) {
      const proof = await reader.inclusionProof({ version, size });
      const leaf = entries[version]?.leaf;
      assert.ok(proof && leaf);
      assert.ok(isIncluded({ record: recordHash(leaf), index: version, size, proof, root }));
      const older = await reader.consistencyProof({ from: version + 1, size });
      const fromRoot = roots[version];
      assert.ok(older && fromRoot);
      assert.ok(isConsistent({ from: version + 1, size, proof: older, fromRoot, root }));
    }
  }
  assert.equal(await reader.inclusionProof({ version: 0, size: 21 }), undefined);
  assert.equal(await reader.inclusionProof({ version: 3, size: 3 }), undefined);
  assert.equal(await reader.consistencyProof({ from: 3, size: 21 }), undefined);
  assert.equal(await reader.consistencyProof({ from: 4, size: 3 }), undefined);
  assert.deepEqual(await reader.consistencyProof({ from: 0, size: 3 }), []);
});

test('a stored node that was changed is in no tile and no proof that is answered', async () => {
  const real = await openTestRegistry();
  for (let i = 1; i < 13; i++) await real.change(put(`d${i}`, {}));
  await keepCheckpoint(real);
  const size = 13;
  const good = await answersOf(real.registry.reader, size);
  let refusals = 0;
  for (const wrong of ['0/0', '0/5', '0/12', '1/1', '1/5', '2/0', '2/2', '3/0']) {
    const damage = (level: number, index: number, hash: Uint8Array | undefined) =>
      `${level}/${index}` === wrong ? hash?.map((byte) => byte ^ 0x80) : hash;
    const store = lying(real.store, {
      nodes: async (places) =>
        (await real.store.nodes(places)).map((hash, i) => {
          const place = places[i];
          return place && damage(place.level, place.index, hash);
        }),
      nodeRun: async (range) =>
        (await real.store.nodeRun(range)).map(
          (hash, i) => damage(range.level, range.index + i, hash) ?? hash,
        ),
    });
    let after: TestRegistry;
    try {
      after = await openTestRegistry({ store });
    } catch (error) {
      assert.ok(code('storage_damaged')(error));
      refusals++;
      continue;
    }
    await damageFound(after.registry);
    const answers = await answersOf(after.registry.reader, size);
    for (const [i, answer] of answers.entries())
      if (answer === 'storage_damaged') refusals++;
      else assert.deepEqual(answer, good[i]);
    assert.ok(answers.includes('storage_damaged'), `${wrong} is used somewhere`);
  }
  assert.ok(refusals > 8);
});

async function answersOf(
  reader: TestRegistry['registry']['reader'],
  size: number,
): Promise<unknown[]> {
  const asked = [
    reader.tile({ level: 0, index: 0, width: size }),
    reader.tile({ level: 'entries', index: 0, width: size }),
  ] as Promise<unknown>[];
  for (let version = 0; version < size; version++)
    asked.push(
      reader.inclusionProof({ version, size }),
      reader.inclusionProof({ version, size: version + 1 }),
      reader.consistencyProof({ from: version, size }),
    );
  return Promise.all(
    asked.map((answer) =>
      answer.catch((error: unknown) => (error instanceof RegistryError ? error.code : error)),
    ),
  );
}

/** A cosigner that the test plays. */
function playedCosigner() {
  const seen: PublishedCheckpoint[] = [];
  let port: CosignerPort | undefined;
  let refusal: RegistryError | undefined;
  const open: OpenCosigner = (given) => {
    port = given;
    return {
      submit: (checkpoint) => seen.push(checkpoint),
      refusal: () => refusal,
      [Symbol.asyncDispose]: async () => undefined,
    };
  };
  return {
    open,
    seen,
    refuse: (error: RegistryError | undefined) => {
      refusal = error;
    },
    sign: (size: number, ...signatures: NoteSignature[]) => port?.onCosigned(size, signatures),
    prove: (sizes: { from: number; size: number }) => port?.prove(sizes),
  };
}

function line(name: string, byte: number): NoteSignature {
  return { name, keyId: '01020304', signature: new Uint8Array(72).fill(byte) };
}

test('a cosigner is handed each checkpoint, and what it brings stands under ours, the newest of each', async () => {
  const cosigner = playedCosigner();
  const real = await openTestRegistry({ cosigners: [cosigner.open] });
  await real.change(put('a', {}));
  assert.deepEqual(
    cosigner.seen.map(({ size }) => size),
    [1, 2],
  );
  cosigner.sign(1, line('late.example', 1));
  assert.equal(real.registry.checkpoint()?.note, cosigner.seen[1]?.note, 'of an old checkpoint');
  const events = real.registry.feed.subscribe({ after: 1, mode: 'all', consumer: 'test' });
  const next = events.next();
  cosigner.sign(2, line('one.example', 1), line('two.example', 1));
  assert.equal((await next).type, 'progress');
  cosigner.sign(2, line('one.example', 2));
  const { signatures } = readSignedCheckpoint(real.registry.checkpoint()?.note ?? '');
  assert.deepEqual(signatures.map(({ name, signature }) => [name, signature[0]]).slice(1), [
    ['one.example', 2],
    ['two.example', 1],
  ]);
  assert.equal(signatures[0]?.name, ORIGIN);
  assert.equal((await cosigner.prove({ from: 1, size: 2 }))?.length, 1);
  await keepCheckpoint(real);
  const after = await openTestRegistry({ store: real.store, cosigners: [cosigner.open] });
  assert.equal(after.registry.checkpoint()?.note, real.registry.checkpoint()?.note);
  assert.equal(cosigner.seen.at(-1)?.size, 2, 'a start asks again');
});

test('a checkpoint that one more log key signs after a restart keeps what cosigners said of it', async () => {
  const second = makeLogSigner('second');
  const cosigner = playedCosigner();
  const real = await openTestRegistry({ cosigners: [cosigner.open] });
  const log_keys = [LOG_SIGNER, second].map(({ publicKey }) =>
    encodeVerifierKey({ name: ORIGIN, publicKey }),
  );
  const next = { ...real.governance, version: 2, log_keys };
  await real.commit(governancePayload(real.registryHash, { next, current: real.governance }));
  cosigner.sign(2, line('one.example', 1));
  await keepCheckpoint(real);
  const after = await openTestRegistry({ store: real.store, signers: [LOG_SIGNER, second] });
  const { signatures } = readSignedCheckpoint(after.registry.checkpoint()?.note ?? '');
  assert.deepEqual(
    signatures.map(({ name }) => name),
    [ORIGIN, ORIGIN, 'one.example'],
  );
});

test('a log key that fails at a start is asked again, and then writes go on', async () => {
  const second = { ...makeLogSigner('second'), isAble: false };
  const real = await openTestRegistry();
  const log_keys = [LOG_SIGNER, second].map(({ publicKey }) =>
    encodeVerifierKey({ name: ORIGIN, publicKey }),
  );
  const next = { ...real.governance, version: 2, log_keys };
  await real.commit(governancePayload(real.registryHash, { next, current: real.governance }));
  await keepCheckpoint(real);
  const late: CheckpointSigner = {
    ...second,
    sign: async (message) => {
      if (!second.isAble) throw new Error('the device is busy');
      return second.sign(message);
    },
  };
  const after = await openTestRegistry({ store: real.store, signers: [LOG_SIGNER, late] });
  assert.equal(after.registry.readiness().writeReady, false);
  second.isAble = true;
  after.timers.advance(1_000);
  while (!after.registry.readiness().writeReady) await turn();
  assert.equal((await logSigners(after, log_keys)).length, 2);
});

test('what a cosigner refuses is not written, and said', async () => {
  const cosigner = playedCosigner();
  const real = await openTestRegistry({ cosigners: [cosigner.open] });
  cosigner.refuse(new RegistryError('not_ready', 'expected 1 entry, a witness saw 9'));
  await assert.rejects(real.change(put('a', {})), code('not_ready'));
  assert.match(real.registry.readiness().missing.join(), /a witness saw 9/);
  assert.equal(real.registry.readiness().ready, true, 'reads go on');
  cosigner.refuse(undefined);
  assert.equal((await real.change(put('a', {}))).version, 1);
});

test('an outcome unknown of keeping a checkpoint is fatal, a full disk is not', async () => {
  for (const [failure, fatal] of [
    ['read_only', 0],
    ['outcome_unknown', 1],
  ] as const) {
    const store = createMemoryStore();
    let asked = 0;
    const real = await openTestRegistry({
      store: lying(store, {
        putCheckpoint: async () => {
          asked++;
          throw new RegistryError(failure, 'expected a durable write, got none');
        },
      }),
    });
    real.timers.advance(1_000);
    while (asked === 0) await turn();
    await turn();
    assert.equal(real.fatal.length, fatal);
  }
});
