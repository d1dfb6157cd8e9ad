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
