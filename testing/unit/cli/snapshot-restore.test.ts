/** `quorate snapshot restore`: to an empty place only, of the registry that was meant, and never silently back in time. */
import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createClient } from '../../../src/client/create.ts';
import { createNativeVerifier } from '../../../src/server/native-verifier.ts';
import { verifyCopy } from '../../../src/server/snapshot/verify-copy.ts';
import { openSqliteReader, openSqliteStore } from '../../../src/store/sqlite.ts';
import { checkLog } from '../../support/check-log.ts';
import { type CliWorld, runCli } from '../../support/cli-io.ts';
import { DrivenClock } from '../../support/client-clock.ts';
import { openStage, type Stage, URL_BASE } from '../../support/client-server.ts';
import { keepCheckpoint, put } from '../../support/registry.ts';
import { packTest, type TestSnapshot, withHeader, written } from '../../support/snapshot.ts';
import { makeDirectory } from '../../support/store-sqlite.ts';

const IDLE = { metrics: { fsync() {}, checkpointed() {} }, onFatal: assert.fail };
/** Of the service, when the snapshot was taken and now. */
const [OLD, NEW] = [40, 280];

let stage: Stage;
let snapshot: TestSnapshot;
let oldNote: string;

/** A copy of the database as it stands. */
async function packNow(): Promise<TestSnapshot> {
  await keepCheckpoint(stage);
  const path = join(makeDirectory(), 'registry.db');
  await stage.store.snapshot({ path });
  return packTest(path);
}

before(async () => {
  const path = join(makeDirectory(), 'registry.db');
  stage = await openStage({ store: await openSqliteStore({ ...IDLE, path }) });
  await stage.grow(OLD - 1);
  snapshot = await packNow();
  oldNote = note();
  await stage.grow(NEW - OLD);
});

after(() => stage.registry[Symbol.asyncDispose]());

function note(): string {
  const checkpoint = stage.registry.checkpoint();
  assert.ok(checkpoint);
  return checkpoint.note;
}

function noteFile(text: string): string {
  return written(Buffer.from(text));
}

interface Restored {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly data: string;
  readonly names: readonly string[];
}

/** Into a directory that is not there; pinned unless told otherwise. */
async function restore(
  path: string,
  options: readonly string[],
  {
    data = join(makeDirectory(), 'data'),
    isPinned = true,
    ...world
  }: CliWorld & {
    readonly data?: string;
    readonly isPinned?: boolean;
  } = {},
): Promise<Restored> {
  const pin = isPinned ? ['--registry', stage.registryHash] : [];
  const state = ['--state', join(makeDirectory(), 'state')];
  const argv = ['snapshot', 'restore', path, '--data', data, ...pin, ...state, ...options];
  const { code, stdout, stderr } = await runCli(argv, {
    now: () => stage.timers.now(),
    fetch: stage.fetch,
    ...world,
  });
  return { code, stdout, stderr, data, names: existsSync(data) ? readdirSync(data) : [] };
}

async function sizeOf(data: string): Promise<number> {
  const path = join(data, 'registry.db');
  const facts = await verifyCopy(path, { verifier: createNativeVerifier(), onProgress() {} });
  return facts.version + 1;
}

test('a snapshot as new as what is known is restored whole, for this user alone', async () => {
  const known = ['--checkpoint', noteFile(oldNote)];
  const { code, stdout, stderr, data, names } = await restore(snapshot.path, known);
  assert.deepEqual([code, names], [0, ['registry.db']], stderr);
  assert.equal(statSync(data).mode & 0o777, 0o700);
  assert.equal(statSync(join(data, 'registry.db')).mode & 0o777, 0o600);
  assert.equal(await sizeOf(data), OLD);
  assert.match(stdout, /^restored to version 39 in .*data$/m);
  assert.match(stdout, /^compared with +the checkpoint in /m);
  assert.match(stderr, /put the log key and the configuration in place/);
  await using store = openSqliteReader({ path: join(data, 'registry.db') });
  assert.equal(await store.checkpoint(), oldNote);
});

test('with --json what was restored is one document', async () => {
  const mark = noteFile(oldNote);
  const { code, stdout, data } = await restore(snapshot.path, ['--high-water', mark, '--json']);
  assert.equal(code, 0);
  const { header, ...others } = JSON.parse(stdout);
  assert.equal(header.version, OLD - 1);
  assert.deepEqual(others, {
    id: snapshot.id,
    data,
    version: OLD - 1,
    appended: 0,
    behind: 0,
    compared_with: [`the high-water mark ${mark}`],
  });
});

test('nothing is restored without a pin, nor without anybody who knows how far the log went', async () => {
  const unpinned = await restore(snapshot.path, ['--from', URL_BASE], { isPinned: false });
  assert.deepEqual([unpinned.code, unpinned.names], [2, []]);
  assert.match(unpinned.stderr, /expected --registry .* or --any-registry/);
  const alone = await restore(snapshot.path, []);
  assert.deepEqual([alone.code, alone.names], [2, []]);
  assert.match(alone.stderr, /--high-water, --checkpoint, --from/);
  const any = ['--any-registry', '--accept-rollback'];
  const taken = await restore(snapshot.path, any, { isPinned: false });
  assert.equal(taken.code, 0, taken.stderr);
  assert.match(taken.stdout, /^compared with +nobody$/m);
});

test('an older snapshot than what was seen is refused, and says how far behind it is and what to do', async () => {
  for (const known of [
    ['--checkpoint', noteFile(note())],
    ['--high-water', noteFile(note())],
    ['--from', URL_BASE],
  ]) {
    const { code, stderr, names, data } = await restore(snapshot.path, known);
    assert.deepEqual([code, names], [3, []], stderr);
    assert.equal(existsSync(data), false, 'the directory that was made is gone');
    assert.match(
      stderr,
      /as far as the .*, 280 entries, got one of 40, made .*: it is 240 entries behind; .*--catch-up URL/,
    );
  }
});

test('what this user has verified before counts too', async () => {
  const state = join(makeDirectory(), 'state');
  const world: CliWorld = {
    now: () => stage.timers.now(),
    fetch: stage.fetch,
    connect: (given) =>
      createClient({ ...given, fetch: stage.fetch }, new DrivenClock(stage.timers.now())),
  };
  const pin = ['--registry', stage.registryHash, '--state', state];
  const head = await runCli(['--url', URL_BASE, 'head', ...pin], world);
  assert.equal(head.code, 0, head.stderr);
  const data = join(makeDirectory(), 'data');
  const argv = ['snapshot', 'restore', snapshot.path, '--data', data, ...pin];
  const { code, stderr } = await runCli(argv, world);
  assert.equal(code, 3, stderr);
  assert.match(stderr, /as far as the trusted state of this user/);
});

test('going back is possible only by saying so, and is said loudly', async () => {
  const mark = noteFile(note());
  const before = readFileSync(mark, 'utf8');
  const options = ['--high-water', mark, '--accept-rollback'];
  const { code, stderr, data } = await restore(snapshot.path, options);
  assert.equal(code, 0);
  assert.match(stderr, /^WARNING: .*240 entries behind/m);
  assert.match(stderr, /^WARNING: it is restored because of --accept-rollback/m);
  assert.equal(readFileSync(mark, 'utf8'), before, 'the mark still knows better');
  assert.equal(await sizeOf(data), OLD);
});

test('another history is refused whatever is accepted', async () => {
  const lines = oldNote.split('\n');
  const forged = [lines[0], lines[1], Buffer.alloc(32, 7).toString('base64'), ...lines.slice(3)];
  const known = ['--checkpoint', noteFile(forged.join('\n')), '--accept-rollback'];
  const { code, stderr, names } = await restore(snapshot.path, known);
  assert.deepEqual([code, names], [3, []]);
  assert.match(stderr, /expected the 40 entries that .* has seen, with root .*, got others/);
});

test('the checkpoint of another log is no help', async () => {
  const other = noteFile(oldNote.replaceAll('registry.example', 'other.example'));
  const { code, stderr, names } = await restore(snapshot.path, ['--checkpoint', other]);
  assert.deepEqual([code, names], [3, []], stderr);
  assert.match(stderr, /expected a checkpoint of .* got one of other\.example/);
});

test('what is missing is appended from a service, each entry verified, and its checkpoint kept', async () => {
  const { code, stdout, stderr, data, names } = await restore(snapshot.path, [
    '--catch-up',
    URL_BASE,
  ]);
  assert.deepEqual([code, names], [0, ['registry.db']], stderr);
  assert.match(stdout, /^restored to version 279 in .*data$/m);
  assert.match(stdout, /^appended +240 entries$/m);
  assert.equal(await sizeOf(data), NEW);
  await using store = openSqliteReader({ path: join(data, 'registry.db') });
  assert.equal(await store.checkpoint(), note());
});

test('with --json the head is the one after catching up', async () => {
  const { code, stdout } = await restore(snapshot.path, ['--catch-up', URL_BASE, '--json']);
  assert.equal(code, 0);
  const { version, appended, header } = JSON.parse(stdout);
  assert.deepEqual([version, appended, header.version], [NEW - 1, NEW - OLD, OLD - 1]);
});

test('a service that has no more than the snapshot appends nothing', async () => {
  const newest = await packNow();
  const { code, stdout, data } = await restore(newest.path, ['--catch-up', URL_BASE]);
  assert.equal(code, 0);
  assert.match(stdout, /^appended +0 entries$/m);
  assert.equal(await sizeOf(data), NEW);
});

test('a service that lies about one entry leaves nothing', async (t) => {
  t.after(() => stage.lie(undefined));
  for (const version of [OLD, OLD + 220]) {
    stage.lie(async (path, honest) => {
      const answer = await honest();
      if (!path.startsWith('/registry/entries')) return answer;
      const lines = (await answer.text()).split('\n');
      const changed = lines.map((line) =>
        line.includes(`"version":${version}},"payload"`)
          ? line.replace('"sig":"', '"sig":"AAAA')
          : line,
      );
      return new Response(changed.join('\n'), { headers: answer.headers });
    });
    const { code, stderr, names } = await restore(snapshot.path, ['--catch-up', URL_BASE]);
    assert.deepEqual([code, names], [3, []], stderr);
  }
});

test('a service that is behind what others have seen leaves the snapshot behind, and says so', async (t) => {
  const newest = note();
  t.after(() => stage.lie(undefined));
  // It serves what it had when the snapshot was taken.
  stage.lie((path, honest) =>
    path === '/checkpoint'
      ? new Response(oldNote, { headers: { 'content-type': 'text/plain; charset=utf-8' } })
      : honest(),
  );
  const known = ['--checkpoint', noteFile(newest), '--catch-up', URL_BASE];
  const { code, stderr, names } = await restore(snapshot.path, known);
  assert.deepEqual([code, names], [3, []]);
  assert.match(stderr, /it is 240 entries behind/);
});

test('only an empty directory is restored to, and what is in another one stays', async () => {
  const known = ['--checkpoint', noteFile(oldNote)];
  const full = makeDirectory();
  writeFileSync(join(full, 'registry.db'), 'mine');
  const refused = await restore(snapshot.path, known, { data: full });
  assert.deepEqual([refused.code, refused.names], [1, ['registry.db']]);
  assert.match(refused.stderr, /got one with 1 name in it: .*never over another one/);
  assert.equal(readFileSync(join(full, 'registry.db'), 'utf8'), 'mine');
  const killed = makeDirectory();
  mkdirSync(join(killed, '.unfinished'));
  writeFileSync(join(killed, '.unfinished', 'registry.db'), 'half');
  mkdirSync(join(killed, 'lost+found'));
  const again = await restore(snapshot.path, known, { data: killed });
  assert.deepEqual([again.code, again.names], [0, ['lost+found', 'registry.db']], again.stderr);
  const file = join(makeDirectory(), 'file');
  writeFileSync(file, '');
  const noDirectory = await restore(snapshot.path, known, { data: file }).catch(() => undefined);
  assert.equal(noDirectory, undefined);
});

test('what is damaged, foreign or of another registry leaves nothing behind', async () => {
  const known = ['--checkpoint', noteFile(oldNote)];
  const bytes = readFileSync(snapshot.path);
  const middle = Math.floor(bytes.length / 2);
  const flipped = Uint8Array.from(bytes);
  flipped[middle] = (flipped[middle] ?? 0) ^ 1;
  for (const [path, code] of [
    [written(bytes.subarray(0, -1)), 3],
    [written(flipped), 3],
    [withHeader(snapshot.path, { registry: `b3:${'0'.repeat(64)}` }), 1],
    [withHeader(snapshot.path, { set_size: 1 }), 3],
    [withHeader(snapshot.path, { format: 'quorate/snapshot/v9' }), 1],
  ] as const) {
    const kept = makeDirectory();
    const refused = await restore(path, known, { data: kept });
    assert.deepEqual([refused.code, refused.names], [code, []], refused.stderr);
    assert.ok(existsSync(kept), 'a directory that was there stays');
  }
});

test('an interrupted restore leaves nothing', async () => {
  const interrupt = new AbortController();
  const { Interruption } = await import('../../../src/cli/io.ts');
  const endless = async function* () {
    yield readFileSync(snapshot.path).subarray(0, 4_000);
    interrupt.abort(new Interruption(130));
    yield new Uint8Array(10);
  };
  const known = ['--checkpoint', noteFile(oldNote)];
  const { code, names } = await restore('-', known, {
    interrupt: interrupt.signal,
    stdinChunks: endless(),
  });
  assert.deepEqual([code, names], [130, []]);
});

test('a registry that somebody begins meanwhile is not written over', async () => {
  const data = join(makeDirectory(), 'data');
  const slow = async function* () {
    yield readFileSync(snapshot.path);
    writeFileSync(join(data, 'registry.db'), 'begun');
  };
  const known = ['--checkpoint', noteFile(oldNote)];
  const { code, stderr, names } = await restore('-', known, { data, stdinChunks: slow() });
  assert.deepEqual([code, names], [1, ['registry.db']], stderr);
  assert.match(
    stderr,
    /expected no .*registry\.db, got one that somebody began meanwhile: it stays/,
  );
  assert.equal(readFileSync(join(data, 'registry.db'), 'utf8'), 'begun');
  rmSync(data, { recursive: true });
});

test('a restored registry is one that a server goes on from', async (t) => {
  const { data } = await restore(snapshot.path, ['--catch-up', URL_BASE]);
  const store = await openSqliteStore({ ...IDLE, path: join(data, 'registry.db') });
  const again = await openStage({ store, isBegun: false });
  t.after(() => again.registry[Symbol.asyncDispose]());
  assert.equal(again.registry.head()?.version, NEW - 1);
  assert.equal((await again.change(put('after', {}))).version, NEW);
  assert.equal((await checkLog(store))?.version, NEW);
});
