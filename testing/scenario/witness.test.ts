/** A registry and its witnesses over real HTTP on loopback, with the clock driven by the test. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { copyFileSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { encodeSignature, parseNote } from '../../src/core/tlog/note.ts';
import { readSignedCheckpoint, signersOf } from '../../src/core/tlog/note-signatures.ts';
import { parsePolicy, quorumTime, type WitnessPolicy } from '../../src/core/tlog/policy.ts';
import type { WitnessWorld } from '../../src/registry/witness.ts';
import { openWitnesses } from '../../src/registry/witnesses.ts';
import { createNoteVerifier } from '../../src/server/note-verifier.ts';
import { postToWitness } from '../../src/server/witness-post.ts';
import { type RunningWitness, startWitness } from '../../src/server/witness-server.ts';
import { createMemoryStore } from '../../src/store/memory.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import type { Store } from '../../src/store/store.ts';
import { refusesLater } from '../support/core-assert.ts';
import { openTestRegistry, put, SILENT_LOG, type TestRegistry } from '../support/registry.ts';
import { makeGovernance, makeSigners, START } from '../support/signers.ts';
import { TestTimers } from '../support/timers.ts';
import { witnessFile } from '../support/witness.ts';

const VERIFIER = createNoteVerifier();
const [LOG_VKEY = ''] = makeGovernance(makeSigners(1), { threshold: 1 }).log_keys;

/** Witnesses that can go away and come back at the same address, with their memory or without. */
class Stage {
  readonly timers = new TestTimers(START);
  readonly results: string[] = [];
  readonly alarms: string[] = [];
  readonly evidence: string[] = [];
  readonly #witnesses: { key: string; name: string; db: string; running: RunningWitness }[] = [];

  async add(t: TestContext, count: number): Promise<void> {
    for (let i = 1; i <= count; i++) {
      const key = witnessFile('key.pem');
      const { privateKey } = generateKeyPairSync('ed25519');
      writeFileSync(key, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
      const named = { key, name: `witness.example/w${i}`, db: witnessFile('w.db') };
      this.#witnesses.push({ ...named, running: await this.#start(named, 0) });
    }
    t.after(() => Promise.all(this.#witnesses.map(({ running }) => running.stop())));
  }

  #start({ key, name, db }: { key: string; name: string; db: string }, port: number) {
    return startWitness({
      key: { file: key },
      name,
      dbPath: db,
      listen: { host: '127.0.0.1', port },
      logs: [LOG_VKEY],
      logLists: [],
      prefix: '',
      log: SILENT_LOG,
      now: () => this.timers.now(),
    });
  }

  async stop(index: number): Promise<void> {
    await this.#at(index).running.stop();
  }

  /** With `db`: with another memory. */
  async restart(index: number, { db }: { db?: string } = {}): Promise<void> {
    const witness = this.#at(index);
    const { port } = new URL(witness.running.url);
    witness.db = db ?? witness.db;
    witness.running = await this.#start(witness, Number(port));
  }

  get policy(): WitnessPolicy {
    const lines = this.#witnesses.map(
      ({ running }, i) => `witness w${i + 1} ${running.vkey} ${running.url}`,
    );
    const names = lines.map((_, i) => `w${i + 1}`).join(' ');
    const needed = Math.ceil((lines.length + 1) / 2);
    return parsePolicy(`${lines.join('\n')}\ngroup g ${needed} ${names}\nquorum g\n`);
  }

  world(): WitnessWorld {
    return {
      post: postToWitness,
      verifier: VERIFIER,
      metrics: {
        witnessRequested: ({ witness, result }) => this.results.push(`${witness} ${result}`),
        witnessSize: () => {},
        cosigned: () => {},
        witnessAlarm: (reason) => this.alarms.push(reason),
      },
      log: {
        ...SILENT_LOG,
        error: (_, fields = {}) => this.evidence.push(`${fields.checkpoint} ${fields.answer}`),
      },
      now: () => this.timers.now(),
      random: () => 1,
      timers: this.timers,
      recosignMs: 300_000,
      timeoutMs: 30_000,
    };
  }

  open(store: Store = createMemoryStore(), policy = this.policy): Promise<TestRegistry> {
    return openTestRegistry({
      store,
      timers: this.timers,
      now: () => this.timers.now(),
      cosigners: [openWitnesses(policy, this.world())],
    });
  }

  #at(index: number) {
    const witness = this.#witnesses[index - 1];
    assert.ok(witness !== undefined);
    return witness;
  }
}

/** Resolves once it holds; the test's own timeout ends what never does. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}

const writable = ({ registry }: TestRegistry) => until(() => registry.readiness().writeReady);

function linesOf({ registry }: TestRegistry) {
  return parseNote(registry.checkpoint()?.note ?? assert.fail('no checkpoint')).signatures;
}

/** The published checkpoint carries cosignatures of `names` and no other. */
function signedBy(opened: TestRegistry, ...names: readonly number[]): boolean {
  const found = linesOf(opened)
    .slice(1)
    .map(({ name }) => name)
    .sort();
  return found.join() === names.map((i) => `witness.example/w${i}`).join();
}

/** As a reader would judge it: every signature verifies, and the policy's time is the answer. */
async function judged({ registry }: TestRegistry, policy: WitnessPolicy) {
  const checkpoint = readSignedCheckpoint(registry.checkpoint()?.note ?? '');
  const keys = policy.witnesses.map(({ key }) => key);
  const signers = await signersOf(checkpoint, keys, VERIFIER);
  const times = new Map(
    policy.witnesses.flatMap(({ name, key }) => {
      const time = signers.get(key);
      return typeof time === 'number' ? [[name, time] as const] : [];
    }),
  );
  return quorumTime(policy, times);
}

const limit = { timeout: 40_000 };

test(
  'each commit is cosigned by all three witnesses, and a policy of two of them holds',
  limit,
  async (t) => {
    const stage = new Stage();
    await stage.add(t, 3);
    const opened = await stage.open();
    for (const id of ['a', 'b', 'c']) {
      await writable(opened);
      await opened.change(put(id, { port: 1 }));
      await until(() => signedBy(opened, 1, 2, 3));
      assert.equal(await judged(opened, stage.policy), START / 1000);
    }
    assert.equal(opened.registry.checkpoint()?.size, 4);
    assert.deepEqual(stage.alarms, []);
    await opened.registry[Symbol.asyncDispose]();
  },
);

test(
  'a witness that is away delays nothing, and when it is back it is brought up to date',
  limit,
  async (t) => {
    const stage = new Stage();
    await stage.add(t, 3);
    const opened = await stage.open();
    await writable(opened);
    await until(() => signedBy(opened, 1, 2, 3));
    await stage.stop(3);
    for (const id of ['a', 'b']) {
      await opened.change(put(id, { port: 1 }));
      await until(() => signedBy(opened, 1, 2));
      assert.equal(await judged(opened, stage.policy), START / 1000);
    }
    await until(() => stage.results.includes('w3 unavailable'));
    await stage.restart(3);
    stage.timers.advance(1_000);
    await until(() => signedBy(opened, 1, 2, 3));
    await opened.registry[Symbol.asyncDispose]();
  },
);

test(
  'a witness that has lost its memory begins again, and no write is stopped',
  limit,
  async (t) => {
    const stage = new Stage();
    await stage.add(t, 1);
    const opened = await stage.open();
    await writable(opened);
    await stage.stop(1);
    await stage.restart(1, { db: witnessFile('w.db') });
    await opened.change(put('a', { port: 1 }));
    await until(() => signedBy(opened, 1));
    assert.deepEqual(stage.alarms, []);
    assert.ok(stage.results.includes('w1 elsewhere'));
    await opened.registry[Symbol.asyncDispose]();
  },
);

test(
  'cosignatures are renewed as they get old, and the note keeps the newest of each',
  limit,
  async (t) => {
    const stage = new Stage();
    await stage.add(t, 2);
    const opened = await stage.open();
    await writable(opened);
    await until(() => signedBy(opened, 1, 2));
    const seen: string[] = [];
    for (let i = 1; i <= 3; i++) {
      const before = linesOf(opened).map(encodeSignature);
      await until(() => stage.timers.pending >= 2);
      stage.timers.advance(300_000);
      await until(() =>
        linesOf(opened)
          .slice(1)
          .every((line) => !before.includes(encodeSignature(line))),
      );
      assert.ok(signedBy(opened, 1, 2));
      assert.equal(await judged(opened, stage.policy), START / 1000 + 300 * i);
      seen.push(opened.registry.checkpoint()?.etag ?? '');
    }
    assert.equal(new Set(seen).size, 3);
    await opened.registry[Symbol.asyncDispose]();
  },
);

function sqlite(path: string): Promise<Store> {
  const metrics = { fsync: () => {}, checkpointed: () => {} };
  return openSqliteStore({ path, metrics, onFatal: (error) => assert.fail(error) });
}

test(
  'after an older database was restored reads go on and nothing is written',
  limit,
  async (t) => {
    const stage = new Stage();
    await stage.add(t, 3);
    const path = witnessFile('registry.db');
    const backup = witnessFile('backup.db');
    {
      const opened = await stage.open(await sqlite(path));
      await writable(opened);
      await opened.change(put('a', { port: 1 }));
      await until(() => signedBy(opened, 1, 2, 3));
      await opened.registry[Symbol.asyncDispose]();
      copyFileSync(path, backup);
    }
    {
      const opened = await stage.open(await sqlite(path));
      await writable(opened);
      await opened.change(put('b', { port: 1 }));
      await until(() => signedBy(opened, 1, 2, 3));
      await opened.registry[Symbol.asyncDispose]();
    }
    const opened = await stage.open(await sqlite(backup));
    await until(() => stage.alarms.length === 3);
    assert.deepEqual(stage.alarms, ['ahead', 'ahead', 'ahead']);
    await refusesLater(
      'not_ready',
      opened.change(put('c', { port: 1 })),
      /has seen 3 entries of it, while here are 2/,
    );
    const { ready, writeReady, missing } = opened.registry.readiness();
    assert.deepEqual([ready, writeReady], [true, false]);
    assert.match(missing.join(), /restore a newer backup/);
    assert.match(missing.join(), /quorate snapshot restore .*--catch-up URL/);
    assert.equal(opened.registry.head()?.version, 1);
    assert.ok((await opened.registry.reader.entry(1)) !== undefined);
    await opened.registry[Symbol.asyncDispose]();
  },
);

test(
  'two servers of one log key: the second history is caught, with both notes as evidence',
  limit,
  async (t) => {
    const stage = new Stage();
    await stage.add(t, 3);
    const path = witnessFile('twin.db');
    {
      const twin = await openTestRegistry({ store: await sqlite(path) });
      await twin.change(put('x', { port: 2 }));
      await twin.registry[Symbol.asyncDispose]();
    }
    const opened = await stage.open();
    await writable(opened);
    await opened.change(put('a', { port: 1 }));
    await until(() => signedBy(opened, 1, 2, 3));
    const twin = await stage.open(await sqlite(path));
    await until(() => stage.alarms.length === 3);
    assert.deepEqual(stage.alarms, ['fork', 'fork', 'fork']);
    const note = twin.registry.checkpoint()?.note ?? '';
    assert.ok(stage.evidence.every((text) => text.startsWith(note.split('\n\n')[0] ?? '-')));
    await refusesLater('not_ready', twin.change(put('y', { port: 1 })), /another history/);
    // Whoever was first goes on.
    await opened.change(put('b', { port: 1 }));
    await until(() => signedBy(opened, 1, 2, 3));
    await twin.registry[Symbol.asyncDispose]();
    await opened.registry[Symbol.asyncDispose]();
  },
);

/** A server on loopback that answers as it likes. */
async function liar(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const LIES: Readonly<Record<string, RequestListener>> = {
  'too much': (_, response) => {
    response.writeHead(200).end('x'.repeat(64 * 1024 + 1));
  },
  'a redirect': (request, response) => {
    const isSent = request.url === '/elsewhere';
    response.writeHead(isSent ? 200 : 307, { location: '/elsewhere' }).end();
  },
  'half an answer': (_, response) => {
    response.writeHead(200, { 'content-length': '1000' });
    response.write('\u2014 ', () => response.destroy());
  },
  'an answer that never ends': (_, response) => {
    response.writeHead(200);
    response.write('\u2014 ');
  },
  'no answer at all': () => {},
  'bytes that are no text': (_, response) => {
    response.writeHead(200).end(Uint8Array.of(0xff, 0xfe));
  },
};

for (const [lie, listener] of Object.entries(LIES))
  test(
    `a witness that answers with ${lie} is a failure, and another is heard all the same`,
    limit,
    async (t) => {
      const stage = new Stage();
      await stage.add(t, 2);
      const url = await liar(t, listener);
      const witnesses = stage.policy.witnesses.map((w) => (w.name === 'w2' ? { ...w, url } : w));
      // The liar's time is short, that of the other is not.
      const world: WitnessWorld = {
        ...stage.world(),
        post: (to, body, { signal, timeoutMs }) =>
          postToWitness(to, body, { signal, timeoutMs: to.startsWith(url) ? 200 : timeoutMs }),
      };
      const opened = await openTestRegistry({
        timers: stage.timers,
        cosigners: [openWitnesses({ ...stage.policy, quorum: 'w1', witnesses }, world)],
      });
      await until(() => signedBy(opened, 1));
      await until(() => stage.results.includes('w2 unavailable'));
      assert.ok(signedBy(opened, 1));
      assert.deepEqual(stage.alarms, []);
      await opened.registry[Symbol.asyncDispose]();
    },
  );
