/** What others know of a log when a snapshot of it is restored: witnesses, and entries that erase. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import Database from 'better-sqlite3';
import { createClient } from '../../../src/client/create.ts';
import { SIZE_MEDIA_TYPE } from '../../../src/core/tlog/add-checkpoint.ts';
import { encodeNote } from '../../../src/core/tlog/note.ts';
import { readSignedCheckpoint } from '../../../src/core/tlog/note-signatures.ts';
import { createNativeVerifier } from '../../../src/server/native-verifier.ts';
import { verifyCopy } from '../../../src/server/snapshot/verify-copy.ts';
import { type RunningWitness, startWitness } from '../../../src/server/witness-server.ts';
import { openSqliteReader, openSqliteStore } from '../../../src/store/sqlite.ts';
import { checkLog } from '../../support/check-log.ts';
import { runCli } from '../../support/cli-io.ts';
import { DrivenClock } from '../../support/client-clock.ts';
import { forgetting } from '../../support/client-gone.ts';
import { openStage, type Stage, URL_BASE } from '../../support/client-server.ts';
import { openPlainServer } from '../../support/plain-server.ts';
import { keepCheckpoint, put, SILENT_LOG } from '../../support/registry.ts';
import { descriptorsPayload, erasePayload } from '../../support/signers.ts';
import { packTest, type TestSnapshot, withHeader } from '../../support/snapshot.ts';
import { toVersion2 } from '../../support/store-older.ts';
import { makeDirectory } from '../../support/store-sqlite.ts';
import { witnessFile } from '../../support/witness.ts';

const IDLE = { metrics: { fsync() {}, checkpointed() {} }, onFatal: assert.fail };

async function openStored(t: TestContext): Promise<Stage> {
  const path = join(makeDirectory(), 'registry.db');
  const stage = await openStage({ store: await openSqliteStore({ ...IDLE, path }) });
  t.after(() => stage.registry[Symbol.asyncDispose]());
  return stage;
}

async function copyNow(stage: Stage): Promise<string> {
  await keepCheckpoint(stage);
  const path = join(makeDirectory(), 'registry.db');
  await stage.store.snapshot({ path });
  return path;
}

async function restore(stage: Stage, snapshot: string, options: readonly string[]) {
  const data = join(makeDirectory(), 'data');
  const pin = ['--registry', stage.registryHash, '--state', join(makeDirectory(), 'state')];
  const argv = ['snapshot', 'restore', snapshot, '--data', data, ...pin, ...options];
  const world = { now: () => stage.timers.now(), fetch: stage.fetch };
  return { ...(await runCli(argv, world)), data };
}

async function openWitness(t: TestContext, stage: Stage): Promise<RunningWitness> {
  const file = witnessFile('key.pem');
  const { privateKey } = generateKeyPairSync('ed25519');
  writeFileSync(file, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  const witness = await startWitness({
    key: { file },
    name: 'witness.example/w1',
    dbPath: witnessFile('w.db'),
    listen: { host: '127.0.0.1', port: 0 },
    logs: [...stage.governance.log_keys],
    logLists: [],
    prefix: '',
    log: SILENT_LOG,
    now: () => stage.timers.now(),
  });
  t.after(() => witness.stop());
  return witness;
}

/** Of one witness that is there, or is said to be. */
function policyOf({ vkey, url }: Pick<RunningWitness, 'vkey' | 'url'>): readonly string[] {
  const path = join(makeDirectory(), 'policy.txt');
  writeFileSync(path, `witness w1 ${vkey} ${url}\nquorum w1\n`);
  return ['--witness-policy', path];
}

test('a witness that has seen no more cosigns, one that has seen more refuses the restore, one that is silent too', async (t) => {
  const stage = await openStored(t);
  await stage.grow(3);
  const older = await packTest(await copyNow(stage));
  await stage.grow(5);
  const newer = await packTest(await copyNow(stage));
  const witness = await openWitness(t, stage);
  const policy = policyOf(witness);

  const fresh = await restore(stage, older.path, policy);
  assert.equal(fresh.code, 0, fresh.stderr);
  assert.match(fresh.stdout, /^compared with +the witness w1$/m);
  // It has seen the older one now: the newer one is proven to go on from there.
  const later = await restore(stage, newer.path, policy);
  assert.equal(later.code, 0, later.stderr);
  const back = await restore(stage, older.path, policy);
  assert.deepEqual([back.code, existsSync(back.data)], [3, false]);
  assert.match(
    back.stderr,
    /as far as the witness w1, 9 entries, got one of 4, .* 5 entries behind/,
  );
  const caught = await restore(stage, older.path, [...policy, '--catch-up', URL_BASE]);
  assert.equal(caught.code, 3, 'what is served has no cosignature yet');
  assert.match(caught.stderr, /cosign/);

  await witness.stop();
  const silent = await restore(stage, newer.path, policy);
  assert.deepEqual([silent.code, existsSync(silent.data)], [4, false]);
  assert.match(silent.stderr, /got no such answer from w1/);
});

test('a witness that signs with another key has not answered', async (t) => {
  const stage = await openStored(t);
  const { path } = await packTest(await copyNow(stage));
  const [witness, other] = [await openWitness(t, stage), await openWitness(t, stage)];
  const { code, stderr } = await restore(
    stage,
    path,
    policyOf({ vkey: other.vkey, url: witness.url }),
  );
  assert.equal(code, 4);
  assert.match(stderr, /got no such answer from w1/);
});

/** Says sizes and signs nothing, as anybody on the way to a witness may. */
async function openTeller(t: TestContext, sizeOf: (asked: number) => number) {
  let asked = 0;
  const url = await openPlainServer(t, (_, response) => {
    response.writeHead(409, { 'content-type': SIZE_MEDIA_TYPE });
    response.end(`${sizeOf(asked++)}\n`);
  });
  return { url, asked: () => asked };
}

test('a size that nobody signed is no word of a witness that it has seen no more', async (t) => {
  const stage = await openStored(t);
  await stage.grow(60);
  const behind = await copyNow(stage);
  await stage.grow(3);
  // Three entries after the checkpoint.
  const path = join(makeDirectory(), 'registry.db');
  await stage.store.snapshot({ path });
  const { vkey } = await openWitness(t, stage);
  const entries = 61;
  for (const [database, sizeOf] of [
    [behind, () => entries],
    [path, () => entries + 1],
    [path, () => entries + 3],
    [behind, (asked: number) => Math.max(entries - asked - 1, 0)],
  ] as const) {
    const { path: snapshot } = await packTest(database);
    const { url, asked } = await openTeller(t, sizeOf);
    const { code, stderr, data } = await restore(stage, snapshot, policyOf({ vkey, url }));
    assert.deepEqual([code, existsSync(data)], [4, false], stderr);
    assert.match(stderr, /got no such answer from w1/);
    assert.ok(asked() <= 3, `it was asked ${asked()} times`);
  }
});

test('a witness that is silent is missed where it alone is a quorum', async (t) => {
  const stage = await openStored(t);
  await stage.grow(3);
  const { path } = await packTest(await copyNow(stage));
  const [heard, silent] = [await openWitness(t, stage), await openWitness(t, stage)];
  await silent.stop();
  const lines = [
    `witness w1 ${heard.vkey} ${heard.url}`,
    `witness w2 ${silent.vkey} ${silent.url}`,
    'group any 1 w1 w2',
    'quorum any',
  ];
  const policy = join(makeDirectory(), 'policy.txt');
  writeFileSync(policy, `${lines.join('\n')}\n`);
  const { code, stderr, data } = await restore(stage, path, ['--witness-policy', policy]);
  assert.deepEqual([code, existsSync(data)], [4, false], stderr);
  assert.match(stderr, /got no such answer from w2/);
});

test('a policy without a witness is nobody who knows how far the log went', async (t) => {
  const stage = await openStored(t);
  const { path } = await packTest(await copyNow(stage));
  const policy = join(makeDirectory(), 'policy.txt');
  writeFileSync(policy, 'quorum none\n');
  const nobody = await restore(stage, path, ['--witness-policy', policy]);
  assert.deepEqual([nobody.code, existsSync(nobody.data)], [2, false]);
  assert.match(nobody.stderr, /expected somebody who knows how far the log went/);
  const told = await restore(stage, path, ['--witness-policy', policy, '--from', URL_BASE]);
  assert.equal(told.code, 0, told.stderr);
});

test('a checkpoint that no log key has signed is nobody who knows how far the log went', async (t) => {
  const stage = await openStored(t);
  const genesis = readSignedCheckpoint(stage.registry.checkpoint()?.note ?? '');
  await stage.grow(3);
  const { path } = await packTest(await copyNow(stage));
  const [line] = genesis.signatures;
  assert.ok(line);
  const { text } = genesis;
  const stranger = { ...line, name: 'stranger.example' };
  const other = { ...line, signature: line.signature.with(9, 1 ^ (line.signature[9] ?? 0)) };
  t.after(() => stage.lie(undefined));
  for (const [signature, message] of [
    [stranger, /the checkpoint of 1 entries from .* signed by a log key .* got no such signature/],
    [other, /expected a signature by .* got one that does not verify/],
  ] as const) {
    const note = encodeNote({ text, signatures: [signature] });
    const file = join(makeDirectory(), 'note');
    writeFileSync(file, note);
    stage.lie((path) => (path === '/checkpoint' ? new Response(note) : Response.error()));
    for (const options of [
      ['--checkpoint', file],
      ['--high-water', file],
      ['--from', URL_BASE],
    ]) {
      const { code, stderr, data } = await restore(stage, path, options);
      assert.deepEqual([code, existsSync(data)], [3, false], stderr);
      assert.match(stderr, message);
    }
  }
  const signed = join(makeDirectory(), 'note');
  writeFileSync(signed, genesis.note);
  assert.equal((await restore(stage, path, ['--checkpoint', signed])).code, 0);
});

test('an erasure among the entries that are missing erases in the restored database', async (t) => {
  const stage = await openStored(t);
  await stage.change(put('a', { secret: 'of somebody' }));
  await stage.change(put('a', { v: 2 }, { secret: 'of somebody' }));
  const snapshot = await packTest(await copyNow(stage));
  const target = await stage.store.entry(1);
  assert.ok(target);
  const erases = target.entryHash;
  await stage.change(put('b', {}));
  await stage.commit(erasePayload(stage.registryHash, { version: 1, erases }));
  await stage.change(put('c', {}));
  const { code, stderr, data } = await restore(stage, snapshot.path, ['--catch-up', URL_BASE]);
  assert.equal(code, 0, stderr);
  const path = join(data, 'registry.db');
  const verifier = createNativeVerifier();
  assert.equal((await verifyCopy(path, { verifier, onProgress() {} })).version, 5);
  await using store = openSqliteReader({ path });
  assert.equal((await store.entry(1))?.payload.length, 0);
  assert.equal((await store.retention()).erasures[0]?.erasedBy, 4);
});

test('a snapshot from before what was erased since cannot go past it, and says so', async (t) => {
  const stage = await openStored(t);
  const snapshot = await packTest(await copyNow(stage));
  await stage.change(put('a', { v: 1 }));
  await stage.change(put('a', { v: 2 }, { v: 1 }));
  const target = await stage.store.entry(1);
  assert.ok(target);
  const erases = target.entryHash;
  await stage.commit(erasePayload(stage.registryHash, { version: 1, erases }));
  const { code, stderr, data } = await restore(stage, snapshot.path, ['--catch-up', URL_BASE]);
  assert.deepEqual([code === 0, existsSync(data)], [false, false]);
  assert.match(stderr, /version 1 without/);
});

test('what a service has pruned is missed only where the snapshot lacks it too', async (t) => {
  const stage = await openStored(t);
  await stage.grow(6);
  const snapshot = await packTest(await copyNow(stage));
  await stage.grow(5);
  const size = (stage.registry.head()?.version ?? 0) + 1;
  t.after(() => stage.lie(undefined));
  for (const oldest of [1, snapshot.header.version, snapshot.header.version + 1]) {
    stage.lie(forgetting({ oldest }));
    const { code, stderr, data } = await restore(stage, snapshot.path, ['--catch-up', URL_BASE]);
    assert.equal(code, 0, stderr);
    await using store = openSqliteReader({ path: join(data, 'registry.db') });
    assert.equal((await checkLog(store))?.version, size - 1);
  }
  stage.lie(forgetting({ oldest: snapshot.header.version + 3, archive: 'the attic' }));
  const { code, stderr, data } = await restore(stage, snapshot.path, ['--catch-up', URL_BASE]);
  assert.deepEqual([code, existsSync(data)], [1, false]);
  assert.match(
    stderr,
    /the entries from version 7 on .* before 9 were pruned there: restore a newer snapshot, or .*attic/,
  );
});

test('what this user has verified before is not enough: the log may have gone on since', async (t) => {
  const stage = await openStored(t);
  await stage.grow(3);
  const state = join(makeDirectory(), 'state');
  const head = await runCli(
    ['--url', URL_BASE, 'head', '--registry', stage.registryHash, '--state', state],
    {
      now: () => stage.timers.now(),
      connect: (given) =>
        createClient({ ...given, fetch: stage.fetch }, new DrivenClock(stage.timers.now())),
    },
  );
  assert.equal(head.code, 0, head.stderr);
  await stage.grow(1);
  const { path } = await packTest(await copyNow(stage));
  await stage.grow(1);
  const policy = join(makeDirectory(), 'policy.txt');
  writeFileSync(policy, 'quorum none\n');
  for (const others of [[], ['--witness-policy', policy]]) {
    const { code, stderr, data } = await restore(stage, path, ['--state', state, ...others]);
    assert.deepEqual([code, existsSync(data)], [2, false], stderr);
    assert.match(stderr, /somebody who knows how far the log went: .* got nobody but this user/);
  }
  const accepted = await restore(stage, path, ['--state', state, '--accept-rollback']);
  assert.equal(accepted.code, 0, accepted.stderr);
  assert.match(accepted.stdout, /^compared with +the trusted state of this user$/m);
  const told = await restore(stage, path, ['--state', state, '--from', URL_BASE]);
  assert.deepEqual([told.code, existsSync(told.data)], [3, false]);
  assert.match(told.stderr, /it is 1 entry behind/);
});

test('a proposal in flight is restored with its approvals, approved by another signer and committed', async (t) => {
  const stage = await openStored(t);
  const proposal = descriptorsPayload(stage.registryHash, [put('waiting', { n: 1 })]);
  const id = proposal.payloadB3;
  const [first, second] = stage.signers;
  assert.ok(first && second);
  await stage.registry.proposals.propose(proposal.bytes);
  await stage.registry.proposals.approve(id, first.approve(proposal));
  const { path } = await packTest(await copyNow(stage));
  const { code, stderr, data } = await restore(stage, path, ['--from', URL_BASE]);
  assert.equal(code, 0, stderr);
  const store = await openSqliteStore({ ...IDLE, path: join(data, 'registry.db') });
  const again = await openStage({ store, isBegun: false });
  t.after(() => again.registry[Symbol.asyncDispose]());
  await assert.rejects(again.registry.proposals.commit(id), { code: 'quorum_not_reached' });
  await again.registry.proposals.approve(id, second.approve(proposal));
  assert.equal((await again.registry.proposals.commit(id)).head.version, 1);
  assert.equal((await checkLog(store))?.version, 1);
});

/** As a program of schema version 2 packed it. */
async function packOlder(stage: Stage): Promise<TestSnapshot> {
  const path = await copyNow(stage);
  const facts = await packTest(path);
  const db = new Database(path);
  toVersion2(db);
  db.close();
  const packed = await packTest(path, undefined, facts.header);
  return { ...packed, path: withHeader(packed.path, { schema_version: 2 }) };
}

test('what a program of an older schema wrote is brought up to date', async (t) => {
  const stage = await openStored(t);
  await stage.grow(4);
  const { path, header } = await packOlder(stage);
  const { code, stderr, data } = await restore(stage, path, ['--from', URL_BASE]);
  assert.equal(code, 0, stderr);
  const db = new Database(join(data, 'registry.db'), { readonly: true });
  assert.equal(db.pragma('user_version', { simple: true }), header.schemaVersion);
  db.close();
});
