/** verify.py agrees with `quorate verify` about whole logs, and with core about bundles. */
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { auditRegistry } from '../../src/cli/audit-registry.ts';
import { systemClock } from '../../src/client/clock.ts';
import { Transport } from '../../src/client/transport.ts';
import {
  type BundledEntry,
  type BundleFile,
  encodeBundleFile,
  parseBundleFile,
  verifyBundle,
} from '../../src/core/bundle.ts';
import { decodeUtf8 } from '../../src/core/bytes.ts';
import { parseCanonical } from '../../src/core/canonical.ts';
import { type EntryBytes, encodeLeaf, type Leaf } from '../../src/core/leaf.ts';
import { changesOf, decodePayload } from '../../src/core/payload.ts';
import { proveInclusion } from '../../src/core/tlog/merkle.ts';
import { parsePolicy } from '../../src/core/tlog/policy.ts';
import {
  encodeBundle,
  formatTileName,
  parseTileName,
  type TileName,
  tileWidth,
} from '../../src/core/tlog/tiles.ts';
import { assertWitnessed } from '../../src/core/tlog/witnessed.ts';
import { createNativeVerifier } from '../../src/server/native-verifier.ts';
import { createNoteVerifier } from '../../src/server/note-verifier.ts';
import { makeCosigner, signedNote } from '../support/core-checkpoint.ts';
import { makeTestLog } from '../support/core-log.ts';
import { sampled } from '../support/core-long.ts';
import { mutantArbitrary } from '../support/core-mutants.ts';
import { growTree } from '../support/core-tlog.ts';
import { assertSameVerdicts, NEEDS_PYTHON, type SharedCase } from '../support/second-verifier.ts';

const verifier = { ...createNativeVerifier(), ...createNoteVerifier() };
const log = makeTestLog();
const SIZE = log.appended.length;
const TIME = 1_795_251_605;
const WITNESS = makeCosigner('w1.example.com', 61);
const POLICY = `witness w1 ${WITNESS.vkey}\nquorum w1`;
const cosigned = { more: (text: string) => [WITNESS.cosign(text, TIME)] };

const folder = mkdtempSync(join(tmpdir(), 'quorate-second-'));
after(() => rmSync(folder, { recursive: true }));

/** As `GET /registry/entries` writes it. */
function lineOf({ leaf, payload, approvals }: EntryBytes): string {
  const [a, l, p] = [approvals, leaf, payload].map(decodeUtf8);
  return `{"approvals":${a},"leaf":${l},"payload":${p}}`;
}

async function tileOf(name: TileName): Promise<Uint8Array> {
  const places = Array.from({ length: name.width }, (_, i) => ({
    level: 8 * Number(name.level),
    index: name.index * 256 + i,
  }));
  return name.level === 'entries'
    ? encodeBundle(log.appended.slice(0, name.width).map(({ entry }) => entry.leaf))
    : Buffer.concat(await log.read(places));
}

/** What the log served when it had `size` entries. */
async function writeLog(path: string, { size = SIZE, seed = 201 } = {}): Promise<string> {
  const root = join(folder, path);
  const files = new Map<string, string | Uint8Array>();
  files.set('checkpoint', await log.note(size, { seed, ...cosigned }));
  files.set('entries.ndjson', log.appended.map(({ entry }) => `${lineOf(entry)}\n`).join(''));
  for (const level of ['entries', 0] as const) {
    const name = { level, index: 0, width: size };
    files.set(`tile/${formatTileName(name)}`, await tileOf(name));
  }
  for (const [name, content] of files) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), content);
  }
  return root;
}

/** What `quorate verify` says of the folder when it is served; files that no route asks for are looked at here. */
async function audit(root: string, policyText: string | null): Promise<unknown> {
  const asked = new Set<string>();
  const policy = policyText === null ? undefined : parsePolicy(policyText);
  const { version, entry_hash, set_root, checkpoint } = await auditRegistry({
    verifier,
    verifySignatures: async (batch) => {
      const verdicts = await Promise.all(batch.map((signed) => verifier.verify(signed)));
      return verdicts.indexOf(false);
    },
    isPrunedAccepted: false,
    witnesses: async (found) => policy && assertWitnessed(found, policy, verifier),
    transport: new Transport({
      url: 'http://folder.test',
      fetch: async (url) => serveFile(root, { url: new URL(String(url)), asked }),
      clock: systemClock(Date.now),
      timeoutMs: 10_000,
      maxAttempts: 1,
    }),
    registry: undefined,
    known: undefined,
    from: undefined,
    onVerified: async () => {},
    signal: new AbortController().signal,
    onProgress: () => {},
  });
  const tiles = hasStray(join(root, 'tile'), { size: version + 1, asked })
    ? undefined
    : countTiles(root);
  return tiles && [version, entry_hash, set_root, checkpoint?.size, tiles, checkpoint?.fresh_at];
}

/** As the routes of the log answer. The set is as the entries give it: verify.py has no file of it. */
function serveFile(root: string, { url, asked }: { url: URL; asked: Set<string> }): Response {
  const { pathname, searchParams } = url;
  asked.add(pathname);
  const set = /^\/registry\/(\d+)\/set$/.exec(pathname);
  if (set !== null) return Response.json({ items: setAt(Number(set[1])) });
  if (pathname === '/registry/entries') {
    const [from, limit] = ['from', 'limit'].map((name) => Number(searchParams.get(name)));
    const lines = readFileSync(join(root, 'entries.ndjson')).toString('latin1').split('\n');
    const text = lines
      .slice(from, from! + limit!)
      .map((line) => `${line}\n`)
      .join('');
    return answer(Buffer.from(text, 'latin1'), 'application/x-ndjson');
  }
  const path = join(root, pathname);
  if (!existsSync(path)) return new Response('', { status: 404 });
  const type = pathname === '/checkpoint' ? 'text/plain' : 'application/octet-stream';
  return answer(readFileSync(path), type);
}

const answer = (bytes: Uint8Array, type: string): Response =>
  new Response(Uint8Array.from(bytes), { headers: { 'content-type': type } });

function setAt(version: number): unknown[] {
  const items = new Map<string, unknown>();
  for (const { entry } of log.appended.slice(0, version + 1))
    for (const change of changesOf(decodePayload(entry.payload).payload))
      if (change.op === 'put') {
        const { kind, id, spec } = change;
        items.set(`${kind}/${id}`, { kind, id, spec });
      }
  return [...items.values()];
}

const filesBelow = (root: string): string[] =>
  globSync('**', { cwd: root, withFileTypes: true })
    .filter((file) => file.isFile())
    .map((file) => join(file.parentPath, file.name).slice(root.length + 1));

const countTiles = (root: string): number => filesBelow(join(root, 'tile')).length;

/** Small logs: everything is in the first tile of level 0. */
function hasStray(
  root: string,
  { size, asked }: { size: number; asked: ReadonlySet<string> },
): boolean {
  return filesBelow(root).some((path) => {
    if (asked.has(`/tile/${path}`)) return false;
    const name = parseTileName(path);
    if (name === undefined || name.width > tileWidth(name, size)) return true;
    const chosen = log.appended.slice(0, name.width);
    const expected =
      name.level === 'entries'
        ? encodeBundle(chosen.map(({ entry }) => entry.leaf))
        : Buffer.concat(chosen.map(({ nodes }) => nodes[0]!.hash));
    return !readFileSync(join(root, path)).equals(expected);
  });
}

function registryCase(what: string, root: string, policy: string | null = null): SharedCase {
  return { what, theirs: ['registry', root, policy], ours: () => audit(root, policy) };
}

type Damage = readonly [file: string, change: (content: Buffer) => string | Uint8Array | null];

const replaced = (from: string, to: string) => (content: Buffer) =>
  content.toString().replace(from, to);
const swapped = (content: Buffer): string => {
  const lines = content.toString().split('\n');
  return [lines[0], lines[2], lines[1], ...lines.slice(3)].join('\n');
};

test('quorate verify and the second verifier pass the same logs', NEEDS_PYTHON, async (t) => {
  const whole = await writeLog('whole');
  const [tile, bundle] = [`tile/0/000.p/${SIZE}`, `tile/entries/000.p/${SIZE}`];
  const flips = ['checkpoint', 'entries.ndjson', tile, bundle].flatMap((file) =>
    Array.from(
      { length: 12 },
      (_, i): Damage => [
        file,
        (content) =>
          content.with(
            Math.floor((content.length * i) / 12),
            content[Math.floor((content.length * i) / 12)]! ^ 1,
          ),
      ],
    ),
  );
  const narrow = { level: 0, index: 0, width: 3 };
  const narrowBytes = await tileOf(narrow);
  const foreign = signedNote(
    { origin: 'registry.example.com/other', size: SIZE, root: log.chain.tree.root },
    { seed: 201 },
  );
  const otherRoot = signedNote({ size: SIZE, root: new Uint8Array(32) }, { seed: 201 });
  const damages: Damage[] = [
    ...flips,
    [tile, () => null],
    [bundle, () => null],
    ['tile/0/000.p/3', () => narrowBytes],
    ['tile/0/000.p/4', () => narrowBytes],
    ['tile/0/000.p/9', () => Buffer.alloc(9 * 32)],
    ['tile/1/000.p/1', () => Buffer.alloc(32)],
    ['tile/README', () => 'no tile'],
    ['checkpoint', () => foreign],
    ['checkpoint', () => otherRoot],
    ['checkpoint', replaced('\u2014 registry', '\u2014 w')],
    ['entries.ndjson', swapped],
    ['entries.ndjson', (content) => content.toString().split('\n').slice(0, -2).join('\n')],
    ['entries.ndjson', (content) => `${content}not an entry`],
    [
      'entries.ndjson',
      replaced('"committed_at":"2026-11-21T09:00:03', '"committed_at":"2026-11-21T09:00:04'),
    ],
    ['entries.ndjson', replaced('"op":"put"', '"op":"put" ')],
  ];
  const cases = [registryCase('whole', whole), registryCase('whole, with a policy', whole, POLICY)];
  cases.push(
    registryCase(
      'unwitnessed',
      whole,
      POLICY.replace(WITNESS.vkey, makeCosigner('w1.example.com', 62).vkey),
    ),
  );
  for (const [i, [file, change]] of damages.entries()) {
    const root = join(folder, `damaged-${i}`);
    cpSync(whole, root, { recursive: true });
    const path = join(root, file);
    const content = change(existsSync(path) ? readFileSync(path) : Buffer.alloc(0));
    mkdirSync(dirname(path), { recursive: true });
    if (content === null) rmSync(path);
    else writeFileSync(path, content);
    cases.push(registryCase(`${file}, damage ${i}`, root));
  }
  await assertSameVerdicts(t, cases, { accepted: 4, refused: 55 });
});

test(
  'both ask for the log keys that were in force at the size of a checkpoint',
  NEEDS_PYTHON,
  async (t) => {
    // Version 2 replaces the key of seed 200 by that of seed 201: it is the third entry.
    const cases: SharedCase[] = [];
    for (const size of [1, 2, 3, 4, SIZE])
      for (const seed of [200, 201])
        cases.push(
          registryCase(
            `${size} entries, key ${seed}`,
            await writeLog(`rotated-${size}-${seed}`, { size, seed }),
          ),
        );
    await assertSameVerdicts(t, cases, { accepted: 5, refused: 5 });
  },
);

const bundleCase = (
  what: string,
  bytes: Uint8Array,
  pin: string,
  policy: string | null = null,
): SharedCase => ({
  what,
  theirs: ['bundle', Buffer.from(bytes).toString('base64'), pin, policy],
  ours: async () => {
    const { checkpoint, lineage } = await verifyBundle(parseBundleFile(bytes), {
      pin: pin as `b3:${string}`,
      verifier,
    });
    const { registry, version, entryHash } = lineage;
    const time =
      policy === null
        ? null
        : (await assertWitnessed(checkpoint, parsePolicy(policy), verifier)).time;
    return [registry, version, entryHash, checkpoint.size, time];
  },
});

test('both judge the same bundles, cut and put together in every way', NEEDS_PYTHON, async (t) => {
  const note = await log.note(SIZE, { seed: 201, ...cosigned });
  const all = Array.from({ length: SIZE }, (_, i) => i);
  const { registry } = log.chain;
  const pins = [
    registry,
    log.at(2).chain.entryHash,
    log.at(1).chain.entryHash,
    log.at(6).chain.entryHash,
  ];
  const choices = fc.sample(fc.tuple(fc.subarray(all, { minLength: 1 }), fc.nat(7)), {
    numRuns: 120,
    seed: 29,
  });
  const cases: SharedCase[] = [];
  for (const [versions, nth] of choices) {
    const pin = pins[nth] ?? (versions[0] === 0 ? registry : log.at(versions[0]!).chain.entryHash);
    const bundle = encodeBundleFile(await log.bundle(versions, { note }));
    cases.push(bundleCase(`versions ${versions} from ${pin}`, bundle, pin, POLICY));
  }
  const chosen = await log.bundle([0, 2, 6, 7], { note });
  const with_ = (
    change: (entries: readonly BundledEntry[]) => readonly BundledEntry[],
  ): Uint8Array => encodeBundleFile({ ...chosen, entries: change(chosen.entries) });
  const earlier = await log.bundle([0, 1], { size: 2 });
  const others: Record<string, Uint8Array> = {
    whole: encodeBundleFile(chosen),
    'turned round': with_((entries) => entries.toReversed()),
    'an entry twice': with_(([a, b, ...rest]) => [a!, b!, b!, ...rest]),
    'without a proof': with_(([a, ...rest]) => [{ ...a!, proof: [] }, ...rest]),
    'the proof of another': with_(([a, b, ...rest]) => [
      { ...a!, proof: b!.proof },
      { ...b!, proof: a!.proof },
      ...rest,
    ]),
    'the payload of another': with_(([a, b, c, d]) => [a!, b!, c!, { ...d!, payload: b!.payload }]),
    'approvals of another': with_(([a, b, c, d]) => [
      a!,
      b!,
      { ...c!, approvals: b!.approvals },
      d!,
    ]),
    'under an older checkpoint': encodeBundleFile({
      ...chosen,
      checkpoint: await log.note(7, { seed: 201 }),
    }),
    'under a retired log key': encodeBundleFile({
      ...chosen,
      checkpoint: await log.note(SIZE, { seed: 200 }),
    }),
    'under its log key before the rotation': encodeBundleFile(earlier),
    'without cosignatures': encodeBundleFile({
      ...chosen,
      checkpoint: await log.note(SIZE, { seed: 201 }),
    }),
  };
  for (const [what, bytes] of Object.entries(others))
    for (const policy of [null, POLICY]) cases.push(bundleCase(what, bytes, registry, policy));
  await assertSameVerdicts(t, cases, { accepted: 20, refused: 60 });
});

/** Under a checkpoint that the log's key signed over a genesis and a leaf that no honest log has. */
async function forged(change: Partial<Leaf>, version = 1): Promise<Uint8Array> {
  const honest = log.at(version);
  const leaf = encodeLeaf({ ...honest.leaf, ...change });
  const before = log.appended.slice(0, version).map(({ entry }) => entry);
  const { trees, read } = growTree([...before.map((entry) => entry.leaf), leaf]);
  const size = version + 1;
  const [first, last] = await Promise.all(
    [0, version].map((index) => proveInclusion({ index, size }, read)),
  );
  const note = { size, root: trees[size]!.root };
  return encodeBundleFile({
    checkpoint: signedNote(note, { seed: version < 2 ? 200 : 201 }),
    entries: [
      { ...before[0]!, proof: first! },
      { ...honest.entry, leaf, proof: last! },
    ],
  });
}

test('both judge the same bundles over leaves that no honest log has', NEEDS_PYTHON, async (t) => {
  const hash = log.at(3).chain.entryHash;
  const changes: readonly Partial<Leaf>[] = [
    {},
    { set_root: hash },
    { set_size: 9 },
    { prev_hash: hash },
    { prev_hash: null },
    { governance_version: 2 },
    { committed_at: '2026-11-21T09:00:00.500Z' },
    { committed_at: '2026-11-21T09:00:01.000Z' },
    { committed_at: '2026-11-28T09:00:00.000Z' },
    { committed_at: '2026-11-28T09:00:00.001Z' },
    { approvals_b3: hash },
    { payload_b3: hash },
    { payload_bytes: 9 },
    { type: 'supersede' },
    { origin: 'registry.example.com/other' },
    { version: 2 },
  ];
  const { registry } = log.chain;
  const cases: SharedCase[] = [];
  for (const change of changes)
    for (const version of [1, 2])
      cases.push(bundleCase(JSON.stringify(change), await forged(change, version), registry));
  for (const versions of [
    [0, 1, 1],
    [0, 2, 2, 3],
    [0, 2, 4, 3],
    [0, 2, 5, 5],
  ]) {
    const note = await log.note(SIZE, { seed: 201 });
    const bundle = encodeBundleFile(await log.bundle(versions, { note }));
    cases.push(bundleCase(`versions ${versions}`, bundle, registry));
  }
  await assertSameVerdicts(t, cases, { accepted: 10, refused: 20 });
});

test('both judge the same bundles, mutated', NEEDS_PYTHON, async (t) => {
  const { registry } = log.chain;
  const files: BundleFile[] = [
    await log.bundle([0, 1], { size: 2 }),
    await log.bundle([0, 2], { size: 3, note: await log.note(3, { seed: 201 }) }),
  ];
  const bases = files.map((file) =>
    parseCanonical(encodeBundleFile(file), { maxDepth: 40, maxTokens: 10_000 }),
  );
  const mutants = fc.sample(mutantArbitrary(bases), { numRuns: 2400, seed: 31 });
  const cases = sampled(t, mutants, 6).map((bytes) => bundleCase('a mutant', bytes, registry));
  await assertSameVerdicts(t, cases, { accepted: 20, refused: 200 });
});
