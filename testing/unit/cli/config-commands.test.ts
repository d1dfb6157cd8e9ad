import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadConfig } from '../../../src/server/config.ts';
import { SETTINGS } from '../../../src/server/config-schema.ts';
import { runCli } from '../../support/cli-io.ts';
import { makeDirectory } from '../../support/cli-stage.ts';

function writeConfig(text: string): string {
  const path = join(makeDirectory(), 'quorate.toml');
  writeFileSync(path, text);
  return path;
}

test('config print shows every setting in force and where it stands', async () => {
  const config = writeConfig('max_streams = 7\n');
  const registry = `b3:${'1'.repeat(64)}`;
  const argv = [
    'config',
    'print',
    '--config',
    config,
    '--listen',
    '[::1]:9',
    '--registry',
    registry,
  ];
  const { code, stdout } = await runCli(argv, { env: { QUORATE_LOG_LEVEL: 'warn' } });
  assert.equal(code, 0);
  const lines = stdout.trim().split('\n');
  assert.equal(lines.length, SETTINGS.length);
  assert.ok(lines.includes('listen = "[::1]:9" # --listen'));
  assert.ok(lines.includes('log_level = "warn" # QUORATE_LOG_LEVEL'));
  assert.ok(lines.includes(`max_streams = "7" # ${config}: max_streams`));
  assert.ok(lines.includes(`registry = "${registry}" # --registry`));
  assert.ok(lines.includes('profile = "macronode" # default'));
});

test('what config print prints is a configuration, of the same settings', async () => {
  const { stdout } = await runCli(['config', 'print', '--max-streams', '7']);
  const file = { name: 'printed.toml', text: stdout };
  assert.deepEqual(loadConfig({ file }), loadConfig({ flags: { max_streams: '7' } }));
  const [first] = (await runCli(['config', 'print', '--json'])).json();
  assert.deepEqual(first, { key: 'profile', place: 'default', value: 'macronode' });
});

test('config check tells every mistake at once, and where it stands', async () => {
  const config = writeConfig('listen = "nowhere"\nunknown = 1\n');
  const argv = ['config', 'check', '--config', config, '--max-streams', 'many'];
  const { code, stdout, stderr } = await runCli(argv, { env: { QUORATE_PROFILE: 'huge' } });
  assert.deepEqual([code, stdout], [2, '']);
  assert.match(stderr, /got 4 mistakes:\n/);
  for (const place of [
    '--max-streams',
    'QUORATE_PROFILE',
    `${config}: listen`,
    `${config}: unknown`,
  ])
    assert.ok(stderr.includes(`\n  ${place}: expected `), place);
  const good = await runCli(['config', 'check', '--max-streams', '7']);
  assert.deepEqual([good.code, good.stdout], [0, '']);
  assert.match(good.stderr, /the configuration is valid: 1 of \d+ settings are given/);
});

test('config check and serve end with 2 for a high-water mark inside of data, and tell what else is wrong', async () => {
  const data = makeDirectory();
  for (const command of [['config', 'check'], ['serve']]) {
    const settings = ['--data', data, '--high-water', join(data, 'mark'), '--tls-cert', 'a.pem'];
    const { code, stderr } = await runCli([...command, ...settings]);
    assert.equal(code, 2, command.join(' '));
    assert.match(stderr, /got 2 mistakes:\n.*--high-water: expected high_water outside of data/s);
  }
});

test('the configuration file may come from the environment, and must be there', async () => {
  const env = { QUORATE_CONFIG: writeConfig('max_streams = 7\n') };
  assert.match((await runCli(['config', 'print'], { env })).stdout, /^max_streams = "7" /m);
  const missing = await runCli(['config', 'check', '--config', join(makeDirectory(), 'none.toml')]);
  assert.equal(missing.code, 2);
  assert.match(missing.stderr, /none\.toml: expected a readable file, got ENOENT/);
});

test('serve starts nothing on a bad configuration', async () => {
  const { code, stdout, stderr } = await runCli(['serve', '--listen', 'nowhere']);
  assert.deepEqual([code, stdout], [2, '']);
  assert.match(stderr, /--listen: expected host:port/);
});

test('a flag of governance is refused with where it is changed, and another strange one as usage', async () => {
  for (const flag of ['--threshold', '--min-signers', '--quorum=2', '--governance']) {
    const { code, stderr } = await runCli(['serve', flag, '1']);
    assert.equal(code, 2);
    assert.match(
      stderr,
      /: expected no governance in a configuration, got ".*quorate signers/,
      flag,
    );
  }
  const { code, stderr } = await runCli(['config', 'check', '--max-stream', '1']);
  assert.equal(code, 2);
  assert.match(stderr, /unknown option '--max-stream'.*--max-streams/);
});

test('config print masks what a file holds and what a program is given', async () => {
  const secret = join(makeDirectory(), 'secret');
  writeFileSync(secret, 'canary');
  const env = { QUORATE_DATA_FILE: secret };
  const argv = ['config', 'print', '--log-key', 'exec:sign --pin canary'];
  for (const form of [[], ['--json']]) {
    const { code, stdout } = await runCli([...argv, ...form], { env });
    assert.equal(code, 0);
    assert.doesNotMatch(stdout, /canary/);
  }
  const shown = (await runCli([...argv, '--json'], { env })).json();
  assert.deepEqual(
    shown.find(({ key }) => key === 'log_key'),
    { key: 'log_key', place: '--log-key', value: 'exec:sign ***' },
  );
  const { stdout } = await runCli(argv, { env });
  assert.match(stdout, /^data = "\*\*\*" # QUORATE_DATA_FILE$/m);
  assert.match(stdout, /^log_key = "exec:sign \*\*\*" # --log-key$/m);
});

test('what an address can not do is a failure of the start, not a mistake of the configuration', async () => {
  const data = join(makeDirectory(), 'data');
  const argv = ['serve', '--data', data, '--metrics-listen', 'off', '--log-level', 'silent'];
  const { code, stderr } = await runCli([...argv, '--listen', '192.0.2.1:0']);
  assert.equal(code, 1);
  assert.match(stderr, /expected to listen on 192\.0\.2\.1:0, got EADDRNOTAVAIL/);
});
