/** Snapshots in S3-compatible storage: against OpenStack Swift, and through somebody who breaks connections to it. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import type { S3 } from '@aws-sdk/client-s3';
import { runCli } from '../support/cli-io.ts';
import { start } from '../support/cli-process.ts';
import { openOperator, type TestOperator } from '../support/operator.ts';
import { keepCheckpoint, put } from '../support/registry.ts';
import { type Between, type Fault, lineOf, refusal } from '../support/s3-between.ts';
import {
  bytesOf,
  chunksOf,
  NAME,
  PART_BYTES,
  type S3Stage,
  type S3World,
  startS3,
} from '../support/s3-stage.ts';
import { makeDirectory } from '../support/store-sqlite.ts';
import { STRANGER, WRITER } from '../support/swift.ts';

const MEBIBYTE = 1024 * 1024;
const OTHER = '13-0123456789abcdef.qsnap';
const SECRETS = [WRITER.AWS_SECRET_ACCESS_KEY, STRANGER.AWS_SECRET_ACCESS_KEY, 'session-secret'];

const INVALID = { code: 'invalid_request' };
const SKIPPED = 'SKIPPED, NOT PASSED: Swift is not there (Debian package python3-swift)';

let s3: S3World | undefined;
let between: Between;
let another: S3;

before(async () => {
  s3 = await startS3();
  if (s3 !== undefined) ({ between, another } = s3);
});

after(() => s3?.[Symbol.asyncDispose]());

/** `undefined` and skipped where there is no Swift. */
async function openStage(t: TestContext): Promise<S3Stage | undefined> {
  if (s3 !== undefined) return s3.openStage();
  t.skip(SKIPPED);
  return undefined;
}

/** A fault for the first request that the pattern describes, as `METHOD TARGET`. */
function once(pattern: RegExp, fault: Fault): void {
  let isDone = false;
  between.fault = (request) => {
    if (isDone || !pattern.test(lineOf(request))) return undefined;
    isDone = true;
    return fault;
  };
}

async function uploadsOf(bucket: string): Promise<number> {
  const { Uploads } = await another.listMultipartUploads({ Bucket: bucket });
  return Uploads?.length ?? 0;
}

function assertNoSecret(text: string): void {
  for (const secret of SECRETS) assert.ok(!text.includes(secret));
}

test('what is written in parts is there whole, and can be read from any offset', async (t) => {
  const stage = await openStage(t);
  if (stage === undefined) return;
  const { place } = stage;
  for (const size of [0, 1, PART_BYTES, PART_BYTES * 2 + 123]) {
    const bytes = randomBytes(size);
    assert.equal(await place.write(NAME, chunksOf(bytes)), size);
    assert.deepEqual(await place.list(), [{ name: NAME, bytes: size }]);
    for (const offset of [0, 1, size - 7, size].filter((at) => at >= 0))
      assert.ok((await bytesOf(place, NAME, offset)).equals(bytes.subarray(offset)), `${offset}`);
    await place.remove(NAME);
    await place.remove(NAME);
    assert.deepEqual(await place.list(), []);
  }
  await assert.rejects(bytesOf(place, NAME), { code: 'not_found' });
});

test('a name that is not that of a snapshot is asked of nobody', async (t) => {
  const stage = await openStage(t);
  if (stage === undefined) return;
  const { place } = stage;
  const before = between.requests.length;
  for (const name of ['', '../1-0123456789abcdef.qsnap', 'notes.txt', `a/${NAME}`]) {
    await assert.rejects(place.write(name, chunksOf(new Uint8Array(1))), INVALID);
    await assert.rejects(place.read(name, { offset: 0 }), INVALID);
    await assert.rejects(place.remove(name), INVALID);
  }
  assert.equal(between.requests.length, before);
});

test('only snapshots directly under the prefix are listed, over as many pages as it takes', async (t) => {
  const stage = await openStage(t);
  if (stage === undefined) return;
  const { bucket, place } = stage;
  const names = Array.from({ length: 7 }, (_, version) => `${version}-0123456789abcdef.qsnap`);
  const others = ['../up', 'notes.txt', 'er/more/1-0123456789abcdef.qsnap', '1-0.qsnap'];
  for (const name of [...names, ...others])
    await another.putObject({ Bucket: bucket, Key: `deep/er/${name}`, Body: name });
  await another.putObject({ Bucket: bucket, Key: `deep/${names[0]}`, Body: '-' });
  const before = between.requests.length;
  assert.deepEqual(
    await place.list(),
    names.map((name) => ({ name, bytes: name.length })),
  );
  assert.ok(between.requests.length - before > 2, 'more than one page was asked for');
});

test('nothing is written over another object, also not one that appears meanwhile', async (t) => {
  const stage = await openStage(t);
  if (stage === undefined) return;
  const { bucket, place } = stage;
  const object = { Bucket: bucket, Key: `deep/er/${NAME}` };
  await another.putObject({ ...object, Body: 'theirs' });
  const before = between.requests.length;
  await assert.rejects(place.write(NAME, chunksOf(randomBytes(9))), {
    code: 'conflict',
    message: /nothing is written over it/,
  });
  assert.ok(between.requests.slice(before).every(({ method }) => method !== 'PUT'));
  await another.deleteObject(object);
  // As long as ours.
  const theirs = randomBytes(PART_BYTES + 1);
  let hasAppeared = false;
  between.fault = async (request) => {
    if (!/^PUT .*partNumber=2/.test(lineOf(request))) return;
    await another.putObject({ ...object, Body: theirs });
    hasAppeared = true;
  };
  await assert.rejects(place.write(NAME, chunksOf(randomBytes(PART_BYTES + 1))), {
    code: 'conflict',
  });
  assert.ok(hasAppeared);
  assert.ok((await bytesOf(place, NAME)).equals(theirs));
  assert.equal(await uploadsOf(bucket), 0);
});

/** Swift knows the condition; a server that does not is played by whoever stands between. */
test('where a server knows no condition, the name is looked at once more', async (t) => {
  const stage = await openStage(t);
  if (stage === undefined) return;
  const { bucket, place } = stage;
  const unconditional = (request: IncomingMessage): Fault | undefined =>
    request.headers['if-none-match'] === '*' ? refusal(501, 'NotImplemented') : undefined;
  between.fault = unconditional;
  const before = between.faults;
  await place.write(NAME, chunksOf(randomBytes(9)));
  assert.equal(between.faults, before + 1);
  between.fault = async (request) => {
    if (/^PUT .*partNumber=1/.test(lineOf(request)))
      await another.putObject({ Bucket: bucket, Key: `deep/er/${OTHER}`, Body: 'theirs' });
    return unconditional(request);
  };
  await assert.rejects(place.write(OTHER, chunksOf(randomBytes(9))), { code: 'conflict' });
  assert.equal((await bytesOf(place, OTHER)).toString(), 'theirs');
});

test('an answer that is lost on its way leaves no doubt whether it was written', async (t) => {
  const stage = await openStage(t);
  if (stage === undefined) return;
  const { bucket, place } = stage;
  const bytes = randomBytes(PART_BYTES + 5);
  for (const [name, pattern] of [
    [NAME, /^POST .*\?uploadId=/],
    [OTHER, /^PUT .*partNumber=1/],
  ] as const) {
    const before = between.faults;
    once(pattern, 'answer lost');
    assert.equal(await place.write(name, chunksOf(bytes)), bytes.length);
    assert.equal(between.faults, before + 1);
    assert.ok((await bytesOf(place, name)).equals(bytes));
  }
  assert.equal(await uploadsOf(bucket), 0);
});

test('an upload that cannot be done is aborted at the server, and nothing is there', async (t) => {
  const stage = await openStage(t);
  if (stage === undefined) return;
  const { bucket } = stage;
  const place = await stage.open({ maxAttempts: 2 });
  const bytes = randomBytes(PART_BYTES + 5);
  const refused: readonly (readonly [RegExp, Fault, string])[] = [
    [/^HEAD /, refusal(403, 'AccessDenied'), 'forbidden'],
    [/^PUT .*partNumber=1/, refusal(403, 'AccessDenied'), 'forbidden'],
    [/^PUT .*partNumber=2/, refusal(503, 'SlowDown'), 'unavailable'],
    [/^PUT .*partNumber=2/, 'body changed', 'unexpected_answer'],
    [/^POST .*\?uploadId=/, refusal(400, 'InvalidPart'), 'unexpected_answer'],
  ];
  for (const [pattern, fault, code] of refused) {
    const before = between.faults;
    between.fault = (request) => (pattern.test(lineOf(request)) ? fault : undefined);
    await assert.rejects(place.write(NAME, chunksOf(bytes)), { code }, `${pattern}`);
    // What may pass is asked again.
    assert.equal(between.faults - before, code === 'unavailable' ? 2 : 1);
    assert.deepEqual([await place.list(), await uploadsOf(bucket)], [[], 0]);
  }
  between.fault = () => undefined;
  const broken = async function* () {
    yield bytes;
    throw new Error('the disk is gone');
  };
  await assert.rejects(place.write(NAME, broken()), { message: 'the disk is gone' });
  assert.deepEqual([await place.list(), await uploadsOf(bucket)], [[], 0]);
});

test('an upload that the server may still be completing is left to it', async (t) => {
  const stage = await openStage(t);
  if (stage === undefined) return;
  const place = await stage.open({ maxAttempts: 2 });
  between.fault = (request) =>
    /^POST .*\?uploadId=/.test(lineOf(request)) ? refusal(500, 'InternalError') : undefined;
  await assert.rejects(place.write(NAME, chunksOf(randomBytes(9))), { code: 'unavailable' });
  assert.deepEqual([await place.list(), await uploadsOf(stage.bucket)], [[], 1]);
});

test('of what is written no more than two parts are in memory', async (t) => {
  const stage = await openStage(t);
  if (stage === undefined) return;
  let pulled = 0;
  const filled = Promise.withResolvers<void>();
  const source = async function* () {
    for (; pulled < 4 * PART_BYTES; pulled += MEBIBYTE) {
      if (pulled >= 2 * PART_BYTES) filled.resolve();
      yield new Uint8Array(MEBIBYTE);
    }
  };
  const held = Promise.withResolvers<undefined>();
  between.fault = (request) =>
    /^PUT .*partNumber=1/.test(lineOf(request)) ? held.promise : undefined;
  const writing = stage.place.write(NAME, source());
  await filled.promise;
  // A source that is always ready would be read on by now.
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
  assert.equal(pulled, 2 * PART_BYTES);
  held.resolve(undefined);
  assert.equal(await writing, 4 * PART_BYTES);
});

test('what breaks once is asked again, and the upload goes on', async (t) => {
  const stage = await openStage(t);
  if (stage === undefined) return;
  const bytes = randomBytes(PART_BYTES + 5);
  const before = between.faults;
  once(/^PUT .*partNumber=1/, refusal(503, 'SlowDown'));
  await stage.place.write(NAME, chunksOf(bytes));
  assert.equal(between.faults, before + 1);
  assert.ok((await bytesOf(stage.place, NAME)).equals(bytes));
});

test('a download that breaks off, or falls silent, goes on where it was', async (t) => {
  const stage = await openStage(t);
  if (stage === undefined) return;
  const place = await stage.open({ idleMs: 300 });
  const bytes = randomBytes(3 * MEBIBYTE);
  await place.write(NAME, chunksOf(bytes));
  for (const end of ['cut', 'silence'] as const) {
    let left = 3;
    between.fault = ({ method }) =>
      method === 'GET' && left-- > 0 ? { bytes: 700_000, end } : undefined;
    const before = between.requests.length;
    assert.ok((await bytesOf(place, NAME, 5)).equals(bytes.subarray(5)), end);
    const ranges = between.requests.slice(before).map(({ headers }) => `${headers.range}`);
    const starts = ranges.map((range) => Number(/^bytes=(\d+)-$/.exec(range)?.[1]));
    assert.equal(starts.length, 4);
    // What was sent before the connection broke may not all have come, and is asked for once.
    starts.forEach((at, i) => {
      assert.ok(at > 5 + 600_000 * i - 600_000 && at <= 5 + 700_000 * i, `${starts}`);
    });
  }
});

test('a download outlasts a server that is away for longer than one request is tried', async (t) => {
  const stage = await openStage(t);
  if (stage === undefined) return;
  const place = await stage.open({ maxAttempts: 1 });
  const bytes = randomBytes(MEBIBYTE);
  await place.write(NAME, chunksOf(bytes));
  const before = between.faults;
  const away: Fault[] = [{ bytes: 500_000, end: 'cut' }];
  away.push(refusal(503, 'SlowDown'), refusal(502, 'BadGateway'));
  between.fault = ({ method }) => (method === 'GET' ? away.shift() : undefined);
  assert.ok((await bytesOf(place, NAME)).equals(bytes));
  assert.equal(between.faults - before, 3);
  between.fault = () => refusal(503, 'SlowDown');
  await assert.rejects(bytesOf(place, NAME), { code: 'unavailable' });
  assert.equal(between.faults - before, 4, 'where nothing has come yet, it is told at once');
});

test('parts that were not asked for, and a list without end, are refused', async (t) => {
  const stage = await openStage(t);
  if (stage === undefined) return;
  const { place } = stage;
  await place.write(NAME, chunksOf(randomBytes(1000)));
  let before = between.faults;
  between.fault = () => ({ status: 200, text: 'all of it' });
  await assert.rejects(bytesOf(place, NAME, 10), { code: 'unexpected_answer' });
  assert.equal(between.faults - before, 1);
  const next = '<NextContinuationToken>again</NextContinuationToken>';
  const text = `<ListBucketResult><IsTruncated>true</IsTruncated>${next}</ListBucketResult>`;
  between.fault = () => ({ status: 200, text });
  before = between.faults;
  await assert.rejects(place.list(), { code: 'unexpected_answer', message: /100 pages/ });
  assert.equal(between.faults - before, 100);
});

test('a download that never gets on is given up, and one of another object ends', async (t) => {
  const stage = await openStage(t);
  if (stage === undefined) return;
  const { bucket, place } = stage;
  const object = { Bucket: bucket, Key: `deep/er/${NAME}` };
  await place.write(NAME, chunksOf(randomBytes(MEBIBYTE)));
  const before = between.faults;
  between.fault = ({ method }) => (method === 'GET' ? { bytes: 10, end: 'cut' } : undefined);
  await assert.rejects(bytesOf(place, NAME), { code: 'unavailable' });
  assert.equal(between.faults - before, 5);
  assert.deepEqual(stage.pausesMs, [500, 1000, 2000, 4000]);
  once(/^GET/, { bytes: 500_000, end: 'cut' });
  const reading = await place.read(NAME, { offset: 0 });
  const readAll = async () => {
    let isReplaced = false;
    for await (const _ of reading) {
      if (!isReplaced) await another.putObject({ ...object, Body: randomBytes(MEBIBYTE) });
      isReplaced = true;
    }
  };
  await assert.rejects(readAll(), { code: 'conflict' });
});

test('uploads that were never ended are aborted after a day, and younger ones are left', async (t) => {
  const stage = await openStage(t);
  if (stage === undefined) return;
  const { bucket } = stage;
  for (const name of [NAME, OTHER, 'notes.txt'])
    await another.createMultipartUpload({ Bucket: bucket, Key: `deep/er/${name}` });
  await stage.place.write('1-0123456789abcdef.qsnap', chunksOf(randomBytes(1)));
  assert.equal(await uploadsOf(bucket), 3);
  const later = await stage.open({ now: () => Date.now() + 86_400_000 + 60_000 });
  await later.write('2-0123456789abcdef.qsnap', chunksOf(randomBytes(1)));
  // That which is not of ours stays.
  assert.equal(await uploadsOf(bucket), 1);
});

test('who may not, or asks nowhere, is told so, and no secret', async (t) => {
  const stage = await openStage(t);
  if (stage === undefined) return;
  const { address, env } = stage;
  const cases: readonly (readonly [string, Record<string, string>, RegExp])[] = [
    [address, { AWS_SECRET_ACCESS_KEY: 'session-secret' }, /SignatureDoesNotMatch \(403\)/],
    [address, { AWS_ACCESS_KEY_ID: 'test:nobody' }, /\(403\)/],
    [address, STRANGER, /AccessDenied \(403\): are the credentials right/],
    ['s3://no-such-bucket', {}, /NoSuchBucket \(404\): make the bucket/],
    [address, { AWS_ENDPOINT_URL_S3: 'http://127.0.0.1:1' }, /ECONNREFUSED: is it running/],
  ];
  for (const [where, changed, message] of cases) {
    const world = { env: { ...env, ...changed, QUORATE_DEBUG: '1' } };
    const { code, stdout, stderr } = await runCli(['snapshot', 'list', where], world);
    assert.ok(code === 1 || code === 4, `${code}`);
    assert.match(stderr, message);
    assert.doesNotMatch(stderr, /quorate token|quorate serve/);
    assertNoSecret(stdout + stderr);
  }
});

/** A registry whose snapshot has some tens of MiB, and a checkpoint. */
async function openLarge(t: TestContext): Promise<TestOperator> {
  const server = await openOperator(t);
  for (let i = 0; i < 16; i++)
    await server.change(put(`large-${i}`, { text: randomBytes(700_000).toString('base64') }));
  await keepCheckpoint(server);
  return server;
}

test('a registry of tens of MiB', async (t) => {
  if (s3 === undefined) return t.skip(SKIPPED);
  const server = await openLarge(t);
  const isCarried = 'its snapshot goes to S3, is verified there and restored from there';
  await t.test(isCarried, (each) => assertCarried(each, server));
  const isNotThere = 'a snapshot that is killed or interrupted on its way is not there';
  await t.test(isNotThere, (each) => assertNotThere(each, server));
});

async function assertCarried(t: TestContext, server: TestOperator): Promise<void> {
  const stage = await openStage(t);
  if (stage === undefined) return;
  const { address, bucket, env, place } = stage;
  const run = (...argv: string[]) => runCli(['snapshot', ...argv], { env });
  const requests = between.requests.length;
  const made = await run('create', '--socket', server.socketPath, '--to', address, '--json');
  assert.equal(made.code, 0, made.stderr);
  const [answer] = made.json();
  const name = String(answer?.file);
  assert.equal(answer?.copy, `${address}/${name}`);
  const sent = between.requests.slice(requests).filter((one) => /partNumber=/.test(lineOf(one)));
  assert.ok(sent.length >= 2, `${sent.length} parts`);
  // What the signature of each part covers.
  for (const { headers } of sent)
    assert.match(`${headers['x-amz-content-sha256']}`, /^[0-9a-f]{64}$/);
  const file = join(server.dataDir, 'snapshots', name);
  assert.ok((await bytesOf(place, name)).equals(readFileSync(file)));
  const [listed] = (await run('list', address, '--json')).json();
  assert.deepEqual([listed?.name, listed?.id, listed?.damage], [name, answer?.id, null]);
  const scratch = ['--scratch', makeDirectory(), '--registry', server.registryHash];
  for (const which of [[`${address}/${name}`], [String(answer?.id), '--in', address, '--quick']]) {
    const verified = await run('verify', ...which, ...scratch);
    assert.deepEqual([verified.code, verified.stderr], [0, '']);
  }
  const data = join(makeDirectory(), 'data');
  once(/^GET .*qsnap/, { bytes: 3 * MEBIBYTE, end: 'cut' });
  const options = ['--data', data, '--registry', server.registryHash, '--accept-rollback'];
  const restored = await run('restore', `${address}/${name}`, ...options, '--json');
  assert.equal(restored.code, 0, restored.stderr);
  assert.deepEqual(restored.json()[0]?.id, answer?.id);
  assert.ok(existsSync(join(data, 'registry.db')));
  await assertDamageIsSeen({ stage, name, file, registryHash: server.registryHash });
  assertNoSecret(made.stdout + made.stderr + restored.stdout + restored.stderr);
  assert.equal(await uploadsOf(bucket), 0);
}

/** What another client put in the place of a snapshot. */
async function assertDamageIsSeen({
  stage: { address, bucket, env },
  name,
  file,
  registryHash,
}: {
  readonly stage: S3Stage;
  readonly name: string;
  readonly file: string;
  readonly registryHash: string;
}): Promise<void> {
  const whole = readFileSync(file);
  const altered = Buffer.from(whole);
  altered[whole.length >> 1] = (altered[whole.length >> 1] ?? 0) ^ 1;
  const truncated = whole.subarray(0, 4 * MEBIBYTE);
  for (const [bytes, isListed] of [
    [altered, false],
    [truncated, true],
  ] as const) {
    await another.putObject({ Bucket: bucket, Key: `deep/er/${name}`, Body: bytes });
    const [listed] = (await runCli(['snapshot', 'list', address, '--json'], { env })).json();
    assert.equal(listed?.damage !== null, isListed);
    const data = join(makeDirectory(), 'data');
    const options = ['--data', data, '--registry', registryHash, '--accept-rollback'];
    const run = await runCli(['snapshot', 'restore', `${address}/${name}`, ...options], { env });
    assert.equal(run.code, 3, run.stderr);
    assert.equal(existsSync(data), false);
  }
}

/** And what was there stays. */
async function assertNotThere(t: TestContext, server: TestOperator): Promise<void> {
  const stage = await openStage(t);
  if (stage === undefined) return;
  const { address, bucket, env, place } = stage;
  await another.putObject({ Bucket: bucket, Key: `deep/er/${NAME}`, Body: 'theirs' });
  for (const [signal, left] of [
    ['SIGINT', 0],
    ['SIGKILL', 1],
  ] as const) {
    const argv = ['snapshot', 'create', '--socket', server.socketPath, '--to', address];
    const run = start({ cwd: makeDirectory(), env }, ...argv);
    let isSent = false;
    between.fault = (request) => {
      if (/^PUT .*partNumber=2/.test(lineOf(request))) isSent = run.child.kill(signal);
      return undefined;
    };
    const ended = await run.ended;
    assert.ok(isSent, 'it was on its way');
    assert.deepEqual(
      [ended.code, ended.signal],
      signal === 'SIGINT' ? [130, null] : [null, signal],
    );
    assertNoSecret(ended.stdout + ended.stderr);
    assert.deepEqual(await place.list(), [{ name: NAME, bytes: 'theirs'.length }]);
    assert.equal((await bytesOf(place, NAME)).toString(), 'theirs');
    // An interrupt leaves time to abort it; what a kill leaves is aborted after a day.
    assert.equal(await uploadsOf(bucket), left);
  }
}
