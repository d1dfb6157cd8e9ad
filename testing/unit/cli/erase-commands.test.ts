/** A ceremony of erasing, and what the reading commands say of entries whose payload is gone. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { type CliStage, openCliStage } from '../../support/cli-stage.ts';
import { forgetting } from '../../support/client-gone.ts';
import { put, remove } from '../../support/registry.ts';
import { erasePayload } from '../../support/signers.ts';

const ADA = { born: '1815-12-10' };

/** Version 1 puts Ada, version 2 removes her. */
async function openAda(): Promise<CliStage> {
  const stage = await openCliStage();
  await stage.change(put('ada', ADA), put('billing', { port: 1 }));
  return stage;
}

const ERASE = ['erase', '1', '--reason', 'PersonalData', '--note', 'as she asked'];

test('erase names the verified entry by its hash, and is reviewed, approved and committed', async () => {
  const stage = await openAda();
  await stage.change(remove('ada', ADA), put('billing', { port: 2 }, { port: 1 }));
  const path = stage.file('erase.json');
  assert.equal((await stage.cli(...ERASE, '-o', path)).code, 0);
  const payload = JSON.parse(readFileSync(path, 'utf8'));
  const entry = await stage.registry.reader.entry(1);
  assert.deepEqual(
    [payload.type, payload.erases, payload.version, payload.reason, payload.note],
    ['erase', entry?.entryHash, 1, 'PersonalData', 'as she asked'],
  );
  const proposed = await stage.cli(...ERASE);
  assert.equal(proposed.code, 0, proposed.stderr);
  const id = proposed.stdout.trim();
  const { stdout } = await stage.cli('review', id);
  assert.match(stdout, /^erases version 1 b3:[0-9a-f]+, reason PersonalData$/m);
  assert.match(stdout, /^for ever: the payload of that entry, and the values that it put/m);
  assert.match(stdout, /^stays: its leaf, its hashes, its approvals/m);
  assert.match(stdout, /^stays: .*the kinds and ids of what it put/m);
  assert.match(proposed.stderr, /^kinds and ids of what that version put are not erased/m);
  assert.match(stdout, /^not reached: snapshots and copies taken before/m);
  // What would be gone is shown to who signs for it.
  assert.match(stdout, /\+ "born": "1815-12-10"/);
  assert.doesNotMatch(stdout, /cannot be committed/);
  for (const name of ['signer-000', 'signer-001'])
    assert.equal(
      (await stage.cli('approve', id, '--key', stage.file(`${name}.pem`), '--yes')).code,
      0,
    );
  assert.equal((await stage.cli('commit', id)).code, 0);
  const shown = await stage.cli('get', '3');
  assert.match(shown.stdout, /erases {8}version 1 b3:[0-9a-f]+, reason PersonalData/);
  assert.match((await stage.cli('log', '-n', '1')).stdout, /erase {2}erases 1 /);
});

test('what still stands, stays for ever or is gone already is not erased', async () => {
  const stage = await openAda();
  const standing = await stage.cli(...ERASE);
  assert.equal(standing.code, 1);
  assert.match(
    standing.stderr,
    /service\/ada still stands as it put it: replace or remove it first/,
  );
  const genesis = await stage.cli('erase', '0', '--reason', 'Other');
  assert.match(genesis.stderr, /it is of type genesis, which stays for ever\n$/);
  assert.match(
    (await stage.cli('erase', '9', '--reason', 'Other')).stderr,
    /expected a version up to 1/,
  );
  assert.equal((await stage.cli('erase', '1', '--reason', 'Mood')).code, 2);
  assert.equal((await stage.cli('erase', '1')).code, 2);
});

test('a review says why an erasure cannot be committed', async () => {
  const stage = await openAda();
  const { registryHash } = stage;
  const erases = (await stage.registry.reader.entry(1))?.entryHash;
  assert.ok(erases);
  const broken = async (version: number, hash = erases): Promise<string> => {
    const { bytes } = erasePayload(registryHash, { erases: hash, version });
    const file = stage.write(`erase-${version}.json`, new TextDecoder().decode(bytes));
    const { stdout } = await stage.cli('review', file);
    return /cannot be committed: (.*)/.exec(stdout)?.[1] ?? '';
  };
  assert.match(await broken(1), /service\/ada still stands/);
  assert.match(await broken(1, registryHash), /and version 1 is b3:/);
  assert.match(await broken(0 + 7), /erases version 7, and the head is version 1/);
  const file = stage.file('erase-1.json');
  assert.match(
    (await stage.cli('review', '--offline', file)).stdout,
    /what it holds is not known here/,
  );
});

/** Versions 1 and 2 are erased by 4 and 5. */
async function openErased(): Promise<CliStage> {
  const stage = await openAda();
  await stage.change(put('ada', { n: 2 }, ADA));
  await stage.change(remove('ada', { n: 2 }), put('billing', { port: 2 }, { port: 1 }));
  for (const version of [1, 2]) {
    const erases = (await stage.registry.reader.entry(version))?.entryHash;
    assert.ok(erases);
    await stage.commit(erasePayload(stage.registryHash, { erases, version }));
  }
  await stage.change(put('search', {}));
  stage.lie(
    forgetting({
      erased: new Map([
        [1, 4],
        [2, 5],
      ]),
      unwhole: [{ from: 1, to: 2 }],
    }),
  );
  return stage;
}

test('log, get, watch and verify say what was erased, and by which entry', async () => {
  const stage = await openErased();
  const log = await stage.cli('log');
  assert.equal(log.code, 0, log.stderr);
  assert.match(log.stdout, /^2 .* descriptors {2}erased by 5 {2}.*signer-000,.*signer-001/m);
  const [, second] = (await stage.cli('log', '--json')).json().toReversed();
  assert.deepEqual([second?.version, second?.erased_by, second?.note], [1, 4, undefined]);
  const one = await stage.cli('get', '1');
  assert.match(one.stdout, /erased {8}by version 4: its payload is gone, its hash stays/);
  assert.match((await stage.cli('get', '1', '--json')).stdout, /,"payload":null}\n$/);
  const other = ['--state', stage.file('other')];
  const watched = await stage.cli('watch', '-n', '6', ...other);
  assert.match(watched.stdout, /^1 .* erased by 4/m);
  const verified = await stage.cli('verify');
  assert.equal(verified.code, 0, verified.stderr);
  assert.match(verified.stdout, /^erased +version 1, by version 4$/m);
  const again = await stage.cli('erase', '1', '--reason', 'Other');
  assert.match(again.stderr, /version 4 has erased it already/);
});

test('diff compares the sets at both ends where it passes an erased entry', async () => {
  const stage = await openErased();
  const { stdout, stderr, code } = await stage.cli('diff', '0', '6');
  assert.equal(code, 0, stderr);
  assert.match(stderr, /version 1 was erased by version 4: the sets before and after are compared/);
  assert.match(stdout, /^\+ service\/billing\n {4}\+ "port": 2\n\+ service\/search$/m);
  assert.doesNotMatch(stdout, /ada/);
  const back = await stage.cli('diff', '6', '0');
  assert.match(back.stdout, /^- service\/billing/m);
  // No set at that version is whole: the registry says so.
  const within = await stage.cli('diff', '1', '6');
  assert.deepEqual([within.code, within.stdout], [1, '']);
  assert.match(within.stderr, /erased/);
});

test('history tells of an erased value what the registry may still say', async () => {
  const stage = await openErased();
  const forget = stage;
  const gone = forgetting({
    erased: new Map([
      [1, 4],
      [2, 5],
    ]),
    unwhole: [{ from: 1, to: 2 }],
  });
  forget.lie(async (path, honest, request) => {
    const answer = await gone(path, honest, request);
    if (!path.startsWith('/registry/history/')) return answer;
    const { items, ...rest } = await answer.json();
    const without = items.map((item: { set_version: number }) =>
      item.set_version < 3 ? { ...item, descriptor: null } : item,
    );
    return Response.json({ ...rest, items: without });
  });
  const { stdout, stderr, code } = await stage.cli('history', 'service/ada');
  assert.equal(code, 0, stderr);
  assert.equal(
    stdout,
    'version 2 to version 3  erased by version 5\nversion 1 to version 2  erased by version 4\n',
  );
  const [newest] = (await stage.cli('history', 'service/billing', '--json')).json();
  assert.deepEqual([newest?.set_version, newest?.erased_by], [3, null]);
  // A value that is missing though its entry is there is no erased one.
  stage.lie(async (path, honest) => {
    const answer = await honest();
    if (!path.startsWith('/registry/history/')) return answer;
    const { items, ...rest } = await answer.json();
    return Response.json({ ...rest, items: [{ ...items[0], descriptor: null }] });
  });
  assert.equal((await stage.cli('history', 'service/search')).code, 3);
});

test('what was pruned is refused with a way out, and with leave told from then on', async () => {
  const stage = await openCliStage();
  await stage.grow(6);
  stage.lie(forgetting({ oldest: 4, archive: 's3://archive' }));
  const refused = await stage.cli('head');
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /take the 4 from a snapshot or a mirror .*s3:\/\/archive/);
  assert.match(refused.stderr, /--accept-pruned goes on without what is gone/);
  const told = /not verified +versions 0 to 3: pruned, and accepted by their leaves/;
  assert.match((await stage.cli('head', '--accept-pruned')).stdout, told);
  assert.match((await stage.cli('head')).stdout, told);
  const [head] = (await stage.cli('head', '--json')).json();
  assert.deepEqual(head?.accepted, [{ from: 0, to: 3 }]);
  const log = await stage.cli('log');
  assert.equal(log.stdout.trim().split('\n').length, 3);
  assert.match(log.stderr, /before these: .*pruned/);
  assert.equal((await stage.cli('get', '2')).code, 1);
  assert.equal((await stage.cli('get', '0')).code, 0);
});
