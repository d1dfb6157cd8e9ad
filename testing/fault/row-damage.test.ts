/**
 * One changed byte in any part of any row of the database: the start is refused, or the reads that
 * meet it are, or nobody can tell. Never an answer with other bytes, never a signature over them.
 */
import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import { RegistryError } from '../../src/core/error.ts';
import { type Hash, hashOf } from '../../src/core/hash.ts';
import type { DecodedPayload } from '../../src/core/payload.ts';
import { openTestApp, type TestApp } from '../support/http-app.ts';
import { makeRandom } from '../support/random.ts';
import { keepCheckpoint, put, remove } from '../support/registry.ts';
import {
  descriptorsPayload,
  governancePayload,
  makeGovernance,
  makeSigners,
  supersedePayload,
} from '../support/signers.ts';
import { type Cell, cellsOf } from '../support/store-cells.ts';
import { openInProcess } from '../support/store-in-process.ts';
import { makePath } from '../support/store-sqlite.ts';

const IS_LONG = process.env.QUORATE_TEST_LONG === '1';
const SIGNERS = 4;
/** Rows of each part of each tree, in a short run. */
const PER_PART = 2;

/** SQLite's own name for what UNIQUE needs on `entries.payload_b3`. */
const PAYLOAD_INDEXES = ['sqlite_autoindex_entries_1', 'entries_payload_twice'];

interface Fixture {
  /** Closed in good order. */
  readonly path: string;
  readonly name: string;
  /** In flight, with a quorum. */
  readonly ready: DecodedPayload;
  readonly proposals: readonly Hash[];
  /** What each read answers while nothing is damaged. */
  readonly answers: ReadonlyMap<string, Answer>;
  /** The checkpoint after the proposal that is ready was committed. */
  readonly grown: string;
}

/** `undefined`: refused. */
type Answer = string | undefined;

const BIG = { text: 'x'.repeat(9_000) };

async function openAt(path: string, { isChecked = true } = {}): Promise<TestApp> {
  const store = openInProcess(path);
  return openTestApp({ registry: { store, signerCount: SIGNERS, isBegun: false, isChecked } });
}

/** A log with everything in it, three proposals in flight, and a kept checkpoint. */
async function writeLog(
  path: string,
): Promise<
  Pick<Fixture, 'ready' | 'proposals'> & { readonly olderNote: string; readonly newestNote: string }
> {
  const store = openInProcess(path);
  const app = await openTestApp({ registry: { store, signerCount: SIGNERS } });
  const { registryHash, change, signers, governance } = app;
  await change(put('a', { v: 1 }), put('b', { v: 1 }), put('c/d', { v: 1 }));
  await change(put('a', { v: 2 }, { v: 1 }), put('e', BIG));
  await change(remove('b', { v: 1 }));
  const wider = makeGovernance(makeSigners(SIGNERS), { threshold: 3, version: 2 });
  await app.commit(governancePayload(registryHash, { next: wider, current: governance }), signers);
  const three = signers.slice(0, 3);
  const more = (changes: Parameters<typeof descriptorsPayload>[1], note: string) =>
    descriptorsPayload(registryHash, changes, { note });
  await app.commit(more([put('b', { v: 2 })], 'again'), three);
  const last = await app.commit(more([put('f', { v: 1 }), put('g', { v: 1 })], 'two'), three);
  const supersede = supersedePayload(registryHash, {
    supersedes: last.object.entry_hash,
    changes: [remove('f', { v: 1 })],
  });
  await app.commit(supersede, three);
  const narrower = makeGovernance(makeSigners(SIGNERS), { threshold: 2, version: 3 });
  await app.commit(governancePayload(registryHash, { next: narrower, current: wider }), signers);
  const olderNote = app.registry.checkpoint()?.note ?? '';
  for (const v of [2, 3, 4]) await change(put('c/d', { v }, { v: v - 1 }));
  await change(put('h', { v: 1 }), remove('g', { v: 1 }));
  const committed = (await store.entries({ from: 0, limit: 99 })).map((e) => hashOf(e.payload));
  const ready = more([put('i', { v: 1 })], 'ready');
  const begun = more([put('j', { v: 1 })], 'begun');
  const blocked = more([put('a', { v: 9 }, { v: 1 })], 'blocked');
  for (const [proposal, count] of [
    [ready, 2],
    [begun, 1],
    [blocked, 2],
  ] as const) {
    await app.registry.proposals.propose(proposal.bytes);
    for (const signer of signers.slice(0, count))
      await app.registry.proposals.approve(proposal.payloadB3, signer.approve(proposal));
  }
  await keepCheckpoint(app);
  const newestNote = app.registry.checkpoint()?.note ?? '';
  await app.registry[Symbol.asyncDispose]();
  const inFlight = [ready, begun, blocked].map((p) => p.payloadB3);
  return { ready, olderNote, newestNote, proposals: [...inFlight, ...committed] };
}

const IDS = ['a', 'b', 'c/d', 'e', 'f', 'g', 'h', 'never'];

function readsOf(head: number, proposals: readonly Hash[]): readonly string[] {
  const versions = Array.from({ length: head + 1 }, (_, version) => version);
  const size = head + 1;
  return [
    '/registry/head',
    '/registry/head/entry',
    ...['head', ...versions].flatMap((v) => [`/registry/${v}/set`, `/registry/${v}/governance`]),
    ...versions.flatMap((v) => [
      `/registry/${v}`,
      `/registry/proof/inclusion/${v}/${size}`,
      `/registry/proof/consistency/${v}/${size}`,
      `/registry/${v}/tlog-proof`,
    ]),
    ...IDS.flatMap((id) => [
      `/registry/head/descriptors/service/${id}?proof=1`,
      `/registry/6/descriptors/service/${id}`,
      `/registry/2/descriptors/service/${id}?proof=1`,
      `/registry/history/service/${id}`,
    ]),
    ...versions.flatMap((v) => [
      `/registry/diff?from=${v}&to=${head}`,
      `/registry/diff?from=${v}&to=4`,
    ]),
    ...[0, 1, 5, head].map((from) => `/registry/entries?from=${from}&limit=${size}`),
    ...versions.map((from) => `/registry/entries?from=${from}&limit=2`),
    '/checkpoint',
    ...[
      `0/000.p/${size}`,
      '0/000.p/8',
      '0/000.p/5',
      `entries/000.p/${size}`,
      'entries/000.p/3',
    ].map((tile) => `/tile/${tile}`),
    '/registry/proposals',
    ...proposals.flatMap((id) => [
      `/registry/proposals/${id}`,
      `/registry/proposals/${id}/payload`,
    ]),
  ];
}

/** Everything that a reader can tell one answer from another by. */
async function ask({ app, hungUp }: TestApp, path: string): Promise<Answer> {
  const before = hungUp();
  const response = await app.fetch(new Request(`http://127.0.0.1:7070${path}`));
  const body = await response.text().catch(() => undefined);
  if (response.status >= 500 || body === undefined || hungUp() !== before) return undefined;
  const headers = ['etag', 'content-location', 'content-type'].map((h) => response.headers.get(h));
  return JSON.stringify([response.status, ...headers, body]);
}

/** The checkpoint after a commit; `undefined` when it is refused. */
async function grow({ registry }: TestApp, { payloadB3 }: DecodedPayload): Promise<Answer> {
  try {
    await registry.proposals.commit(payloadB3);
    return registry.checkpoint()?.note;
  } catch (error) {
    assert.ok(error instanceof RegistryError, `${error}`);
    return undefined;
  }
}

function copyOf(path: string): string {
  const copy = makePath();
  copyFileSync(path, copy);
  return copy;
}

/** A line that no log key vouches for: it must not be served altered either. */
const COSIGNATURE = `\u2014 witness.example/w1 ${Buffer.alloc(76, 7).toString('base64')}\n`;

/** By the checkpoint that was kept: of the head, of an earlier entry, cosigned, or none at all. */
async function makeFixtures(): Promise<readonly Fixture[]> {
  const newest = makePath();
  const { olderNote, newestNote, ...written } = await writeLog(newest);
  const fixtures: Fixture[] = [];
  for (const [name, note] of [
    ['newest', undefined],
    ['older', olderNote],
    ['cosigned', `${newestNote}${COSIGNATURE}`],
    ['none', null],
  ] as const) {
    const path = copyOf(newest);
    const db = new Database(path);
    if (note === null) db.exec('DELETE FROM checkpoint');
    else if (note !== undefined) db.prepare('UPDATE checkpoint SET note = ?').run(note);
    db.close();
    const app = await openAt(copyOf(path));
    const answers = new Map<string, Answer>();
    for (const read of readsOf(app.registry.head()?.version ?? -1, written.proposals)) {
      const answer = await ask(app, read);
      assert.ok(answer !== undefined, `${read} is refused while nothing is damaged`);
      answers.set(read, answer);
    }
    const grown = await grow(app, written.ready);
    assert.ok(grown !== undefined, 'nothing can be committed while nothing is damaged');
    await app.registry[Symbol.asyncDispose]();
    fixtures.push({ ...written, name, path, answers, grown });
  }
  return fixtures;
}

interface Damage {
  readonly fixture: Fixture;
  readonly cell: Cell;
  readonly offset: number;
  /** What the byte differs in. */
  readonly mask: number;
}

interface Verdict {
  readonly outcome: 'refused start' | 'refused read' | 'unseen';
  /** Reads that gave other bytes, with both. */
  readonly altered: readonly string[];
}

/** Answers the path of a damaged copy. */
function damage({ fixture, offset, mask }: Damage): string {
  const path = copyOf(fixture.path);
  const file = readFileSync(path);
  file[offset] = file[offset]! ^ mask;
  writeFileSync(path, file);
  return path;
}

async function judge(one: Damage): Promise<Verdict> {
  const { fixture, offset, cell } = one;
  let app: TestApp;
  try {
    app = await openAt(damage(one), { isChecked: offset % 2 === 0 });
  } catch (error) {
    assert.ok(error instanceof RegistryError, `${cell.tree}.${cell.part}: ${error}`);
    return { outcome: 'refused start', altered: [] };
  }
  const altered: string[] = [];
  let refused = 0;
  for (const [read, expected] of fixture.answers) {
    const answer = await ask(app, read);
    if (answer === undefined) refused++;
    else if (answer !== expected) altered.push(`${read} ${differenceOf(expected, answer)}`);
  }
  const grown = await grow(app, fixture.ready);
  if (grown !== undefined && grown !== fixture.grown)
    altered.push(`a new checkpoint ${differenceOf(fixture.grown, grown)}`);
  await app.registry[Symbol.asyncDispose]();
  return { outcome: refused > 0 ? 'refused read' : 'unseen', altered };
}

/** Around the first byte in which two answers differ. */
function differenceOf(expected: Answer = '', answer: Answer = ''): string {
  const at = [...expected].findIndex((char, i) => char !== answer[i]);
  const part = (text: string) => text.slice(Math.max(0, at - 30), at + 30);
  return `has ${part(answer)} for ${part(expected)}`;
}

/** A bit of a byte, or any of its bits. */
function maskOf(random: () => number): number {
  return random() < 0.5 ? 2 ** Math.floor(random() * 8) : 1 + Math.floor(random() * 255);
}

/** Some rows of every part of every tree; all of them in a long run. */
function damages(fixtures: readonly Fixture[], random: () => number): readonly Damage[] {
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!;
  const all = fixtures.flatMap((fixture) =>
    cellsOf(fixture.path).map((cell) => ({ fixture, cell })),
  );
  const parts = Map.groupBy(all, ({ cell }) => `${cell.tree}.${cell.part}`);
  return [...parts.values()].flatMap((places) => {
    // The fewer rows, the more bytes of each.
    const count = places.length < 10 ? 4 * PER_PART : PER_PART;
    const chosen = IS_LONG ? places : Array.from({ length: count }, () => pick(places));
    return chosen.map(({ fixture, cell }) => ({
      fixture,
      cell,
      offset: pick(cell.offsets),
      mask: maskOf(random),
    }));
  });
}

test('a changed byte in any row is refused or makes no difference', async (t) => {
  const seed = Number(process.env.QUORATE_TEST_SEED ?? Date.now() % 2 ** 31);
  t.diagnostic(`seed ${seed}`);
  const fixtures = await makeFixtures();
  const counts = new Map<string, number>();
  const altered: string[] = [];
  const all = damages(fixtures, makeRandom(seed));
  for (const [i, one] of all.entries()) {
    // A diagnostic is seen only when the test has ended.
    if (IS_LONG && i % 100 === 0) console.log(`${i} of ${all.length} damages`);
    const { fixture, cell, offset, mask } = one;
    const verdict = await judge(one);
    counts.set(verdict.outcome, (counts.get(verdict.outcome) ?? 0) + 1);
    if (verdict.altered.length > 0)
      altered.push(
        `${cell.tree}.${cell.part} of row ${cell.row}, byte ${offset} ^ ${mask}, kept ${fixture.name}: ${verdict.altered.join('; ')}`,
      );
  }
  t.diagnostic(JSON.stringify(Object.fromEntries(counts)));
  // Not one assertion over all: its report would be cut in the middle.
  for (const line of altered) t.diagnostic(line);
  assert.equal(altered.length, 0, 'damage was served');
  for (const outcome of ['refused start', 'refused read', 'unseen'])
    assert.ok((counts.get(outcome) ?? 0) > 0, `no damage was ${outcome}`);
});

test('an index that no longer finds a committed payload lets it be committed no second time', async () => {
  const [fixture] = await makeFixtures();
  assert.ok(fixture);
  const cells = cellsOf(fixture.path).filter(
    ({ tree, part }) => PAYLOAD_INDEXES.includes(tree) && part === 'payload_b3',
  );
  assert.equal(cells.length, 26);
  for (const cell of cells) {
    const path = damage({ fixture, cell, offset: cell.offsets[31]!, mask: 1 });
    const store = openInProcess(path);
    const codes = new Set<string>();
    for (const { payload } of await store.entries({ from: 0, limit: 100 }))
      await store.committedVersion(hashOf(payload)).catch((error: unknown) => {
        codes.add(error instanceof RegistryError ? error.code : String(error));
      });
    assert.deepEqual([...codes], ['storage_damaged'], `${cell.tree}, row ${cell.row}`);
    await store[Symbol.asyncDispose]();
    const app = await openAt(path);
    assert.equal(app.registry.readiness().writeReady, false, 'the walk finds it too');
    assert.equal(await grow(app, fixture.ready), undefined);
    await app.registry[Symbol.asyncDispose]();
  }
});
