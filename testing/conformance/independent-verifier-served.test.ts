/** What the service serves, from its routes to files, is what verify.py understands by docs/wire-format.md. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { encodeUtf8 } from '../../src/core/bytes.ts';
import { canonicalBytes, type JsonObject } from '../../src/core/canonical.ts';
import { encodeCheckpoint } from '../../src/core/tlog/checkpoint.ts';
import { recordHash } from '../../src/core/tlog/merkle.ts';
import { encodeNote } from '../../src/core/tlog/note.ts';
import { formatTileName, TILE_WIDTH, tileWidth } from '../../src/core/tlog/tiles.ts';
import { parseVerifierKey } from '../../src/core/vkey.ts';
import { clockNameOf, openClock } from '../../src/registry/clock.ts';
import { createCosignerKey } from '../../src/registry/witness-cosign.ts';
import { createNoteVerifier } from '../../src/server/note-verifier.ts';
import { openTestApp } from '../support/http-app.ts';
import { put, SILENT_LOG } from '../support/registry.ts';
import {
  assertSameVerdicts,
  NEEDS_PYTHON,
  type SharedCase,
  secondVerdict,
} from '../support/second-verifier.ts';
import { LOG_SIGNER, makeLogSigner, ORIGIN, START } from '../support/signers.ts';
import { TestTimers } from '../support/timers.ts';

/** More than one tile of level 0. */
const SIZE = 259;
const timers = new TestTimers(START);
const clock = createCosignerKey(clockNameOf(ORIGIN), makeLogSigner('clock'));
const POLICY = `witness clock ${clock.vkey}\nquorum clock`;
const now = () => timers.now();
const app = await openTestApp({
  registry: {
    timers,
    now,
    cosigners: [
      openClock({
        signer: clock.signer,
        name: null,
        intervalMs: 5_000,
        verifier: createNoteVerifier(),
        metrics: { cosigned() {}, witnessSize() {}, witnessRequested() {} },
        log: SILENT_LOG,
        now,
        timers,
      }),
    ],
  },
});
for (let version = 1, before: JsonObject | undefined; version < SIZE; version++) {
  const spec: JsonObject = { version };
  await app.change(put('billing', spec, before));
  before = spec;
}
while (!app.registry.checkpoint()?.note.includes(clock.key.name))
  await new Promise((resolve) => setImmediate(resolve));

const folder = mkdtempSync(join(tmpdir(), 'quorate-served-'));
after(() => rmSync(folder, { recursive: true }));

async function bytesAt(path: string): Promise<Uint8Array> {
  const response = await app.get(path);
  assert.equal(response.status, 200, path);
  return new Uint8Array(await response.arrayBuffer());
}

async function save(path: string, name = path): Promise<void> {
  const file = join(folder, name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, await bytesAt(`/${path}`));
}

async function saveLog(): Promise<void> {
  await save('checkpoint');
  const pages: Uint8Array[] = [];
  for (let from = 0; from < SIZE; from += 100)
    pages.push(await bytesAt(`/registry/entries?from=${from}&limit=100`));
  writeFileSync(join(folder, 'entries.ndjson'), Buffer.concat(pages));
  for (const level of ['entries', 0, 1, 2] as const)
    for (let index = 0, width = tileWidth({ level, index }, SIZE); width > 0; ) {
      await save(`tile/${formatTileName({ level, index, width })}`);
      // Beside each full tile a narrow one, which is served too.
      if (width === TILE_WIDTH) await save(`tile/${formatTileName({ level, index, width: 7 })}`);
      width = tileWidth({ level, index: ++index }, SIZE);
    }
  writeFileSync(join(folder, 'policy'), POLICY);
}

test(
  'a served log passes the audit of the second verifier, cosigned and all',
  NEEDS_PYTHON,
  async () => {
    await saveLog();
    const { found, refusal } = secondVerdict('registry', [folder, join(folder, 'policy')]);
    assert.equal(refusal, '');
    const head = app.registry.head()!.object;
    assert.deepEqual(found, {
      committed_at: head.committed_at,
      entry_hash: head.entry_hash,
      governance_version: 1,
      origin: ORIGIN,
      registry: head.registry,
      set_root: head.set_root,
      set_size: 1,
      version: SIZE - 1,
      size: SIZE,
      tiles: 7,
      time: Math.floor(START / 1000),
    });
  },
);

test(
  'served proofs hold for the second verifier, and those of another place do not',
  NEEDS_PYTHON,
  async (t) => {
    const cases: SharedCase[] = [];
    const { log_keys: vkeys } = app.governance;
    const json = async (path: string) => JSON.parse(Buffer.from(await bytesAt(path)).toString());
    for (const version of [0, 1, 255, 256, 258]) {
      const text = Buffer.from(await bytesAt(`/registry/${version}/tlog-proof`)).toString();
      const { leaf } = await json(`/registry/${version}`);
      const { leaf: other } = await json(`/registry/${(version + 1) % SIZE}`);
      const verdict = { index: version, size: SIZE, time: null };
      cases.push({
        what: `${version}`,
        theirs: ['kept', text, JSON.stringify(leaf), vkeys],
        ours: () => verdict,
      });
      cases.push({
        what: `not ${version}`,
        theirs: ['kept', text, JSON.stringify(other), vkeys],
        ours: () => null,
      });
    }
    const roots = new Map<number, string>();
    for (const size of [1, 128, 256, 257, SIZE]) {
      const { proof } = await json(`/registry/proof/inclusion/0/${size}`);
      const records = Buffer.from(await bytesAt('/tile/0/000.p/1')).toString('base64');
      const { found } = secondVerdict(
        'cases',
        ['-'],
        JSON.stringify([['inclusion', records, 0, size, proof]]),
      );
      assert.ok(Array.isArray(found));
      roots.set(size, found[0][0]);
    }
    assert.equal(roots.get(SIZE), Buffer.from(app.registry.checkpoint()!.root).toString('base64'));
    for (const [from, fromRoot] of roots)
      for (const [size, root] of roots) {
        if (from > size) continue;
        const { proof } = await json(`/registry/proof/consistency/${from}/${size}`);
        cases.push({
          what: `${from} to ${size}`,
          theirs: ['consistency', from, size, proof, fromRoot, root],
          ours: () => true,
        });
        cases.push({
          what: `${from} to another ${size}`,
          theirs: [
            'consistency',
            from,
            size,
            proof,
            roots.get(1) === fromRoot ? roots.get(128) : roots.get(1),
            root,
          ],
          ours: () => null,
        });
      }
    await assertSameVerdicts(t, cases, { accepted: 20, refused: 20 });
  },
);

test(
  'a served descriptor is tied to the checkpoint, and no lie about it is',
  NEEDS_PYTHON,
  async (t) => {
    const { log_keys: vkeys } = app.governance;
    const ask = async (id: string) =>
      (await app.get(`/registry/head/descriptors/service/${id}?proof=1`)).json();
    const [present, absent] = [await ask('billing'), await ask('search')];
    const { leaf: older } = await (await app.get('/registry/5')).json();
    const { inclusion_proof: hashes, proof } = present;
    const lies: Record<string, object> = {
      'another value': { descriptor: { ...present.descriptor, spec: { version: 5 } } },
      'a present descriptor denied': { descriptor: null },
      'another id': { descriptor: { ...present.descriptor, id: 'search' } },
      'an older leaf': { leaf: older, set_root: older.set_root },
      'a leaf with another set root': {
        leaf: { ...present.leaf, set_root: older.set_root },
        set_root: older.set_root,
      },
      'a set root that no leaf has': { set_root: older.set_root },
      'a proof cut short': { inclusion_proof: hashes.slice(1) },
      'a set proof of nothing': { proof: { ...proof, leaf: null } },
      'a checkpoint of another size': {
        checkpoint: present.checkpoint.replace(`\n${SIZE}\n`, `\n${SIZE - 1}\n`),
      },
      'a checkpoint that only the clock signed': {
        checkpoint: present.checkpoint.replace(/\n\u2014 registry\S+ \S+\n/, '\n'),
      },
    };
    const caseOf = (what: string, id: string, answer: object, verdict: unknown): SharedCase => ({
      what,
      theirs: ['descriptor', answer, 'service', id, vkeys],
      ours: () => verdict,
    });
    const cases = [
      caseOf('present', 'billing', present, present.descriptor),
      caseOf('asked for another', 'search', present, null),
      ...Object.entries(lies).map(([what, members]) =>
        caseOf(what, 'billing', { ...present, ...members }, null),
      ),
      caseOf(
        'an absent descriptor shown',
        'search',
        { ...absent, descriptor: present.descriptor },
        null,
      ),
    ];
    // What a log signs is not yet what this log is: the leaf names its own.
    for (const origin of [ORIGIN, 'registry.example.com/other'])
      cases.push(
        caseOf(
          `a leaf of ${origin}, signed`,
          'billing',
          { ...present, ...(await signedAlone({ ...present.leaf, origin, version: 0 })) },
          origin === ORIGIN ? present.descriptor : null,
        ),
      );
    assert.equal(absent.descriptor, null);
    await assertSameVerdicts(t, cases, { accepted: 2, refused: 13 });
  },
);

/** A tree of one leaf, under the log's key. */
async function signedAlone(leaf: object): Promise<object> {
  const root = recordHash(canonicalBytes(leaf));
  const text = encodeCheckpoint({ origin: ORIGIN, size: 1, root });
  const { name, keyId } = parseVerifierKey(app.governance.log_keys[0]!)!;
  const signature = await LOG_SIGNER.sign(encodeUtf8(text));
  const checkpoint = encodeNote({ text, signatures: [{ name, keyId, signature }] });
  return { leaf, inclusion_proof: [], checkpoint };
}
