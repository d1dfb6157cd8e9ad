/** What the program says of witnesses and of logs with two histories. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { encodeVerifierKey } from '../../../src/core/vkey.ts';
import { type CliStage, openCliStage } from '../../support/cli-stage.ts';
import { alteredNote } from '../../support/client-lies.ts';
import { openStage } from '../../support/client-server.ts';
import { withSignatures } from '../../support/client-tree.ts';
import { makeCosigner } from '../../support/core-checkpoint.ts';
import { put } from '../../support/registry.ts';
import { LOG_SIGNER, makeLogSigner, ORIGIN, START } from '../../support/signers.ts';

const WITNESS = makeCosigner('witness.example.com/w1', 21);
const POLICY = `witness w1 ${WITNESS.vkey}\nquorum w1\n`;
const LOG_KEY = encodeVerifierKey({ name: ORIGIN, publicKey: LOG_SIGNER.publicKey });
const OTHER_KEY = encodeVerifierKey({ name: ORIGIN, publicKey: makeLogSigner('x').publicKey });

/** The witness saw the head `ageMs` ago. */
function cosigned(stage: CliStage, ageMs: number): void {
  stage.lie(
    alteredNote((note) => {
      const text = note.slice(0, note.lastIndexOf('\n\n') + 1);
      return withSignatures(note, [WITNESS.cosign(text, (START - ageMs) / 1000)]);
    }),
  );
}

test('head names the cosigners that the policy demands and the time they vouch for', async () => {
  const stage = await openCliStage();
  await stage.grow(2);
  const policy = stage.write('policy', POLICY);
  const without = await stage.cli('head', '--witness-policy', policy);
  assert.equal(without.code, 3);
  assert.match(without.stderr, /witness policy, got none\n {2}its witnesses have not all signed/);
  cosigned(stage, 60_000);
  const { stdout } = await stage.cli('head', '--witness-policy', policy, '--max-stale', '2m');
  assert.match(stdout, /^checkpoint +3 leaves, root [A-Za-z0-9+/]{43}=$/m);
  assert.match(stdout, /^cosigners +w1$/m);
  assert.match(stdout, /^fresh at +2026-11-21T08:59:00.000Z, 1 minute ago, as witnesses say$/m);
  const [head] = (await stage.cli('head', '--json', '--witness-policy', policy)).json();
  const checkpoint = head?.checkpoint as Record<string, unknown>;
  assert.deepEqual([checkpoint.size, checkpoint.cosigners], [3, ['w1']]);
  assert.equal(checkpoint.fresh_at, (START - 60_000) / 1000);
  assert.match((await stage.cli('head')).stdout, /^cosigners +not asked about/m);
});

test('a head that its witnesses have not seen lately is stale, with exit code 3', async () => {
  const stage = await openCliStage();
  cosigned(stage, 121_000);
  const env = { QUORATE_WITNESS_POLICY: stage.write('policy', POLICY), QUORATE_MAX_STALE: '2m' };
  const { code, stderr } = await stage.cliIn({ env }, 'head', '--json');
  assert.equal(code, 3);
  assert.equal(JSON.parse(stderr).code, 'stale');
  cosigned(stage, 120_000);
  assert.equal((await stage.cliIn({ env }, 'head')).code, 0);
});

test('a duration or a policy that means nothing is told before anything is asked', async () => {
  const stage = await openCliStage();
  assert.equal((await stage.cli('head', '--max-stale', 'soon')).code, 2);
  assert.equal((await stage.cliIn({ env: { QUORATE_MAX_STALE: '1' } }, 'head')).code, 2);
  assert.equal((await stage.cli('head', '--witness-policy', stage.write('p', 'x'))).code, 1);
  assert.equal((await stage.cli('head', '--witness-policy', stage.file('none'))).code, 1);
  const alone = await stage.cli('head', '--max-stale', '1m');
  assert.match(alone.stderr, /expected a policy that names a quorum beside maxStaleMs/);
  assert.deepEqual(stage.requests, []);
});

/** The stage, which showed one history and now shows another; and the file that says so. */
async function openForked(): Promise<{ stage: CliStage; path: string }> {
  const stage = await openCliStage();
  const other = await openStage();
  await stage.grow(2);
  await other.change(put('y', {}));
  await other.grow(3);
  assert.equal((await stage.cli('head')).code, 0);
  stage.lie(async (path) => other.get(path));
  const { code, stderr } = await stage.cli('head', '--json');
  assert.equal(code, 3);
  const [told = '', error = ''] = stderr.trimEnd().split('\n');
  assert.equal(JSON.parse(error).code, 'fork');
  const directory = stage.file('state/evidence');
  const [name = ''] = readdirSync(directory);
  const path = join(directory, name);
  assert.ok(told.endsWith(path), told);
  return { stage, path };
}

test('a fork leaves evidence that only its owner reads, and that proves it to others', async () => {
  const { stage, path } = await openForked();
  assert.match(path, /\/20261121T090000\.000Z-3-5\.json$/);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  stage.lie(() => assert.fail('expected no request'));
  const trusted = await stage.cli('evidence', 'verify', path);
  assert.equal(trusted.code, 0);
  assert.match(trusted.stdout, /^proven: the first 3 leaves of the signed tree of 5 are not/);
  assert.match(trusted.stdout, /^log keys +in force in the trusted state/m);
  const given = await stage.cli('evidence', 'verify', path, '--json', '--log-key', LOG_KEY);
  const [verdict] = given.json();
  const signed_by = [`${ORIGIN}+${LOG_KEY.split('+')[1]}`];
  assert.deepEqual(
    [verdict?.log_keys, verdict?.older, verdict?.newer],
    ['option', { size: 3, signed_by }, { size: 5, signed_by }],
  );
});

test('evidence is no proof about another key, and says when only the file names its keys', async () => {
  const { stage, path } = await openForked();
  const other = await stage.cli('evidence', 'verify', path, '--log-key', OTHER_KEY);
  assert.deepEqual([other.code, other.stdout], [3, '']);
  assert.match(other.stderr, /signed by none of the keys/);
  const stranger = await stage.cli('--state', stage.file('none'), 'evidence', 'verify', path);
  assert.equal(stranger.code, 0);
  assert.match(stranger.stdout, /^proven of the keys named in the file: /);
  assert.match(stranger.stdout, /^log keys +named in the file itself/m);
  assert.equal((await stage.cli('evidence', 'verify', path, '--log-key', 'no key')).code, 2);
});

test('a file that proves nothing is exit code 3, and one that is no evidence a failure', async () => {
  const { stage, path } = await openForked();
  const evidence = JSON.parse(readFileSync(path, 'utf8'));
  const same = stage.write('same', { ...evidence, newer: evidence.older });
  const { code, stderr } = await stage.cli('evidence', 'verify', same);
  assert.equal(code, 3);
  assert.match(stderr, /both notes have the same root/);
  assert.equal((await stage.cli('evidence', 'verify', stage.write('none', '{}'))).code, 1);
});
