import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { before, test } from 'node:test';
import { decodeAuditState, encodeAuditState } from '../../../src/cli/audit-file.ts';
import { createAuditParts } from '../../../src/cli/audit-parts.ts';
import {
  type AuditState,
  auditRegistry,
  type RegistryAudit,
} from '../../../src/cli/audit-registry.ts';
import { systemClock } from '../../../src/client/clock.ts';
import { Transport } from '../../../src/client/transport.ts';
import { type ErrorCode, RegistryError } from '../../../src/core/error.ts';
import type { DecodedPayload } from '../../../src/core/payload.ts';
import { type CliStage, openCliStage } from '../../support/cli-stage.ts';
import { type Lie, URL_BASE } from '../../support/client-server.ts';
import { signNote } from '../../support/client-tree.ts';
import { makeCosigner } from '../../support/core-checkpoint.ts';
import { put } from '../../support/registry.ts';
import {
  descriptorsPayload,
  genesisPayload,
  governancePayload,
  makeGovernance,
  makeLogSigner,
} from '../../support/signers.ts';

/** Past one full tile, and not at the end of one. */
const SIZE = 300;

let stage: CliStage;

before(async () => {
  stage = await openCliStage();
  await stage.grow(20);
  const { governance: current, registryHash, signers } = stage;
  const next = makeGovernance(signers, { threshold: 3, version: 2 });
  await stage.commit(governancePayload(registryHash, { next, current }), signers);
  for (let i = 0; stage.registry.head()?.object.version !== SIZE - 1; i++)
    await stage.commit(changeOf(i), signers);
});

function changeOf(i: number) {
  return descriptorsPayload(stage.registryHash, [put(`more-${i}`, { n: i })], {
    note: `more ${i}`,
  });
}

const verify = async (...options: readonly string[]) => {
  stage.requests.length = 0;
  return stage.cli('verify', '--registry', stage.registryHash, ...options);
};

type Changed = (bytes: Uint8Array, path: string) => Uint8Array | Promise<Uint8Array>;

/** The honest answer with its bytes changed, where `path` fits. */
function changing(path: RegExp, change: Changed): Lie {
  return async (asked, honest) => {
    const answer = await honest();
    if (!path.test(asked) || answer.status !== 200) return answer;
    const bytes = await change(new Uint8Array(await answer.arrayBuffer()), asked);
    const { 'content-type': type = '' } = Object.fromEntries(answer.headers);
    return new Response(Uint8Array.from(bytes), { headers: { 'content-type': type } });
  };
}

const text =
  (change: (text: string) => string): Changed =>
  (bytes) => {
    const before = Buffer.from(bytes).toString('latin1');
    return Buffer.from(change(before), 'latin1');
  };

/** A change of one entry's line. */
const line = (version: number, change: (line: string) => string): Lie =>
  changing(
    /^\/registry\/entries/,
    text((page) =>
      page
        .split('\n')
        .map((one) => (one.includes(`"version":${version}},"payload"`) ? change(one) : one))
        .join('\n'),
    ),
  );

const flipped =
  (at: number): Changed =>
  (bytes) =>
    bytes.with(at, (bytes[at] ?? 0) ^ 1);

const both =
  (...lies: readonly Lie[]): Lie =>
  async (path, honest, request) => {
    for (const lie of lies) {
      const answer = await lie(path, honest, request);
      const [told, true_] = await Promise.all([answer.clone().text(), (await honest()).text()]);
      if (told !== true_) return answer;
    }
    return honest();
  };

test('a log of several tiles is verified from its tiles', async () => {
  const { code, json, stderr } = await verify('--json');
  assert.equal(code, 0, stderr);
  const [summary] = json();
  assert.deepEqual(
    [summary?.entries, summary?.approvals, summary?.governances, summary?.tiles],
    [SIZE, 3 + 20 * 2 + 3 + 278 * 3, 2, 5],
  );
  assert.ok(stage.requests.includes('GET /tile/0/000'));
  assert.ok(stage.requests.includes(`GET /tile/0/001.p/${SIZE - 256}`));
  assert.ok(stage.requests.includes('GET /tile/1/000.p/1'));
  assert.ok(stage.requests.includes(`GET /tile/entries/001.p/${SIZE - 256}`));
});

const LIES: readonly (readonly [what: string, code: ErrorCode, why: RegExp, lie: Lie])[] = [
  [
    'a hash in a tile',
    'invalid_proof',
    /entry 7: .*tile of level 0/,
    changing(/^\/tile\/0\/000$/, flipped(7 * 32)),
  ],
  [
    'a hash in the last tile',
    'invalid_proof',
    /entry 256: /,
    changing(/^\/tile\/0\/001/, flipped(5)),
  ],
  [
    'a hash of the level above',
    'invalid_proof',
    /tile 1\/000\.p\/1 /,
    changing(/^\/tile\/1\//, flipped(3)),
  ],
  [
    'a tile of another length',
    'malformed',
    /tile of 256 hashes/,
    changing(/^\/tile\/0\/000$/, (bytes) => bytes.slice(32)),
  ],
  [
    'a leaf in a bundle',
    'invalid_entry',
    /entry 9: .*entry bundle/,
    changing(
      /^\/tile\/entries\/000/,
      text((bundle) => bundle.replace('"version":9}', '"version":8}')),
    ),
  ],
  [
    'a bundle that is cut short',
    'malformed',
    /entry bundle of 256/,
    changing(/^\/tile\/entries\/000/, (bytes) => bytes.slice(0, -1)),
  ],
  ['a payload', 'invalid_signature', /entry 30: /, line(30, (one) => one.replace('"n":', '"m":'))],
  [
    'an approval left out',
    'quorum_not_reached',
    /entry 40: .*2 of 3/,
    line(40, (one) => one.replace(/(\[\{.*?\}),\{.*?\}(,\{)/, '$1$2')),
  ],
  [
    'a signature',
    'invalid_signature',
    /entry 50: .*signer-001/,
    line(50, (one) => one.replace(/"sig":"([^"]+)"(.*?)"sig":"([^"]+)"/, '"sig":"$1"$2"sig":"$1"')),
  ],
  [
    'a time of signing',
    'invalid_signature',
    /entry 60: /,
    line(60, (one) =>
      one.replace(
        '"signed_at":"2026-11-21T09:00:00.000Z"',
        '"signed_at":"2026-11-21T09:00:00.001Z"',
      ),
    ),
  ],
  [
    'a signer',
    'unknown_signer',
    /entry 70: .*signer-009/,
    line(70, (one) => one.replace('signer-002', 'signer-009')),
  ],
  [
    'an entry of another version',
    'invalid_entry',
    /entry 80: /,
    line(80, (one) => one.replace('"version":80}', '"version":81}')),
  ],
  [
    'no entries',
    'unexpected_answer',
    /entries from version 256/,
    changing(/entries\?from=256/, () => new Uint8Array()),
  ],
  [
    'the set at the head',
    'invalid_proof',
    /set at version 299/,
    changing(
      /\/299\/set/,
      text((set) => set.replace('"n":3', '"n":4')),
    ),
  ],
  [
    'a checkpoint of another root',
    'fork',
    /the root that they give/,
    changing(/^\/checkpoint/, async () =>
      Buffer.from(await signNote({ size: SIZE, root: new Uint8Array(32) })),
    ),
  ],
  [
    'a checkpoint by another key',
    'invalid_signature',
    /signed by a log key of governance 2/,
    changing(/^\/checkpoint/, async (note) =>
      Buffer.from(
        await signNote(
          {
            size: SIZE,
            root: Buffer.from(Buffer.from(note).toString().split('\n')[2] ?? '', 'base64'),
          },
          { signers: [makeLogSigner('other')] },
        ),
      ),
    ),
  ],
  [
    'a checkpoint with a wrong signature',
    'invalid_signature',
    /does not verify/,
    changing(
      /^\/checkpoint/,
      text((note) =>
        note.replace(/(\S{30})(.)(\S*\n)$/, (_, a, c, z) => `${a}${c === 'A' ? 'B' : 'A'}${z}`),
      ),
    ),
  ],
  [
    'a checkpoint that is none',
    'invalid_checkpoint',
    /c2sp/,
    changing(
      /^\/checkpoint/,
      text(() => 'none'),
    ),
  ],
  [
    'a signature, and a payload after it',
    'invalid_signature',
    /entry 100: .*signer-000/,
    both(
      line(100, (one) => one.replace(/"sig":"(.)/, (_, c) => `"sig":"${c === 'A' ? 'B' : 'A'}`)),
      line(299, (one) => one.replace('"n":', '"m":')),
    ),
  ],
];

for (const [what, code, why, lie] of LIES)
  test(`verify finds ${what} changed, and says where`, async () => {
    stage.lie(lie);
    try {
      const run = await verify('--json');
      assert.deepEqual([run.code, run.stdout], [3, ''], run.stderr);
      assert.equal(JSON.parse(run.stderr).code, code, run.stderr);
      assert.match(JSON.parse(run.stderr).message, why);
    } finally {
      stage.lie(undefined);
    }
  });

test('two lies in one page: the one of the older entry is told, though signatures are verified later', async () => {
  const bad = (one: string) =>
    one.replace(/"sig":"(.)/, (_, c) => `"sig":"${c === 'A' ? 'B' : 'A'}`);
  const lie = changing(
    /^\/registry\/entries/,
    text((page) =>
      page
        .split('\n')
        .map((one) => (one.includes('"version":110},"payload"') ? bad(one) : one))
        .map((one) =>
          one.includes('"version":120},"payload"') ? one.replace('"n":', '"m":') : one,
        )
        .join('\n'),
    ),
  );
  stage.lie(lie);
  const { code, stderr } = await verify();
  stage.lie(undefined);
  assert.equal(code, 3);
  assert.match(stderr, /entry 110: .*signature/);
});

test('what is honest is believed: short pages, and a full tile in place of one that is gone', async () => {
  stage.lie(async (path, honest) => {
    const short = /^(\/registry\/entries\?from=\d+)&limit=(\d+)/.exec(path);
    if (short !== null) return honest(`${short[1]}&limit=${Math.min(100, Number(short[2]))}`);
    const partial = /^(\/tile\/(0|entries)\/001)(\.p\/44)?$/.exec(path);
    if (partial === null) return honest();
    if (partial[3] !== undefined) return honest('/tile/0/777');
    const bytes = new Uint8Array(await (await honest(`${partial[1]}.p/44`)).arrayBuffer());
    const rest = partial[2] === '0' ? new Uint8Array(212 * 32) : new Uint8Array(212 * 2);
    const headers = { 'content-type': 'application/octet-stream' };
    return new Response(Buffer.concat([bytes, rest]), { headers });
  });
  const { code, stderr } = await verify();
  stage.lie(undefined);
  assert.equal(code, 0, stderr);
});

test('trusted state of before is on the way, or the log was rolled back or forked', async () => {
  const state = ['--state', stage.file('trusting')];
  assert.equal((await stage.cli('head', '--registry', stage.registryHash, ...state)).code, 0);
  assert.equal((await verify(...state)).code, 0);
  const older = Buffer.from(await signNote({ size: 200, root: new Uint8Array(32) }));
  stage.lie(changing(/^\/checkpoint/, () => older));
  const rolled = await verify(...state);
  stage.lie(undefined);
  assert.equal(rolled.code, 3);
  assert.match(rolled.stderr, /checkpoint of 300 entries or more, got one of 200/);
});

test('a witness policy is demanded of the checkpoint that the walk leads to', async () => {
  const { vkey } = makeCosigner('w.example', 61);
  const policy = stage.write('policy', `witness w ${vkey}\nquorum w\n`);
  const { code, stderr } = await verify('--witness-policy', policy);
  assert.equal(code, 3);
  assert.match(stderr, /witness policy, got none/);
});

// --- going on where an audit ended ---

const entriesAsked = () => stage.requests.filter((one) => one.includes('/registry/entries'));

test('an audit goes on from its file, asks for nothing twice, and says the same', async () => {
  const [whole] = (await verify('--json')).json();
  const file = stage.file('audit.json');
  const resume = ['--resume', file, '--json'];
  assert.deepEqual((await verify(...resume)).json(), [whole]);
  assert.deepEqual((await verify(...resume)).json(), [whole]);
  assert.deepEqual(entriesAsked(), [`GET /registry/entries?from=256&limit=${SIZE - 256}`]);
  stage.lie(
    changing(
      /\/299\/set/,
      text((set) => set.replace('"n":3', '"n":4')),
    ),
  );
  const other = await verify(...resume);
  stage.lie(undefined);
  assert.equal(other.code, 3);
  writeFileSync(file, readFileSync(file, 'utf8').replace('"entries":', '"entries": '));
  const damaged = await verify(...resume);
  assert.equal(damaged.code, 3);
  assert.match(damaged.stderr, /delete it to begin again/);
  assert.equal((await verify('--resume', file, '--data', '.')).code, 2);
});

async function audit(options: Partial<RegistryAudit>, fetch = stage.fetch) {
  const globals = {
    url: URL_BASE,
    registry: stage.registryHash,
    stateDir: '',
    witnessPolicy: undefined,
    maxStaleMs: undefined,
    isPrunedAccepted: false,
    tokenFile: undefined,
    isJson: false,
    isQuiet: true,
  };
  const io = {
    now: Date.now,
    stdin: (async function* () {})(),
    env: {},
    terminal: undefined,
    interrupt: new AbortController().signal,
    stdout: { write: async () => {}, isTerminal: false, columns: 80 },
    stderr: { write: async () => {}, isTerminal: false, columns: 80 },
  };
  await using parts = createAuditParts({ io, globals });
  const clock = systemClock();
  return await auditRegistry({
    ...parts,
    transport: new Transport({ url: URL_BASE, fetch, clock, timeoutMs: 5_000, maxAttempts: 1 }),
    known: undefined,
    from: undefined,
    onVerified: async () => {},
    signal: new AbortController().signal,
    onProgress: () => {},
    ...options,
  });
}

test('an interrupted audit leaves what it had verified, and the next one ends as if there had been none', async () => {
  const whole = await audit({});
  const kept: string[] = [];
  const interrupt = new AbortController();
  const stopped = audit({
    keepEvery: 200,
    signal: interrupt.signal,
    onVerified: async (state: AuditState) => {
      kept.push(encodeAuditState(state));
      interrupt.abort(new Error('interrupted'));
    },
    onProgress: () => {},
  });
  await stopped.catch(() => {});
  const [first = ''] = kept;
  const from = decodeAuditState(first, 'state');
  assert.equal(from.replay.chain.tree.size, 256);
  stage.requests.length = 0;
  assert.deepEqual(await audit({ from }), whole);
  assert.deepEqual(entriesAsked(), [`GET /registry/entries?from=256&limit=${SIZE - 256}`]);
  assert.equal(encodeAuditState(decodeAuditState(first, 'state')), first);
});

/** A log that its own operator made with a signature that does not hold, right in every other way. */
async function openForged(version: number): Promise<CliStage> {
  const verifier = { admit: () => true, verify: async () => true };
  const forged = await openCliStage({ verifier });
  await forged.grow(version - 1);
  const [first, second] = forged.signers;
  if (first === undefined || second === undefined) throw new Error('expected two signers');
  const { sig } = first.approve(genesisPayload(forged.governance));
  const forger = {
    ...second,
    approve: (proposal: DecodedPayload) => ({ ...second.approve(proposal), sig }),
  };
  const proposal = descriptorsPayload(forged.registryHash, [put('forged', {})], { note: 'x' });
  await forged.commit(proposal, [first, forger]);
  return forged;
}

test('a signature that does not hold is found in a log that is right in every other way', async () => {
  const forged = await openForged(3);
  await forged.grow(300);
  const { code, stderr } = await forged.cli('verify');
  assert.equal(code, 3);
  assert.match(stderr, /entry 3: expected a signature by org:acme#signer-001/);
  const kept: number[] = [];
  const onVerified = async ({ replay }: AuditState) => {
    kept.push(replay.chain.version);
  };
  const { fetch, registryHash: registry } = forged;
  await assert.rejects(audit({ keepEvery: 1, onVerified, registry }, fetch), /entry 3: /);
  assert.deepEqual(kept, []);
});

test('an audit keeps nothing that a failing entry stands in', async () => {
  const kept: number[] = [];
  stage.lie(
    line(250, (one) => one.replace(/"sig":"(.)/, (_, c) => `"sig":"${c === 'A' ? 'B' : 'A'}`)),
  );
  const failing = audit({
    keepEvery: 1,
    onVerified: async ({ replay }) => {
      kept.push(replay.chain.version);
    },
  });
  await assert.rejects(
    failing,
    (error) => error instanceof RegistryError && /entry 250: /.test(error.message),
  );
  stage.lie(undefined);
  assert.deepEqual(kept, []);
});
