/** Who may sign what is claimed, who must have seen it and when; and what becomes of a contradiction. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryTrust } from '../../../src/client/memory-trust.ts';
import { decodeTrustedState } from '../../../src/client/trusted-text.ts';
import { RegistryError } from '../../../src/core/error.ts';
import { decodeEvidence, judgeEvidence } from '../../../src/core/tlog/evidence.ts';
import { createPortableVerifier } from '../../../src/core/verifier.ts';
import { encodeVerifierKey, parseLogKeys } from '../../../src/core/vkey.ts';
import { DEMANDS, NOW_SECONDS, WITNESSES } from '../../support/client-campaign.ts';
import { branchAt } from '../../support/client-lie-rows.ts';
import {
  alteredNote,
  editLeaf,
  type Log,
  lines,
  readLog,
  reseal,
  serve,
} from '../../support/client-lies.ts';
import {
  errorOf,
  type Lie,
  openClient,
  openStage,
  type Stage,
} from '../../support/client-server.ts';
import { logSignature, withSignatures } from '../../support/client-tree.ts';
import { governancePayload, LOG_SIGNER, makeLogSigner, ORIGIN } from '../../support/signers.ts';

const NEXT_SIGNER = makeLogSigner('next');
const NEXT_KEY = encodeVerifierKey({ name: ORIGIN, publicKey: NEXT_SIGNER.publicKey });

/** Commits a governance whose one log key is the next one. */
async function rotate(stage: Stage): Promise<void> {
  const current = stage.governance;
  const next = { ...current, version: 2, log_keys: [NEXT_KEY] };
  await stage.commit(governancePayload(stage.registryHash, { next, current }));
}

/** The honest note with cosignatures of w0 and w1 from so many seconds ago. */
function cosigned(secondsAgo: number): Lie {
  return alteredNote((note) => withSignatures(note, cosignatures(note, secondsAgo)));
}

function cosignatures(note: string, secondsAgo: number) {
  const text = note.slice(0, note.lastIndexOf('\n\n') + 1);
  return WITNESSES.slice(0, 2).map((witness) => witness.cosign(text, NOW_SECONDS - secondsAgo));
}

test('a rotated log key is followed by its governance entry, from any trusted version and from none', async () => {
  const stage = await openStage({ signers: [LOG_SIGNER, NEXT_SIGNER] });
  const early = memoryTrust();
  await openClient(stage, { trust: early }).client.head();
  await stage.grow(3);
  await rotate(stage);
  const there = memoryTrust();
  await openClient(stage, { trust: there }).client.head();
  await stage.grow(2);
  for (const trust of [memoryTrust(), early, there])
    assert.equal((await openClient(stage, { trust }).client.head()).version, 6);
});

test('a follower goes on over a rotation of the log key', async () => {
  const stage = await openStage({ signers: [LOG_SIGNER, NEXT_SIGNER] });
  const updates = openClient(stage).client.follow()[Symbol.asyncIterator]();
  const seen: (number | undefined)[] = [];
  for (const commit of [() => stage.grow(1), () => rotate(stage), () => stage.grow(1)]) {
    const next = updates.next();
    await commit();
    seen.push((await next).value?.head.version);
  }
  assert.deepEqual(seen, [1, 2, 3]);
  await updates.return?.();
});

test('the entries that name the signer are asked for once where they fit in a page', async () => {
  const stage = await openStage({ signers: [LOG_SIGNER, NEXT_SIGNER] });
  const trust = memoryTrust();
  await openClient(stage, { trust }).client.head();
  await rotate(stage);
  stage.requests.length = 0;
  await openClient(stage, { trust }).client.head();
  assert.deepEqual(stage.requests, [
    'GET /checkpoint',
    'GET /registry/entries?from=1&limit=256',
    'GET /registry/proof/consistency/1/2',
  ]);
});

test('a retired log key signs nothing from the governance entry that retired it on', async () => {
  const stage = await openStage({ signers: [LOG_SIGNER, NEXT_SIGNER] });
  const trust = memoryTrust();
  await openClient(stage, { trust }).client.head();
  const before = await trust.load();
  await stage.grow(1);
  await rotate(stage);
  const log = await readLog(stage);
  for (const options of [{ trust }, { trust: memoryTrust() }]) {
    const { client, saves } = openClient(stage, options);
    stage.lie(serve(log));
    await assert.rejects(client.head(), { code: 'invalid_signature' });
    assert.equal(saves(), 0);
  }
  assert.equal(await trust.load(), before);
  // What it signed while it was in force is still good.
  stage.lie(serve(log.slice(0, 2)));
  assert.equal((await openClient(stage, { trust }).client.head()).version, 1);
});

test('a second log key need not sign, and one that signs wrongly spoils the note', async () => {
  const stage = await openStage({ signers: [LOG_SIGNER, NEXT_SIGNER] });
  const current = stage.governance;
  const next = { ...current, version: 2, log_keys: [...current.log_keys, NEXT_KEY] };
  await stage.commit(governancePayload(stage.registryHash, { next, current }));
  const log = await readLog(stage);
  stage.lie(serve(log, { signers: [NEXT_SIGNER] }));
  assert.equal((await openClient(stage).client.head()).version, 1);
  const forged = { ...NEXT_SIGNER, sign: async () => new Uint8Array(64) };
  stage.lie(serve(log, { signers: [LOG_SIGNER, forged] }));
  await assert.rejects(openClient(stage).client.head(), { code: 'invalid_signature' });
});

test('a note of another origin is no checkpoint of this log, though its key signed it and nothing is trusted yet', async () => {
  const stage = await openStage();
  stage.lie(
    alteredNote(async (note) => {
      const text = note.slice(0, note.lastIndexOf('\n\n') + 1).replace(ORIGIN, 'other.example.com');
      return withSignatures(`${text}\n`, [await logSignature(text, LOG_SIGNER)]);
    }),
  );
  const { client, saves } = openClient(stage);
  await assert.rejects(client.head(), { code: 'wrong_registry' });
  assert.equal(saves(), 0);
});

test('a verified head names its checkpoint, whole and as it was served', async () => {
  const stage = await openStage();
  await stage.grow(2);
  const { checkpoint } = await openClient(stage).client.head();
  const note = await (await stage.get('/checkpoint')).text();
  const root = note.split('\n')[2];
  assert.deepEqual(checkpoint, { size: 3, root, note, freshAt: null });
});

test('a newer time of the same head is kept over restarts, an older one is not', async () => {
  const stage = await openStage();
  const trust = memoryTrust();
  const freshAt = async () => {
    const { client } = openClient(stage, { trust, ...DEMANDS });
    return NOW_SECONDS - ((await client.head()).checkpoint.freshAt ?? 0);
  };
  stage.lie(cosigned(500));
  assert.equal(await freshAt(), 500);
  stage.lie(cosigned(100));
  assert.equal(await freshAt(), 100);
  const kept = await trust.load();
  // A cache may still have the older note: what is known of this head is newer.
  stage.lie(cosigned(10_000));
  assert.equal(await freshAt(), 100);
  assert.equal(await trust.load(), kept);
  assert.equal(decodeTrustedState(kept ?? '').checkpoint.freshAt, NOW_SECONDS - 100);
});

test('a stale head is refused to the millisecond, and what is trusted stays', async () => {
  const stage = await openStage();
  stage.lie(cosigned(0));
  const { client, clock } = openClient(stage, DEMANDS);
  await client.head();
  clock.advance(600_000);
  assert.equal((await client.head()).version, 0);
  clock.advance(1);
  await assert.rejects(client.head(), {
    code: 'stale',
    details: { fresh_at: NOW_SECONDS, max_stale_ms: 600_000 },
  });
  assert.equal(client.trusted()?.version, 0);
  stage.lie(cosigned(-600));
  assert.equal((await client.head()).version, 0);
});

test('a time to come is borne as far as clocks may differ', async () => {
  const stage = await openStage();
  stage.lie(cosigned(-300));
  assert.equal((await openClient(stage, DEMANDS).client.head()).version, 0);
  const strict = { ...DEMANDS, maxSkewMs: 299_999 };
  await assert.rejects(openClient(stage, strict).client.head(), { code: 'invalid_checkpoint' });
});

test('a checkpoint that is short of cosignatures is asked for again, past caches', async () => {
  const stage = await openStage();
  const asked: string[] = [];
  const witnessed = cosigned(0);
  stage.lie((path, honest, request) => {
    if (path !== '/checkpoint') return honest();
    asked.push(request.cache);
    return asked.length < 3 ? honest() : witnessed(path, honest, request);
  });
  const { client } = openClient(stage, { ...DEMANDS, maxAttempts: 3 });
  assert.equal((await client.head()).version, 0);
  assert.deepEqual(asked, ['default', 'reload', 'reload']);
});

test('a policy that names logs is for those, also before anything is trusted', async () => {
  const stage = await openStage();
  const other = encodeVerifierKey({ name: 'log.example.com', publicKey: LOG_SIGNER.publicKey });
  const policy = (vkey: string) => ({ policy: `log ${vkey}\nquorum none` });
  await assert.rejects(openClient(stage, policy(other)).client.head(), { code: 'wrong_registry' });
  const own = encodeVerifierKey({ name: ORIGIN, publicKey: LOG_SIGNER.publicKey });
  assert.equal((await openClient(stage, policy(own)).client.head()).version, 0);
});

test('a policy that cannot be read is told before anything is asked', async () => {
  const stage = await openStage();
  for (const options of [
    { policy: 'quorum' },
    { maxStaleMs: 1 },
    { policy: 'quorum none', maxStaleMs: 1 },
  ])
    assert.throws(() => openClient(stage, options), { code: 'invalid_request' });
  assert.deepEqual(stage.requests, []);
});

/** A client that trusts version 3 of a log of 6, and the log. */
async function openTrusting(): Promise<{ stage: Stage; log: Log; text: string }> {
  const stage = await openStage();
  await stage.grow(3);
  const { client, saved } = openClient(stage);
  await client.head();
  const text = (await saved()) ?? '';
  await stage.grow(2);
  return { stage, log: await readLog(stage), text };
}

test('evidence of a fork names both notes and proves it by the log key alone', async () => {
  const { stage, log, text } = await openTrusting();
  const evidence: string[] = [];
  const onFork = async (found: string) => void evidence.push(found);
  const { client } = openClient(stage, { trust: memoryTrust(text), onFork });
  stage.lie(serve(branchAt(log, 2)));
  const error = await errorOf(client.head());
  assert.ok(error instanceof RegistryError && error.code === 'fork');
  const [found = ''] = evidence;
  const { older, newer, origin } = decodeEvidence(found);
  assert.deepEqual([error.details.older, error.details.newer, origin], [older, newer, ORIGIN]);
  assert.equal(older, decodeTrustedState(text).checkpoint.note);
  const keys = parseLogKeys(stage.governance.log_keys);
  const verdict = await judgeEvidence(decodeEvidence(found), keys, createPortableVerifier());
  assert.deepEqual([verdict.isProven, verdict.sizes], [true, [4, 6]]);
});

test('evidence that cannot be kept hides no fork, and is its cause', async () => {
  const { stage, log, text } = await openTrusting();
  const full = new Error('no space');
  const onFork = () => Promise.reject(full);
  const { client } = openClient(stage, { trust: memoryTrust(text), onFork });
  stage.lie(serve(branchAt(log, 2)));
  const error = await errorOf(client.head());
  assert.ok(error instanceof RegistryError && error.code === 'fork');
  assert.equal(error.cause, full);
});

test('a fork while catching up is proven by the checkpoint that was being caught up with', async () => {
  const { stage, log } = await openTrusting();
  const trust = memoryTrust();
  const honest = serve(log);
  stage.lie((path, ask, request) =>
    path.startsWith('/registry/entries')
      ? lines(path.includes('from=0&') ? log.slice(0, 3) : [])
      : honest(path, ask, request),
  );
  await errorOf(openClient(stage, { trust }).client.head());
  const evidence: string[] = [];
  const { client } = openClient(stage, { trust, onFork: (text) => void evidence.push(text) });
  // The trusted 3 are in both; the signed 6 are not.
  stage.lie(serve(branchAt(log, 4)));
  await assert.rejects(client.head(), { code: 'fork' });
  assert.equal(evidence.length, 1);
  assert.equal(client.trusted()?.version, 2);
});

async function openLonger(): Promise<Stage> {
  const stage = await openStage();
  await stage.grow(5);
  return stage;
}

test('a checkpoint beyond the entries is refused, and the entries that are there are not held back', async () => {
  const stage = await openLonger();
  const { client, saved } = openClient(stage);
  const log = await readLog(stage);
  const honest = serve(log);
  stage.lie((path, ask, request) =>
    path.startsWith('/registry/entries')
      ? lines(path.includes('from=0&') ? log.slice(0, 3) : [])
      : honest(path, ask, request),
  );
  await assert.rejects(client.head(), { code: 'unexpected_answer' });
  assert.equal(client.trusted()?.version, 2);
  const state = decodeTrustedState((await saved()) ?? '');
  assert.deepEqual([state.chain.tree.size, state.checkpoint.size], [3, 6]);
  stage.lie(undefined);
  assert.equal((await client.head()).version, 5);
});

test('a page whose entries are right by every rule but time is not believed, wherever it ends', async () => {
  const stage = await openLonger();
  const { client, saved } = openClient(stage);
  const log = await readLog(stage);
  const later = editLeaf(log, 1, { committed_at: '2026-11-21T09:00:00.001Z' });
  const honest = serve(log);
  for (const [end, code] of [
    [2, 'invalid_proof'],
    [6, 'invalid_entry'],
  ] as const) {
    const page = reseal(later, 2).slice(0, end);
    stage.lie((path, ask, request) =>
      path.startsWith('/registry/entries') ? lines(page) : honest(path, ask, request),
    );
    await assert.rejects(client.head(), { code });
    assert.equal(client.trusted(), undefined);
    assert.equal(await saved(), undefined);
  }
});
