/** What was signed beyond the trusted tree is remembered: a catching up that was interrupted forgets no checkpoint. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Answers } from '../../../src/client/answers.ts';
import { memoryTrust } from '../../../src/client/memory-trust.ts';
import { Transport } from '../../../src/client/transport.ts';
import { TrustedLog } from '../../../src/client/trusted-log.ts';
import { decodeTrustedState } from '../../../src/client/trusted-text.ts';
import { RegistryError } from '../../../src/core/error.ts';
import { decodeEvidence, judgeEvidence } from '../../../src/core/tlog/evidence.ts';
import { NO_WITNESSES } from '../../../src/core/tlog/policy.ts';
import { parseLogKeys } from '../../../src/core/vkey.ts';
import { createNativeVerifier } from '../../../src/server/native-verifier.ts';
import { DrivenClock } from '../../support/client-clock.ts';
import { branchAt } from '../../support/client-lie-rows.ts';
import { type Log, lines, plain, readLog, serve } from '../../support/client-lies.ts';
import {
  errorOf,
  type Lie,
  openClient,
  openStage,
  type Stage,
  URL_BASE,
} from '../../support/client-server.ts';
import { LogView } from '../../support/client-tree.ts';

/** Leaves: of the trusted tree, of the checkpoint that was being caught up with, and of the log. */
const [TREE, SIGNED, WHOLE] = [5, 10, 12];

/** `log` whose entries end before its checkpoint does. */
function cutOff(log: Log, at: number): Lie {
  const honest = serve(log);
  return (path, ask, request) => {
    if (!path.startsWith('/registry/entries')) return honest(path, ask, request);
    return lines(log.slice(Number(new URL(path, URL_BASE).searchParams.get('from')), at));
  };
}

async function openLog(): Promise<{ readonly stage: Stage; readonly log: Log }> {
  const stage = await openStage();
  await stage.grow(WHOLE - 1);
  return { stage, log: await readLog(stage) };
}

/** A log of 12, and what is saved of its first 10 after its entries ended with the fifth. */
async function openInterrupted() {
  const { stage, log } = await openLog();
  stage.lie(cutOff(log.slice(0, SIGNED), TREE));
  const trust = memoryTrust();
  await assert.rejects(openClient(stage, { trust }).client.head(), { code: 'unexpected_answer' });
  stage.lie(undefined);
  const text = (await trust.load()) ?? '';
  const { chain, checkpoint } = decodeTrustedState(text);
  assert.deepEqual([chain.tree.size, checkpoint.size], [TREE, SIGNED]);
  return { stage, log, text, checkpoint };
}

test('a smaller checkpoint than one that was believed is a rollback, though the trusted tree leads to it', async () => {
  const { stage, log, text } = await openInterrupted();
  const short = log.slice(0, 7);
  for (const shown of [short, branchAt(short, TREE)]) {
    const trust = memoryTrust(text);
    stage.lie(serve(shown));
    await assert.rejects(openClient(stage, { trust }).client.head(), {
      code: 'rollback',
      details: {
        trusted: SIGNED - 1,
        version: 6,
        trusted_root: decodeTrustedState(text).checkpoint.note.split('\n')[2],
        newer: await new LogView(shown).note(),
      },
    });
    assert.equal(await trust.load(), text);
  }
});

test('a larger checkpoint that does not continue one that was believed is a fork, though it continues the trusted tree', async () => {
  const { stage, log, text, checkpoint } = await openInterrupted();
  const trust = memoryTrust(text);
  const evidence: string[] = [];
  stage.lie(serve(branchAt(log, TREE)));
  const { client } = openClient(stage, { trust, onFork: (found) => void evidence.push(found) });
  await assert.rejects(client.head(), { code: 'fork' });
  assert.equal(await trust.load(), text);
  const [found = ''] = evidence;
  assert.equal(decodeEvidence(found).older, checkpoint.note);
  const keys = parseLogKeys(stage.governance.log_keys);
  const verdict = await judgeEvidence(decodeEvidence(found), keys, createNativeVerifier());
  assert.deepEqual([verdict.isProven, verdict.sizes], [true, [SIGNED, WHOLE]]);
});

test('a larger checkpoint that continues one that was believed goes on, by a proof from that one', async () => {
  const { stage, text } = await openInterrupted();
  const { client } = openClient(stage, { trust: memoryTrust(text) });
  stage.requests.length = 0;
  assert.equal((await client.head()).checkpoint.size, WHOLE);
  assert.ok(stage.requests.includes(`GET /registry/proof/consistency/${SIGNED}/${WHOLE}`));
});

test('a cache that has an older checkpoint than the one that was believed is asked past', async () => {
  const { stage, log, text } = await openInterrupted();
  const old = await new LogView(log.slice(0, 7)).note();
  stage.lie((path, honest, request) =>
    path === '/checkpoint' && request.cache !== 'reload' ? plain(old) : honest(),
  );
  const { client } = openClient(stage, { trust: memoryTrust(text) });
  assert.equal((await client.head()).checkpoint.size, WHOLE);
});

test('a note that says less than a checkpoint that was believed is no news', async () => {
  const { stage, log, text, checkpoint } = await openInterrupted();
  const trusted = openTrustedLog(stage, text);
  await trusted.load();
  const note = (size: number) => new LogView(log.slice(0, size)).note();
  const isNews = await Promise.all([7, 9, WHOLE].map(async (n) => trusted.isNews(await note(n))));
  assert.deepEqual([...isNews, trusted.isNews(checkpoint.note)], [false, false, true, false]);
});

function openTrustedLog(stage: Stage, text?: string): TrustedLog {
  const [clock, verifier] = [new DrivenClock(), createNativeVerifier()];
  const transport = new Transport({
    url: URL_BASE,
    fetch: stage.fetch,
    clock,
    timeoutMs: 30_000,
    maxAttempts: 1,
    token: undefined,
    onRetry: undefined,
  });
  return new TrustedLog({
    answers: new Answers(transport),
    clock,
    maxAttempts: 1,
    registry: stage.registryHash,
    verifier,
    trust: memoryTrust(text),
    rules: {
      verifier,
      policy: NO_WITNESSES,
      maxStaleMs: undefined,
      maxSkewMs: 0,
      now: () => clock.now(),
    },
  });
}

/** A claim that was proven before other work was interrupted on its way to the checkpoint of 10. */
async function openOvertaken(before: (log: Log) => Log) {
  const { stage, log } = await openLog();
  const trusted = openTrustedLog(stage);
  stage.lie(serve(log.slice(0, 3)));
  await trusted.catchUp();
  stage.lie(serve(before(log)));
  const claim = await trusted.claim(undefined, {});
  stage.lie(cutOff(log.slice(0, SIGNED), TREE));
  assert.ok((await errorOf(trusted.catchUp())) instanceof RegistryError);
  assert.deepEqual(sizesOf(trusted), [TREE, SIGNED]);
  return { stage, log, trusted, claim };
}

function sizesOf({ state }: TrustedLog): unknown {
  return [state?.chain.tree.size, state?.checkpoint.size];
}

test('a claim that was proven before other work believed a larger one takes nothing back', async () => {
  const { stage, log, trusted, claim } = await openOvertaken((all) => all.slice(0, 7));
  stage.lie(serve(log.slice(0, SIGNED)));
  const { steps } = await trusted.page(claim, TREE, {});
  assert.deepEqual(await Promise.all(steps.map((step) => trusted.accept(claim, step, {}))), [
    true,
    true,
  ]);
  await trusted.adopt({ ...claim, freshAt: 1 }, {});
  assert.deepEqual(sizesOf(trusted), [7, SIGNED]);
});

test('a claim of another history that was proven before other work believed more is not believed', async () => {
  for (const [end, code] of [
    [7, 'invalid_proof'],
    [WHOLE, 'fork'],
  ] as const) {
    const branch = (all: Log) => branchAt(all.slice(0, end), TREE);
    const { stage, log, trusted, claim } = await openOvertaken(branch);
    stage.lie(serve(branch(log)));
    await assert.rejects(trusted.page(claim, TREE, {}), { code });
    assert.deepEqual(sizesOf(trusted), [TREE, SIGNED]);
  }
});

test('an entry of a claim that other work overtook since is held against what was believed meanwhile', async () => {
  const { stage, log } = await openLog();
  const branch = serve(branchAt(log, TREE + 1));
  const trusted = openTrustedLog(stage);
  stage.lie(serve(log.slice(0, 3)));
  await trusted.catchUp();
  stage.lie(branch);
  const claim = await trusted.claim(undefined, {});
  const { steps } = await trusted.page(claim, 3, {});
  stage.lie(cutOff(log.slice(0, SIGNED), TREE + 1));
  assert.ok((await errorOf(trusted.catchUp())) instanceof RegistryError);
  stage.lie(branch);
  const next = steps[TREE + 1 - 3] ?? assert.fail();
  await assert.rejects(trusted.accept(claim, next, {}), { code: 'fork' });
  assert.deepEqual(sizesOf(trusted), [TREE + 1, SIGNED]);
});
