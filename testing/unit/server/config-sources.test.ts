/** Values in files that variables name, variables that are none of ours, and what is shown of a secret. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import {
  effectiveSettings,
  loadConfig,
  readConfigFile,
  readConfigSources,
} from '../../../src/server/config.ts';
import { SETTINGS } from '../../../src/server/config-schema.ts';
import { file, violationsOf } from '../../support/server-config.ts';

const root = await mkdtemp(join(tmpdir(), 'quorate-sources-'));
after(() => rm(root, { recursive: true }));

const KEY = `ed25519/${'0f'.repeat(32)}`;
let made = 0;

function makeFile(content: string | Uint8Array): string {
  const path = join(root, `file-${made++}`);
  writeFileSync(path, content);
  return path;
}

async function violationsFrom(
  env: Readonly<Record<string, string>>,
  path?: string,
): Promise<readonly string[]> {
  return violationsOf(await readConfigSources({ env, path }));
}

test('a value may stand in a file that a variable names, without its last newline', async () => {
  const env = { QUORATE_TOKEN_KEY_FILE: makeFile(`${KEY}\n`), QUORATE_MAX_STREAMS: '' };
  const path = makeFile('token_key = ""\nmax_streams = 7');
  const config = loadConfig(await readConfigSources({ env, path }));
  assert.deepEqual([config.tokens.keys, config.limits.maxStreams], [[KEY], 7]);
  const crlf = { QUORATE_MAX_STREAMS_FILE: makeFile('8\r\n') };
  assert.equal(loadConfig(await readConfigSources({ env: crlf, path })).limits.maxStreams, 8);
  const flags = { max_streams: '9' };
  const sources = await readConfigSources({ flags, env: crlf, path });
  assert.equal(loadConfig(sources).limits.maxStreams, 9);
  assert.equal(
    effectiveSettings(await readConfigSources({ env, path })).find(
      ({ setting }) => setting.key === 'token_key',
    )?.place,
    'QUORATE_TOKEN_KEY_FILE',
  );
});

test('only one newline is taken away, and nothing else', async () => {
  for (const text of ['8\n\n', ' 8', '8 \n', '8\n8'])
    assert.equal(
      (await violationsFrom({ QUORATE_MAX_STREAMS_FILE: makeFile(text) })).length,
      1,
      text,
    );
});

test('each file that a variable names and that holds no value is a mistake with its place', async () => {
  const missing = join(root, 'none');
  const violations = await violationsFrom({
    QUORATE_DATA_FILE: missing,
    QUORATE_ORIGIN_FILE: root,
    QUORATE_LOG_KEY_FILE: makeFile('\n'),
    QUORATE_CLOCK_KEY_FILE: makeFile(new Uint8Array([0xff])),
    QUORATE_HIGH_WATER_FILE: makeFile('x'.repeat(64 * 1024 + 1)),
    QUORATE_TOKEN_REVOCATIONS_FILE: '',
  });
  const [, ...rest] = violations.map((violation) => violation.replaceAll(root, '.'));
  assert.deepEqual(
    violations[0],
    `QUORATE_DATA_FILE: ${missing}: expected a readable file, got ENOENT`,
  );
  assert.deepEqual(rest, [
    'QUORATE_ORIGIN_FILE: .: expected a regular file, got another kind',
    `QUORATE_LOG_KEY_FILE: expected a value in ./file-${made - 3}, got none`,
    `QUORATE_CLOCK_KEY_FILE: ./file-${made - 2}: expected a readable file, got bytes that are not utf-8`,
    `QUORATE_HIGH_WATER_FILE: ./file-${made - 1}: expected at most 65536 bytes, got more`,
  ]);
});

test('a value beside a file with one is a mistake, whatever they say', async () => {
  const env = { QUORATE_MAX_STREAMS: '8', QUORATE_MAX_STREAMS_FILE: makeFile('8') };
  assert.deepEqual(await violationsFrom(env), [
    'QUORATE_MAX_STREAMS_FILE: expected nothing beside QUORATE_MAX_STREAMS, got both: leave one out',
  ]);
  assert.deepEqual(await violationsFrom({ ...env, QUORATE_MAX_STREAMS: '' }), []);
});

test('a file that a variable names and nobody has read is a mistake, not a default', () => {
  assert.deepEqual(violationsOf({ env: { QUORATE_TOKEN_KEY_FILE: makeFile(KEY) } }), [
    'QUORATE_TOKEN_KEY_FILE: expected its file to be read: readConfigSources does',
  ]);
});

test('a pipe is read once at most, and where nobody writes into one nothing hangs', async () => {
  const pipe = join(root, 'pipe');
  execFileSync('mkfifo', [pipe]);
  assert.deepEqual(await violationsFrom({ QUORATE_DATA_FILE: pipe }), [
    `QUORATE_DATA_FILE: ${pipe}: expected a regular file, got another kind`,
  ]);
  const again = await readConfigSources({ path: pipe, isAgain: true });
  assert.deepEqual(violationsOf(again), [`${pipe}: expected a regular file, got another kind`]);
  const written = writeFile(pipe, 'max_streams = 7\n');
  assert.equal((await readConfigFile(pipe)).text, 'max_streams = 7\n');
  await written;
});

test('a configuration file without an end, or not of text, is refused beside the other mistakes', async () => {
  const env = { QUORATE_PROFILE: 'huge' };
  assert.deepEqual(
    (await violationsFrom(env, '/dev/zero')).at(-2),
    '/dev/zero: expected at most 1048576 bytes, got more',
  );
  const binary = makeFile(new Uint8Array([0x61, 0xff]));
  assert.equal((await violationsFrom(env, binary)).length, 2);
});

test('no secret is shown: not what a file holds, not what a program is given', async () => {
  const secret = 'hunter2-canary';
  const env = {
    QUORATE_TOKEN_KEY_FILE: makeFile(secret),
    QUORATE_LISTEN_FILE: makeFile(`unix:${secret}\0`),
    QUORATE_CLOCK_KEY: `exec:sign --pin ${secret},a.pem`,
    QUORATE_TRACE_ENDPOINT: `ftp://collector/v1?key=${secret}`,
  };
  const violations = await violationsFrom(env);
  assert.equal(violations.length, 4);
  assert.doesNotMatch(violations.join('\n'), new RegExp(secret));
  for (const password of [secret, `${secret}/@`, `?${secret}`])
    assert.doesNotMatch(
      (await violationsFrom({ QUORATE_TRACE_ENDPOINT: `http://a:${password}@c/v1` })).join('\n'),
      new RegExp(secret),
    );
  assert.match(violations.join('\n'), /^QUORATE_CLOCK_KEY: .*, got "exec:sign \*\*\*,a\.pem"$/m);
  const flags = {
    log_key: `a.pem, exec:sign  --pin ${secret} -x,exec:other`,
    trace_endpoint: `http://collector/v1?key=${secret}`,
  };
  const settings = effectiveSettings({ flags });
  const shown = Object.fromEntries(settings.map(({ setting, shown }) => [setting.key, shown]));
  assert.equal(shown.log_key, 'a.pem, exec:sign ***,exec:other');
  assert.equal(shown.trace_endpoint, 'http://collector/v1?***');
  const good = await readConfigSources({
    env: { QUORATE_DATA_FILE: makeFile(secret) },
    path: undefined,
  });
  assert.doesNotMatch(
    JSON.stringify(effectiveSettings(good).map(({ shown }) => shown)),
    new RegExp(secret),
  );
  assert.equal(loadConfig(good).dataDir, secret);
});

test('a private key in the place of its path is refused and shown nowhere, whoever gives it', async () => {
  const body = 'MC4CAQAwBQYDK2VwBCIEIcanary';
  const pem = `-----BEGIN PRIVATE KEY-----\n${body}\n-----END PRIVATE KEY-----\n`;
  for (const { key, env, envFile } of SETTINGS)
    for (const told of [
      violationsOf({ flags: { [key]: pem } }),
      violationsOf({ flags: { [key]: pem.replaceAll('\n', ' ') } }),
      violationsOf({ file: file(`${key} = ${JSON.stringify(pem)}`) }),
      await violationsFrom({ [env]: pem }),
      await violationsFrom({ [envFile]: makeFile(pem) }),
      await violationsFrom({ [envFile]: makeFile(`${body}\n${body}`) }),
    ]) {
      assert.match(told.join('\n'), /got what looks like the contents of a file/, key);
      assert.doesNotMatch(told.join('\n'), /canary/, key);
    }
});

test('a variable that is almost a setting is refused, for it would change nothing', () => {
  for (const name of [
    'QUORATE_TOKEN_KEYS',
    'QUORATE_TLSCERT',
    'QUORATE_LISTEN_PORT',
    'QUORATE_x',
  ]) {
    const [violation, ...rest] = violationsOf({ env: { [name]: '8080' } });
    assert.equal(
      violation,
      `${name}: expected the variable of a setting in CONFIG.md, got "${name}": correct it, or unset it`,
    );
    assert.deepEqual(rest, []);
    assert.deepEqual(violationsOf({ env: { [name]: '', PATH: '/bin' } }), []);
  }
});

test('what Kubernetes gives a container beside Services named quorate is no mistake', () => {
  const services = ['QUORATE', 'QUORATE_METRICS', 'QUORATE_MAX_STREAMS'].flatMap((name) => [
    [`${name}_SERVICE_HOST`, '10.0.171.239'],
    [`${name}_SERVICE_PORT`, '7070'],
    [`${name}_SERVICE_PORT_HTTP_ALT`, '7070'],
    [`${name}_PORT`, 'tcp://10.0.171.239:7070'],
    [`${name}_PORT_7070_TCP`, 'tcp://[fd00::7]:7070'],
    [`${name}_PORT_7070_TCP_PROTO`, 'tcp'],
    [`${name}_PORT_7070_TCP_PORT`, '7070'],
    [`${name}_PORT_7070_TCP_ADDR`, 'fd00::7'],
  ]);
  assert.deepEqual(loadConfig({ env: Object.fromEntries(services) }), loadConfig());
});

test('a variable that the program or its tests read is no mistake', () => {
  const project = join(import.meta.dirname, '../../..');
  const texts = ['src/**/*.ts', 'testing/**/*.ts', 'scripts/*', '.ci/**/*']
    .flatMap((pattern) => globSync(pattern, { cwd: project, withFileTypes: true }))
    .filter((entry) => entry.isFile() && !entry.name.startsWith('config'))
    .map(({ parentPath, name }) => readFileSync(join(parentPath, name), 'utf8'));
  const read = texts.flatMap((text) => [
    ...text.matchAll(/\b(?:env|environ)\??\.(QUORATE_[A-Z0-9_]+)|\$\{?(QUORATE_[A-Z0-9_]+)/g),
  ]);
  const names = new Set(read.map(([, a, b]) => a ?? b ?? ''));
  for (const name of ['QUORATE_URL', 'QUORATE_DEBUG', 'QUORATE_CI'])
    assert.ok(names.has(name), name);
  for (const name of names)
    assert.ok(
      violationsOf({ env: { [name]: 'x' } }).every((violation) => !/in CONFIG\.md/.test(violation)),
      `OWN_VARIABLE lacks ${name}`,
    );
});

test('every setting can be given by variable, by file and by flag, and means the same', async () => {
  for (const { key, env, envFile, initial } of SETTINGS.filter(({ initial }) => initial !== '')) {
    const read = await readConfigSources({
      env: { [envFile]: makeFile(initial) },
      path: undefined,
    });
    const isInMemory = () => true;
    const configs = [
      loadConfig({ ...read, isInMemory }),
      loadConfig({ env: { [env]: initial }, isInMemory }),
      loadConfig({ flags: { [key]: initial }, isInMemory }),
      loadConfig({ file: file(`${key} = ${JSON.stringify(initial)}`), isInMemory }),
    ];
    for (const config of configs) assert.deepEqual(config, loadConfig(), key);
  }
});
