/** Lies about the head and the entries: each caught with its own code, and nothing believed of it. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { memoryTrust } from '../../../src/client/memory-trust.ts';
import { encodeBase64 } from '../../../src/core/bytes.ts';
import type { ErrorCode } from '../../../src/core/error.ts';
import { hashOf } from '../../../src/core/hash.ts';
import { EMPTY_ROOT } from '../../../src/core/tlog/merkle.ts';
import {
  altered,
  alteredNote,
  at,
  edit,
  editLeaf,
  endless,
  extend,
  type Log,
  type LogEntry,
  lines,
  ndjson,
  plain,
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
import { signNote } from '../../support/client-tree.ts';
import { put, remove } from '../../support/registry.ts';
import {
  descriptorsPayload,
  genesisPayload,
  governancePayload,
  makeGovernance,
  makeLogSigner,
  makeSigner,
  makeSigners,
  supersedePayload,
} from '../../support/signers.ts';

/** Versions up to this are trusted before the lie; entries up to 5 are honest and new. */
const TRUSTED = 2;

const OTHER_HASH = hashOf(new Uint8Array());
const ROOT = new Uint8Array(32).fill(7);
const [one, two, three] = makeSigners(3);
assert.ok(one && two && three);
const signers = [one, two, three];
const mallory = makeSigner('mallory');

/** 0 genesis, 1 puts x, 2 removes it, 3 to 5 grow. */
let log: Log;
let registry: Stage['registryHash'];

async function openHistory(): Promise<Stage> {
  const stage = await openStage();
  await stage.change(put('x', {}));
  await stage.change(remove('x', {}));
  await stage.grow(3);
  return stage;
}

before(async () => {
  const stage = await openHistory();
  log = await readLog(stage);
  registry = stage.registryHash;
});

function approvedBy(
  version: number,
  approvals: (honest: LogEntry['approvals']) => LogEntry['approvals'],
): Lie {
  return serve(
    reseal(
      edit(log, version, (entry) => ({ ...entry, approvals: approvals(entry.approvals) })),
      version,
    ),
  );
}

function leaf(version: number, members: Parameters<typeof editLeaf>[2]): Lie {
  return serve(reseal(editLeaf(log, version, members), version + 1));
}

/** The lines of the page that holds the new entries, changed as text. */
function page(change: (text: string) => string): Lie {
  return at('/registry/entries', async (_path, honest) =>
    ndjson(change(await (await honest()).text())),
  );
}

const swapLines = (text: string): string => {
  const [first, second, ...rest] = text.split('\n');
  return [second, first, ...rest].join('\n');
};

const next = makeGovernance([...signers, mallory], { threshold: 1, version: 2 });
const noted = (note: string) => descriptorsPayload(registry, [put('z', {})], { note });
const stale = () => descriptorsPayload(registry, [put('grown-0', { n: 7 })]);
const elsewhere = genesisPayload(makeGovernance(signers, { threshold: 1 }));

type LieRow = readonly [lie: string, code: ErrorCode, make: () => Lie];

const HEAD_LIES: readonly LieRow[] = [
  ['an old head', 'rollback', () => serve(log.slice(0, TRUSTED))],
  [
    'an empty registry',
    'rollback',
    () =>
      at('/checkpoint', () =>
        Response.json(
          { code: 'not_found' },
          { status: 404, headers: { 'content-type': 'application/problem+json' } },
        ),
      ),
  ],
  [
    'a tree of no leaves',
    'rollback',
    () => at('/checkpoint', async () => plain(await signNote({ size: 0, root: EMPTY_ROOT }))),
  ],
  [
    'another root for the trusted size',
    'fork',
    () => at('/checkpoint', async () => plain(await signNote({ size: 3, root: ROOT }))),
  ],
  [
    'a root that its entries do not lead to',
    'invalid_proof',
    () => at('/checkpoint', async () => plain(await signNote({ size: 6, root: ROOT }))),
  ],
  [
    'the checkpoint of another log',
    'wrong_registry',
    () => serve(log, { origin: 'registry.example.com/other' }),
  ],
  [
    'a checkpoint signed by nobody known',
    'invalid_signature',
    () => serve(log, { signers: [makeLogSigner('mallory')] }),
  ],
  [
    'a checkpoint changed under its signature',
    'invalid_signature',
    () => alteredNote((note) => note.replace('\n6\n', '\n7\n')),
  ],
  [
    'a checkpoint without a signature',
    'invalid_checkpoint',
    () => alteredNote((note) => note.slice(0, note.indexOf('\u2014'))),
  ],
  [
    'a size that is no number',
    'invalid_checkpoint',
    () => alteredNote((note) => note.replace('\n6\n', '\n06\n')),
  ],
  [
    'a checkpoint that is no text',
    'invalid_checkpoint',
    () =>
      at(
        '/checkpoint',
        () =>
          new Response(Uint8Array.of(0xff, 0xfe), { headers: { 'content-type': 'text/plain' } }),
      ),
  ],
  [
    'an html page',
    'unexpected_answer',
    () => () => new Response('<html>', { headers: { 'content-type': 'text/html' } }),
  ],
  [
    'html that says it is text',
    'invalid_checkpoint',
    () => at('/checkpoint', () => plain('<html>')),
  ],
  ['a redirect', 'unexpected_answer', () => () => Response.redirect('http://elsewhere.test/', 302)],
  [
    'an oversized checkpoint',
    'unexpected_answer',
    () => alteredNote((note) => note + note.slice(note.indexOf('\u2014')).repeat(6_000)),
  ],
  [
    'a checkpoint with more signatures than anybody reads',
    'invalid_checkpoint',
    () => alteredNote((note) => note + note.slice(note.indexOf('\u2014')).repeat(100)),
  ],
  [
    'an endless checkpoint',
    'unexpected_answer',
    () => at('/checkpoint', () => plain(endless(' '.repeat(1_000)))),
  ],
  [
    'a proof that fails',
    'invalid_proof',
    () => altered('/registry/proof/consistency', () => ({ proof: [encodeBase64(ROOT)] })),
  ],
  ['no proof', 'unexpected_answer', () => altered('/registry/proof/consistency', () => ({}))],
  [
    'a proof that is not to be had',
    'unexpected_answer',
    () =>
      at('/registry/proof/consistency', (_path, honest) =>
        honest('/registry/proof/consistency/3/99'),
      ),
  ],
];

const PAGE_LIES: readonly LieRow[] = [
  ['a gap', 'unexpected_answer', () => page((text) => text.slice(text.indexOf('\n') + 1))],
  ['entries out of order', 'unexpected_answer', () => page(swapLines)],
  [
    'an entry twice',
    'unexpected_answer',
    () => page((text) => text.slice(0, text.indexOf('\n') + 1) + text),
  ],
  [
    'a page that stops inside a line',
    'unexpected_answer',
    () => page((text) => text.slice(0, -100)),
  ],
  ['no entries at all', 'unexpected_answer', () => page(() => '')],
  ['lines that are no entries', 'unexpected_answer', () => page(() => '{}\n{}\n{}\n')],
  ['spaces in a line', 'unexpected_answer', () => page((text) => text.replaceAll('":', '": '))],
  [
    'a member twice',
    'unexpected_answer',
    () => page((text) => text.replace('{"approvals":', '{"approvals":[],"approvals":')),
  ],
  [
    'an endless line',
    'unexpected_answer',
    () => at('/registry/entries', () => ndjson(endless('x'.repeat(1_000_000)))),
  ],
  [
    'lines without end',
    'unexpected_answer',
    () => at('/registry/entries', () => ndjson(endless('{}\n'.repeat(100_000)))),
  ],
];

const ENTRY_LIES: readonly LieRow[] = [
  [
    'a leaf with a later time, its checkpoint honest',
    'invalid_entry',
    () =>
      at('/registry/entries', () =>
        lines(editLeaf(log, 5, { committed_at: '2026-11-21T09:00:01.000Z' }).slice(TRUSTED + 1)),
      ),
  ],
  [
    'a leaf with a later time, the next entry honest',
    'fork',
    () =>
      at('/registry/entries', () =>
        lines(editLeaf(log, 3, { committed_at: '2026-11-21T09:00:01.000Z' }).slice(TRUSTED + 1)),
      ),
  ],
  ['an entry that follows another one', 'fork', () => leaf(3, { prev_hash: OTHER_HASH })],
  [
    'another payload under the honest leaf',
    'invalid_signature',
    () => serve(edit(log, 4, (entry) => ({ ...entry, payload: noted('swapped').payload }))),
  ],
  [
    'a changed payload with its hashes made right',
    'invalid_signature',
    () =>
      serve(
        reseal(
          edit(log, 4, (entry) => ({ ...entry, payload: { ...entry.payload, note: 'changed' } })),
          4,
        ),
      ),
  ],
  [
    'a changed byte in a signature',
    'invalid_signature',
    () =>
      approvedBy(4, ([a, ...rest]) =>
        a === undefined
          ? []
          : [{ ...a, sig: a.sig.replace(/^./, (c) => (c === 'A' ? 'B' : 'A')) }, ...rest],
      ),
  ],
  ['a dropped approval', 'quorum_not_reached', () => approvedBy(4, (honest) => honest.slice(0, 1))],
  ['no approvals', 'invalid_approval', () => approvedBy(4, () => [])],
  [
    'an approval twice',
    'invalid_approval',
    () => approvedBy(4, ([first]) => (first === undefined ? [] : [first, first])),
  ],
  [
    'an approval of another payload',
    'invalid_signature',
    () => approvedBy(4, ([first]) => [first, log[3]?.approvals[1]].filter((a) => a !== undefined)),
  ],
  [
    'an approval by somebody else',
    'unknown_signer',
    () => serve(extend(log, noted('else'), [one, mallory])),
  ],
  [
    'an approval by a wrong key under a signer id',
    'invalid_signature',
    () =>
      approvedBy(4, ([first]) =>
        first === undefined
          ? []
          : [first, { ...mallory.approve(noted('x')), signer_id: two.signer.signer_id }],
      ),
  ],
  ['a payload that was committed before', 'replayed', () => serve(replay(1))],
  [
    'a payload after it expired',
    'expired',
    () => leaf(5, { committed_at: '2026-12-21T09:00:00.000Z' }),
  ],
  [
    'an entry before the one before it',
    'invalid_entry',
    () => leaf(5, { committed_at: '2026-11-21T08:59:59.000Z' }),
  ],
  ['a wrong set root', 'invalid_entry', () => leaf(5, { set_root: OTHER_HASH })],
  ['a wrong set size', 'invalid_entry', () => leaf(5, { set_size: 17 })],
  ['another governance in force', 'invalid_entry', () => leaf(5, { governance_version: 2 })],
  ['another type than its payload', 'invalid_entry', () => leaf(5, { type: 'supersede' })],
  ['a hash that is not the payload', 'invalid_entry', () => leaf(5, { payload_b3: OTHER_HASH })],
  [
    'hashes that are not the approvals',
    'invalid_entry',
    () => leaf(5, { approvals_b3: OTHER_HASH }),
  ],
  [
    'an approved change whose fence is broken',
    'fence_broken',
    () => serve(extend(log, stale(), [one, two])),
  ],
  [
    'a supersede of an entry that is not the head',
    'fence_broken',
    () => serve(extend(log, supersedePayload(registry, { supersedes: OTHER_HASH }), [one, two])),
  ],
  [
    'a payload signed for another registry',
    'wrong_registry',
    () => serve(extend(log, descriptorsPayload(elsewhere.payloadB3, [put('z', {})]), [one, two])),
  ],
  ['a second genesis', 'wrong_registry', () => serve(extend(log, elsewhere, signers))],
  [
    'a governance by too few',
    'quorum_not_reached',
    () => serve(extend(log, rotation(), [one, mallory])),
  ],
  [
    'a governance whose new signer did not approve',
    'quorum_not_reached',
    () => serve(extend(log, rotation(), [one, two])),
  ],
  [
    'a governance that skips a version',
    'invalid_governance',
    () => serve(extend(log, rotation({ ...next, version: 3 }), [one, two, mallory])),
  ],
  [
    'a governance that gives a signer a second key',
    'invalid_governance',
    () => serve(extend(log, rotation(takeOver()), [one, two, three])),
  ],
];

/** The entry of `version` once more, at the end, where its fences hold again. */
function replay(version: number): Log {
  const { approvals, leaf: honest, payload } = log[version] ?? assert.fail();
  const end = log.slice(0, TRUSTED + 1);
  return reseal(
    [...end, { approvals, leaf: { ...honest, version: TRUSTED + 1 }, payload }],
    TRUSTED + 1,
  );
}

function rotation(governance = next) {
  return governancePayload(registry, {
    next: governance,
    current: makeGovernance(signers, { threshold: 2 }),
  });
}

function takeOver() {
  const taken = next.signers.map((signer) =>
    signer.signer_id === three?.signer.signer_id
      ? { ...signer, public_key: mallory.signer.public_key }
      : signer,
  );
  return {
    ...next,
    signers: taken.filter((signer) => signer.signer_id !== mallory.signer.signer_id),
  };
}

for (const [lie, code, make] of [...HEAD_LIES, ...PAGE_LIES, ...ENTRY_LIES])
  test(`${lie} is ${code}, and is not believed`, async () => {
    const stage = await openStage();
    await stage.change(put('x', {}));
    await stage.change(remove('x', {}));
    const trust = memoryTrust();
    const running = openClient(stage, { trust });
    const believed = await running.client.head();
    const saved = await running.saved();
    assert.equal(believed.version, TRUSTED);
    await stage.grow(3);
    // A client that just started knows the set by its root alone.
    for (const { client } of [running, openClient(stage, { trust })]) {
      stage.lie(make());
      const error = await errorOf(client.head());
      assert.ok(error instanceof Error && 'code' in error, String(error));
      assert.equal(error.code, code, error.message);
      assert.equal(client.trusted()?.entryHash, believed.entryHash);
      assert.equal(await running.saved(), saved);
    }
    stage.lie(undefined);
    assert.equal((await running.client.head()).version, 5);
  });

test('another branch of the same registry is a fork', async () => {
  const stage = await openStage();
  const other = await openStage();
  await stage.grow(1);
  await other.change(put('branch', {}));
  const { client } = openClient(stage);
  await client.head();
  await other.change(put('more', {}));
  stage.lie(serve(await readLog(other)));
  await assert.rejects(client.head(), { code: 'fork' });
  assert.equal(client.trusted()?.version, 1);
});

test('another genesis than the pinned one is another registry, whoever signed its checkpoint', async () => {
  const stage = await openHistory();
  const other = genesisPayload(makeGovernance(signers, { threshold: 2 }), { note: 'other' });
  const fake = reseal(
    edit(log, 0, (entry) => ({
      ...entry,
      payload: other.payload,
      approvals: signers.map((s) => s.approve(other)),
    })),
    0,
  );
  const { client, saved } = openClient(stage);
  stage.lie(serve(fake));
  await assert.rejects(client.head(), { code: 'wrong_registry', message: /begins with/ });
  stage.lie(serve(fake, { isHeadHonest: true }));
  await assert.rejects(client.head(), { code: 'wrong_registry' });
  assert.equal(client.trusted(), undefined);
  assert.equal(await saved(), undefined);
});

test('a broken rule is told with the version it was broken at', async () => {
  const stage = await openHistory();
  const { client } = openClient(stage);
  stage.lie(leaf(4, { set_size: 9 }));
  await assert.rejects(client.head(), {
    code: 'invalid_entry',
    message: /^entry 4: expected .* set_size/,
  });
});
