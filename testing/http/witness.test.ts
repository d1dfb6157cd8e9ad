/** tlog-witness to the letter: each status, what is kept before it is answered, and that nothing goes back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RegistryError } from '../../src/core/error.ts';
import { encodeAddCheckpoint } from '../../src/core/tlog/add-checkpoint.ts';
import { originHash } from '../../src/core/tlog/log-list.ts';
import { encodeNote, parseNote } from '../../src/core/tlog/note.ts';
import { readSignedCheckpoint, signersOf } from '../../src/core/tlog/note-signatures.ts';
import { createWitnessHandler } from '../../src/http/witness.ts';
import type { CosignerKey } from '../../src/registry/witness-cosign.ts';
import { LogWitness } from '../../src/registry/witness-role.ts';
import { createNoteVerifier } from '../../src/server/note-verifier.ts';
import { openWitnessStore, type WitnessStore } from '../../src/store/witness-store.ts';
import { SILENT_LOG } from '../support/registry.ts';
import { START } from '../support/signers.ts';
import { keyOf, makeCosigner, TestLog, witnessFile } from '../support/witness.ts';

const KEY = makeCosigner('witness.example/w1');
const VERIFIER = createNoteVerifier();
const SIZE = 'text/x.tlog.size';

interface TestWitness {
  readonly store: WitnessStore;
  readonly fatal: RegistryError[];
  /** Milliseconds since 1970; the test moves it. */
  now: number;
  post(body: BodyInit): Promise<Response>;
  get(path: string, method?: string): Promise<Response>;
  idle(): Promise<void>;
}

function openWitness({
  logs = [new TestLog()],
  store = openWitnessStore(witnessFile('w.db')),
  prefix = '',
  key = KEY,
}: {
  logs?: readonly TestLog[];
  store?: WitnessStore;
  prefix?: string;
  key?: CosignerKey;
} = {}): TestWitness {
  const fatal: RegistryError[] = [];
  const witness = new LogWitness({
    key,
    logs: logs.map(({ origin, vkey }) => ({ origin, keys: [keyOf(vkey)] })),
    store,
    verifier: VERIFIER,
    log: SILENT_LOG,
    now: () => opened.now,
    onFatal: (error) => fatal.push(error),
  });
  const handle = createWitnessHandler({ witness, prefix, log: SILENT_LOG });
  const url = `http://witness${prefix}`;
  const opened: TestWitness = {
    store,
    fatal,
    now: START,
    post: (body) => handle(new Request(`${url}/add-checkpoint`, { method: 'POST', body })),
    idle: () => witness.idle(),
    get: (path, method = 'GET') => handle(new Request(`http://witness${path}`, { method })),
  };
  return opened;
}

/** The time for which the answer vouches; throws unless its one line is the witness's over this checkpoint. */
async function timeOf(response: Response, log: TestLog, size = log.size): Promise<number> {
  assert.equal(response.status, 200, await response.clone().text());
  const { text } = await log.checkpoint(size);
  const checkpoint = readSignedCheckpoint(`${text}\n${await response.text()}`);
  assert.equal(checkpoint.signatures.length, 1);
  const time = (await signersOf(checkpoint, [KEY.key], VERIFIER)).get(KEY.key);
  assert.ok(typeof time === 'number');
  return time;
}

function storeThat(acts: Partial<WitnessStore>): WitnessStore {
  return {
    latest: () => undefined,
    replace: () => 'replaced',
    keepFork: () => {},
    forks: () => [],
    [Symbol.dispose]: () => {},
    ...acts,
  };
}

async function answerOf(response: Response) {
  return [response.status, response.headers.get('content-type'), await response.text()];
}

test('a checkpoint of a known log is cosigned at the time of the witness, and again as it grows', async () => {
  const log = new TestLog().grow(3);
  const witness = openWitness();
  assert.equal(await timeOf(await witness.post(await log.request(0)), log), START / 1000);
  for (const old of [3, 8, 9, 16]) {
    log.grow(old === 8 ? 1 : old === 9 ? 7 : 5);
    assert.equal(await timeOf(await witness.post(await log.request(old)), log), START / 1000);
  }
});

test('the same checkpoint again is cosigned at a fresh time', async () => {
  const log = new TestLog().grow(3);
  const witness = openWitness();
  await witness.post(await log.request(0));
  witness.now += 60_000;
  assert.equal(await timeOf(await witness.post(await log.request(3)), log), START / 1000 + 60);
});

test('time never goes back, whatever the clock does and however often the witness starts', async () => {
  const log = new TestLog().grow(3);
  const path = witnessFile('w.db');
  {
    using store = openWitnessStore(path);
    await openWitness({ store }).post(await log.request(0));
  }
  using store = openWitnessStore(path);
  const witness = openWitness({ store });
  witness.now -= 3_600_000;
  assert.equal(await timeOf(await witness.post(await log.request(3)), log), START / 1000);
});

test('an old size that is not the last one is 409 with the last one', async () => {
  const log = new TestLog().grow(8);
  const witness = openWitness();
  assert.deepEqual(await answerOf(await witness.post(await log.request(3))), [409, SIZE, '0\n']);
  await witness.post(await log.request(0, 5));
  for (const old of [0, 3, 6, 8])
    assert.deepEqual(await answerOf(await witness.post(await log.request(old))), [
      409,
      SIZE,
      '5\n',
    ]);
  // Going back is no growth either, however well it is signed.
  assert.deepEqual(await answerOf(await witness.post(await log.request(0, 4))), [409, SIZE, '5\n']);
  assert.equal(witness.store.latest(log.origin)?.size, 5);
});

test('an origin that is not known is 404', async () => {
  const log = new TestLog({ origin: 'elsewhere.example/log' }).grow(1);
  assert.equal((await openWitness().post(await log.request(0))).status, 404);
});

test('a checkpoint without a known key, or with a known key that fails, is 403', async () => {
  const witness = openWitness();
  const stranger = new TestLog({ key: 'stranger' }).grow(1);
  assert.equal((await witness.post(await stranger.request(0))).status, 403);
  const log = new TestLog().grow(2);
  const { text } = await log.checkpoint(1);
  const wrong = await log.sign((await log.checkpoint(2)).text);
  const good = await log.sign(text);
  for (const signatures of [[wrong], [good, wrong]]) {
    const note = encodeNote({ text, signatures });
    const body = encodeAddCheckpoint({ old: 0, proof: [], note });
    assert.equal((await witness.post(body)).status, 403);
  }
  assert.equal(witness.store.latest(log.origin), undefined);
});

test('signatures of others beside the known one do no harm, and are not kept', async () => {
  const log = new TestLog().grow(2);
  const witness = openWitness();
  const { text } = await log.checkpoint();
  const stranger = await new TestLog({ key: 'stranger' }).sign(text);
  const note = encodeNote({ text, signatures: [stranger, await log.sign(text)] });
  const body = encodeAddCheckpoint({ old: 0, proof: [], note });
  await timeOf(await witness.post(body), log);
  const kept = parseNote(witness.store.latest(log.origin)?.note ?? '');
  assert.deepEqual(
    kept.signatures.map(({ name, keyId }) => `${name}+${keyId}`),
    [log.vkey, KEY.vkey].map((vkey) => vkey.split('+').slice(0, 2).join('+')),
  );
});

test('what is malformed, or older than it says, is 400', async () => {
  const log = new TestLog().grow(4);
  const witness = openWitness();
  const body = await log.request(0);
  const later = encodeAddCheckpoint({ old: 5, proof: [], note: await log.note() });
  for (const bad of ['', 'old 0', body.replace('old 0', 'old 00'), body.slice(0, -1), later])
    assert.equal((await witness.post(bad)).status, 400, bad);
  assert.equal((await witness.post(Uint8Array.of(0xff, 0xfe))).status, 400);
  assert.equal(witness.store.latest(log.origin), undefined);
});

test('a proof that does not prove is 422', async () => {
  const log = new TestLog().grow(8);
  const witness = openWitness();
  const note = await log.note();
  const proof = await log.prove({ from: 5, size: 8 });
  const statusOf = async (old: number, given: readonly Uint8Array[]) =>
    (await witness.post(encodeAddCheckpoint({ old, proof: given, note }))).status;
  assert.equal(await statusOf(0, proof), 422);
  await witness.post(await log.request(0, 5));
  assert.equal(await statusOf(5, proof.slice(1)), 422);
  assert.equal(await statusOf(5, []), 422);
  assert.equal(await statusOf(5, [...proof].reverse()), 422);
  assert.equal(await statusOf(5, proof), 200);
  assert.equal(await statusOf(8, proof), 422);
  assert.equal(await statusOf(8, []), 200);
});

test('an empty log has one root, and grows without a proof', async () => {
  const log = new TestLog();
  const witness = openWitness();
  const wrong = `${log.origin}\n0\n${'A'.repeat(43)}=\n`;
  const note = encodeNote({ text: wrong, signatures: [await log.sign(wrong)] });
  assert.equal((await witness.post(encodeAddCheckpoint({ old: 0, proof: [], note }))).status, 422);
  await timeOf(await witness.post(await log.request(0)), log);
  await timeOf(await witness.post(await log.request(0)), log);
  await timeOf(await witness.post(await log.grow(3).request(0)), log);
});

test('the same size with another root is 422, and both notes are kept', async () => {
  const log = new TestLog().grow(4);
  const fork = new TestLog().grow(3).grow(1, 'other');
  const witness = openWitness();
  await witness.post(await log.request(0));
  const body = encodeAddCheckpoint({ old: 4, proof: [], note: await fork.note() });
  assert.equal((await witness.post(body)).status, 422);
  // Whatever size it was sent from: the note alone is the proof.
  assert.equal((await witness.post(await fork.request(2))).status, 409);
  const forks = witness.store.forks();
  assert.equal(forks.length, 1);
  assert.equal(forks[0]?.kept, witness.store.latest(log.origin)?.note);
  assert.equal(forks[0]?.offered, await fork.note());
});

test('a fork that has grown past the last size is 422', async () => {
  const witness = openWitness();
  await witness.post(await new TestLog().grow(4).request(0));
  const fork = new TestLog().grow(3).grow(6, 'other');
  assert.equal((await witness.post(await fork.request(4))).status, 422);
});

test('a body of more than 16 KiB is 413', async () => {
  const log = new TestLog().grow(1);
  const body = `${await log.request(0)}${'\u2014 x AAAAAAAA\n'.repeat(1500)}`;
  assert.equal((await openWitness().post(body)).status, 413);
});

test('two logs do not see each other', async () => {
  const logs = [new TestLog().grow(3), new TestLog({ origin: 'two.example/log' }).grow(5)] as const;
  const witness = openWitness({ logs });
  for (const log of logs) await timeOf(await witness.post(await log.request(0)), log);
  for (const log of logs) await timeOf(await witness.post(await log.request(log.size)), log);
});

test('a monitor reads the newest checkpoint with the signatures of log and witness', async () => {
  const log = new TestLog().grow(3);
  const witness = openWitness({ prefix: '/w' });
  const path = `/w/${originHash(log.origin)}/checkpoint`;
  assert.equal((await witness.get(path)).status, 404);
  await witness.post(await log.request(0));
  const response = await witness.get(path);
  assert.equal(response.headers.get('access-control-allow-origin'), '*');
  const checkpoint = readSignedCheckpoint(await response.text());
  assert.equal(checkpoint.size, 3);
  assert.equal((await signersOf(checkpoint, [KEY.key, keyOf(log.vkey)], VERIFIER)).size, 2);
  assert.equal(await (await witness.get(path, 'HEAD')).text(), '');
});

test('the root names the key and the logs; other paths and methods are refused', async () => {
  const witness = openWitness({ prefix: '/w' });
  const text = await (await witness.get('/w/')).text();
  assert.ok(text.includes(`vkey ${KEY.vkey}\n`) && text.includes(`log ${new TestLog().origin}\n`));
  assert.equal((await witness.get('/w')).status, 200);
  assert.equal((await witness.get('/w/add-checkpoint')).status, 405);
  assert.equal((await witness.get('/w/', 'POST')).status, 405);
  for (const path of [
    '/',
    '/wx',
    '/add-checkpoint',
    '/w/x/checkpoint',
    `/w/${'0'.repeat(64)}/checkpoint`,
  ])
    assert.equal((await witness.get(path)).status, 404, path);
});

test('two conflicting requests at once: one is cosigned, and nothing signed later contradicts it', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 6 }),
      fc.array(fc.tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 1, max: 4 })), {
        minLength: 2,
        maxLength: 6,
      }),
      async (common, growths) => {
        using store = openWitnessStore(witnessFile('w.db'));
        const witness = openWitness({ store });
        if (common > 0) await witness.post(await new TestLog().grow(common).request(0));
        const branches = growths.map(([branch, count]) =>
          new TestLog().grow(common).grow(count, `${branch}-`),
        );
        const bodies = await Promise.all(branches.map((log) => log.request(common)));
        const answers = await Promise.all(bodies.map((body) => witness.post(body)));
        const cosigned = branches.filter((_, i) => answers[i]?.status === 200);
        const sizes = new Map<number, string>();
        for (const log of cosigned) {
          const { text } = await log.checkpoint();
          assert.equal(sizes.get(log.size) ?? text, text, 'one size, two roots');
          sizes.set(log.size, text);
        }
        assert.equal(sizes.size, 1, 'all began from one size, so one alone can have been cosigned');
        assert.ok(answers.every(({ status }) => [200, 409, 422].includes(status)));
        assert.equal(store.latest(branches[0]?.origin ?? '')?.size, [...sizes.keys()][0]);
      },
    ),
    { numRuns: 40 },
  );
});

/** More turns of the thread pool that verifies signatures than any request takes. */
async function enoughForARequest(log: TestLog): Promise<void> {
  const checkpoint = readSignedCheckpoint(await log.note());
  for (let i = 0; i < 50; i++) await signersOf(checkpoint, [keyOf(log.vkey)], VERIFIER);
}

test('requests for one checkpoint are decided one after the other, however slow the key is', async () => {
  const log = new TestLog().grow(3);
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let calls = 0;
  const sign = async (message: Uint8Array) => {
    await gates[calls++]?.promise;
    return KEY.signer.sign(message);
  };
  const key = { ...KEY, signer: { ...KEY.signer, sign } };
  using store = openWitnessStore(witnessFile('w.db'));
  await openWitness({ store }).post(await log.request(0));
  const witness = openWitness({ store, key });
  const body = await log.request(3);
  const first = witness.post(body);
  while (calls === 0) await new Promise((resolve) => setImmediate(resolve));
  witness.now += 60_000;
  const second = witness.post(body);
  // Would the second one not wait, it would be kept first, and the first one be a step back.
  gates[1]?.resolve();
  await enoughForARequest(log);
  gates[0]?.resolve();
  assert.equal(await timeOf(await first, log), START / 1000);
  assert.equal(await timeOf(await second, log), START / 1000 + 60);
  assert.deepEqual(witness.fatal, []);
});

test('the store is not closed under a request whose key is slow', async () => {
  const log = new TestLog().grow(3);
  const gate = Promise.withResolvers<void>();
  let calls = 0;
  const sign = async (message: Uint8Array) => {
    calls++;
    await gate.promise;
    return KEY.signer.sign(message);
  };
  const witness = openWitness({ key: { ...KEY, signer: { ...KEY.signer, sign } } });
  const answer = witness.post(await log.request(0));
  while (calls === 0) await new Promise((resolve) => setImmediate(resolve));
  const closed = witness.idle().then(() => witness.store[Symbol.dispose]());
  gate.resolve();
  await closed;
  assert.equal(await timeOf(await answer, log), START / 1000);
  assert.deepEqual(witness.fatal, []);
});

test('who is overtaken in the store hands out no signature, but the size that won', async () => {
  const log = new TestLog().grow(3);
  const real = openWitness();
  await real.post(await log.request(0));
  let isOvertaken = false;
  const store = storeThat({
    latest: (origin) => (isOvertaken ? real.store.latest(origin) : undefined),
    replace: () => {
      isOvertaken = true;
      return 'conflict';
    },
  });
  const answer = await openWitness({ store }).post(await log.request(0));
  assert.deepEqual(await answerOf(answer), [409, SIZE, '3\n']);
});

test('a witness that cannot keep what it signs says so, and does not hand out the signature', async () => {
  const log = new TestLog().grow(3);
  for (const [code, status, isFatal] of [
    ['read_only', 503, false],
    ['storage_failed', 500, true],
  ] as const) {
    const replace = () => {
      throw new RegistryError(code, 'expected a disk, got none');
    };
    const witness = openWitness({ store: storeThat({ replace }) });
    const response = await witness.post(await log.request(0));
    assert.equal(response.status, status);
    assert.ok(!(await response.text()).includes('\u2014'));
    assert.equal(witness.fatal.length, isFatal ? 1 : 0);
  }
});

test('a kept checkpoint that was changed on the disk is not gone on from', async () => {
  const log = new TestLog().grow(3);
  const real = openWitness();
  await real.post(await log.request(0));
  const kept = real.store.latest(log.origin);
  assert.ok(kept !== undefined);
  const other = await new TestLog().grow(2).grow(1, 'x').note();
  const { text } = await log.checkpoint();
  const strangers = [await new TestLog({ key: 'stranger' }).sign(text)];
  for (const changed of [
    { ...kept, note: kept.note.replace('\n3\n', '\n2\n') },
    { ...kept, note: other },
    { ...kept, note: encodeNote({ text, signatures: strangers }) },
    { ...kept, size: 2 },
    { ...kept, root: new Uint8Array(32) },
    { ...kept, note: 'no note' },
  ]) {
    // It would be cosigned, but for the check.
    const witness = openWitness({ store: storeThat({ latest: () => changed }) });
    assert.equal((await witness.post(await log.request(3))).status, 500);
  }
});
