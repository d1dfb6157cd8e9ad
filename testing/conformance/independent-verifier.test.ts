/**
 * verify.py was written from docs/wire-format.md alone. It must reach the same state from the same
 * entries, give the same verdicts on signatures, and refuse what core refuses.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeUtf8, encodeUtf8 } from '../../src/core/bytes.ts';
import { type Appended, type Chain, verifyEntry } from '../../src/core/chain.ts';
import { assertErasable } from '../../src/core/erasure.ts';
import type { Hash } from '../../src/core/hash.ts';
import type { EntryBytes } from '../../src/core/leaf.ts';
import { decodePayload, type PayloadType } from '../../src/core/payload.ts';
import { createNativeVerifier } from '../../src/server/native-verifier.ts';
import { codeOf } from '../support/core-assert.ts';
import { ed25519Cases } from '../support/core-ed25519-cases.ts';
import { sampled } from '../support/core-long.ts';
import { mutantArbitrary } from '../support/core-mutants.ts';
import {
  ALICE,
  append,
  appendGenesis,
  BOB,
  CAROL,
  DAVE,
  descriptorsMembers,
  eraseMembers,
  genesisMembers,
  governanceMembers,
  governanceOf,
  type PayloadMembers,
  put,
  remove,
  supersedeMembers,
} from '../support/core-registry.ts';
import { NEEDS_PYTHON, secondVerdict } from '../support/second-verifier.ts';

const VECTORS = new URL('vectors/wire-vectors.json', import.meta.url).pathname;
function run(command: string, argument: string, input = ''): unknown {
  const { found, refusal } = secondVerdict(command, [argument], input);
  assert.equal(refusal, '');
  return found;
}

/** What the second verifier says to a registry: its summary, or why it refuses. */
function audit(log: readonly EntryBytes[]): { summary: unknown; refusal: string } {
  const input = log.map((entry) => `${lineOf(entry)}\n`).join('');
  const { found: summary, refusal } = secondVerdict('ndjson', ['-'], input);
  return { summary, refusal };
}

/** As `GET /registry/entries` writes it. */
function lineOf({ leaf, payload, approvals }: EntryBytes): string {
  const [a, l, p] = [approvals, leaf, payload].map(decodeUtf8);
  return `{"approvals":${a},"leaf":${l},"payload":${p}}`;
}

function summaryOf(chain: Chain): unknown {
  return {
    committed_at: chain.committedAt,
    entry_hash: chain.entryHash,
    governance_version: chain.governance.version,
    origin: chain.origin,
    registry: chain.registry,
    set_root: chain.set.root,
    set_size: chain.set.size,
    version: chain.version,
  };
}

/** Every payload type, a rotation with a renamed key, removals, numbers and text that are easy to get wrong. */
function history(): readonly Appended[] {
  const spec = { f: [0.1, 1e-7, 5e-324, 123456789.5, -2.5], t: 'é\u2028😀"\\\u0001', n: null };
  const log: Appended[] = [appendGenesis({ note: 'é 😀' })];
  const head = (): Chain => log.at(-1)!.chain;
  const many = Array.from({ length: 12 }, (_, i) =>
    put(null, `s-${String(i).padStart(2, '0')}`, spec),
  );
  log.push(append(head(), descriptorsMembers(head().registry, many)));
  const changes = [put(head(), 's-00', { '\ufb33': 1, '😀': 2, '\r': 3 }), remove(head(), 's-01')];
  log.push(append(head(), descriptorsMembers(head().registry, changes)));
  const renamed = { ...ALICE, signer_id: 'org:acme#alice-2027' };
  const next = governanceOf([renamed, BOB, DAVE], { version: 2 });
  log.push(append(head(), governanceMembers(head(), next), [ALICE, CAROL, DAVE]));
  log.push(append(head(), supersedeMembers(head(), []), [BOB, DAVE]));
  log.push(append(head(), supersedeMembers(head(), [put(head(), 's-01')]), [BOB, renamed]));
  log.push(append(head(), eraseMembers(log[2]!.chain), [BOB, DAVE]));
  log.push(append(head(), eraseMembers(log[5]!.chain, { reason: 'Secret' }), [BOB, renamed]));
  return log;
}

test('the second verifier audits the vectors to the same head', NEEDS_PYTHON, () => {
  assert.partialDeepStrictEqual(run('vectors', VECTORS), {
    entry_hash: 'b3:ca58603376acf47bac028bed75b2db9e318abeaf31895b65fdca514a23824a77',
  });
});

test('the second verifier audits an exported registry to the same state', NEEDS_PYTHON, () => {
  const log = history();
  const { summary, refusal } = audit(log.map(({ entry }) => entry));
  assert.equal(refusal, '');
  assert.deepEqual(summary, summaryOf(log.at(-1)!.chain));
});

test('both verifiers refuse the same damaged registries', NEEDS_PYTHON, async (t) => {
  const log = history().map(({ entry }) => entry);
  const damaged: [string, EntryBytes[]][] = [
    ['an entry left out', log.toSpliced(1, 1)],
    ['an entry twice', log.toSpliced(2, 0, log[1]!)],
    ['entries in another order', [log[0]!, log[2]!, log[1]!]],
    ['no genesis', log.slice(1)],
    ['two of genesis', [log[0]!, log[0]!]],
    ...wrongErasures(),
  ];
  const edits: readonly (readonly [keyof EntryBytes, string, string])[] = [
    ['payload', '"s-11"', '"s-60"'],
    ['payload', '"threshold":2', '"threshold":1'],
    ['payload', '"port"', '"Port"'],
    ['payload', '"note":""', '"note":"x"'],
    ['approvals', '"sig":"', '"sig":"A'],
    ['approvals', '#bob"', '#carol"'],
    ['approvals', ':01.000Z', ':01.001Z'],
    ['leaf', '"set_size":12', '"set_size":13'],
    ['leaf', '"governance_version":1', '"governance_version":2'],
    ['leaf', '"prev_hash":"b3:', '"prev_hash":"b3:f'],
  ];
  for (const [part, from, to] of edits)
    log.forEach((entry, version) => {
      const text = decodeUtf8(entry[part]);
      if (!text.includes(from)) return;
      const changed = { ...entry, [part]: encodeUtf8(text.replace(from, to)) };
      damaged.push([`version ${version}, ${part}: ${from} to ${to}`, log.with(version, changed)]);
    });
  const isErasure = ([what]: (typeof damaged)[number]) => what.startsWith('erases');
  const others = damaged.filter((each) => !isErasure(each));
  const chosen = [...damaged.filter(isErasure), ...sampled(t, others, 6)];
  for (const [what, entries] of chosen) {
    await assert.rejects(replay(entries), { name: 'RegistryError' }, what);
    assert.match(audit(entries).refusal, /^invalid: /, what);
  }
  assert.ok(chosen.length >= 5, `${chosen.length} cases`);
});

/** Histories that end with an entry that nobody who knows the log from its genesis may believe. */
function wrongErasures(): [string, EntryBytes[]][] {
  const log = history();
  const last = log.at(-1)!.chain;
  const at = (version: number) => log[version]!.chain;
  const wrong: Readonly<Record<string, PayloadMembers>> = {
    'erases the same entry again': eraseMembers(at(2), { reason: 'Other' }),
    'erases an entry by another hash': eraseMembers(at(1), { erases: at(2).entryHash }),
    'erases governance': eraseMembers(at(3)),
    'erases an erasure': eraseMembers(at(6)),
  };
  return Object.entries(wrong).map(([what, members]) => {
    const entries = [...log, append(last, members, [BOB, DAVE])].map(({ entry }) => entry);
    return [what, entries];
  });
}

async function replay(entries: readonly EntryBytes[]): Promise<void> {
  const verifier = createNativeVerifier();
  const seen = new Set<string>();
  const past: { entryHash: Hash; type: PayloadType; isErased: boolean }[] = [];
  let chain: Chain | null = null;
  for (const entry of entries) {
    const verified: Appended = await verifyEntry(chain, entry, {
      verifier,
      isCommitted: (hash) => seen.has(hash),
    });
    const { payload } = decodePayload(entry.payload);
    if (payload.type === 'erase') {
      const target = past[payload.version];
      assertErasable(chain, payload, target && { ...target, current: [] });
      if (target !== undefined) target.isErased = true;
    }
    seen.add(verified.leaf.payload_b3);
    past.push({
      entryHash: verified.chain.entryHash,
      type: verified.leaf.type,
      isErased: false,
    });
    chain = verified.chain;
  }
}

test('a third form of QV1 gives the same verdicts', NEEDS_PYTHON, (t) => {
  const cases = sampled(t, ed25519Cases(), 23);
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
  const input = JSON.stringify(
    cases.map(({ publicKey, message, signature }) => [publicKey, message, signature].map(hex)),
  );
  assert.deepEqual(
    run('ed25519', '-', input),
    cases.map(({ isValid }) => isValid),
  );
  assert.ok(cases.some(({ isValid }) => isValid));
});

test('both readers accept and refuse the same payloads', NEEDS_PYTHON, () => {
  const { chain } = appendGenesis();
  const changes = [put(null, 'a', { x: [1, 0.5, 'é', null, {}] }), put(null, 'b/c')];
  const bases = [
    genesisMembers({ note: 'é' }),
    descriptorsMembers(chain.registry, changes),
    governanceMembers(chain, governanceOf([ALICE, BOB], { version: 2 })),
    supersedeMembers(chain, changes),
    eraseMembers(chain, { version: 1 }),
  ];
  const mutants = fc.sample(mutantArbitrary(bases), { numRuns: 2000, seed: 2026 });
  const ours = mutants.map((bytes) => codeOf(() => decodePayload(bytes)) === undefined);
  const input = JSON.stringify(mutants.map((bytes) => Buffer.from(bytes).toString('hex')));
  const theirs = run('payloads', '-', input);
  assert.ok(Array.isArray(theirs));
  mutants.forEach(
    (bytes, i) => void assert.equal(theirs[i], ours[i], Buffer.from(bytes).toString()),
  );
  const accepted = ours.filter(Boolean).length;
  assert.ok(accepted > 200 && accepted < 1800, `${accepted} of 2,000 accepted`);
});
