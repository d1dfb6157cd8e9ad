import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { isErrorCode, RegistryError } from '../../../src/core/error.ts';
import { effectiveSettings, loadConfig, readConfigFile } from '../../../src/server/config.ts';
import { SETTINGS } from '../../../src/server/config-schema.ts';
import { file, violationsOf } from '../../support/server-config.ts';

test('without any source the defaults hold', () => {
  const { settings, ...config } = loadConfig();
  assert.deepEqual(config, {
    profile: 'macronode',
    listen: { host: '127.0.0.1', port: 7070 },
    socketMode: 0o660,
    tls: null,
    trustedProxies: [],
    metricsListen: { host: '127.0.0.1', port: 7071 },
    dataDir: './data',
    pins: {},
    logKeys: [],
    cosigners: {
      witnessPolicy: null,
      recosignMs: 300_000,
      clockKey: null,
      clockName: null,
      clockIntervalMs: 5_000,
      highWater: null,
    },
    operatorListen: 'data/operator.sock',
    tokens: { keys: [], revocations: null },
    logLevel: 'info',
    traceEndpoint: null,
    auditMaxBytes: 256 * 1024 ** 2,
    blobs: { isOn: false, maxBytes: 1024 ** 3, quotaBytes: 10 * 1024 ** 3, graceMs: 86_400_000 },
    limits: {
      maxPendingProposals: 1000,
      maxReadsPerMinute: 600_000,
      maxWritesPerMinute: 6000,
      maxTokenWritesPerMinute: 6000,
      maxInflight: 2000,
      maxConnections: 10_000,
      maxConnectionsPerAddress: 256,
      maxStreams: 1000,
      maxStreamsPerAddress: 8,
      maxPreparedBytes: 2 * 1024 ** 3,
      maxStreamAgeMs: 900_000,
    },
    shed: {
      storageMs: 1000,
      loopMs: 250,
      minFreeBytes: 64 * 1024 ** 2,
      warnFreeBytes: 512 * 1024 ** 2,
      ballastBytes: 32 * 1024 ** 2,
    },
    retention: { ageMs: 0, entries: 0, bytes: 0 },
    archive: null,
    timeouts: {
      headersMs: 5000,
      requestMs: 10_000,
      keepAliveMs: 65_000,
      drainMs: 10_000,
      drainDelayMs: 0,
    },
  });
  assert.deepEqual(
    Object.keys(settings),
    SETTINGS.map(({ key }) => key),
  );
});

test('a flag wins over the environment, the environment over the file, the file over the default', () => {
  const sources = {
    file: file('max_streams = 1\nmax_stream_age = "1m"\ndata = "/from/file"'),
    env: { QUORATE_MAX_STREAMS: '2', QUORATE_MAX_STREAM_AGE: '2m', QUORATE_DATA: '' },
    flags: { max_streams: '3', data: undefined },
  };
  const { limits, dataDir } = loadConfig(sources);
  assert.deepEqual([limits.maxStreams, limits.maxStreamAgeMs, dataDir], [3, 120_000, '/from/file']);
  const places = effectiveSettings(sources).map(({ setting, place }) => [setting.key, place]);
  assert.deepEqual(Object.fromEntries(places), {
    ...Object.fromEntries(SETTINGS.map(({ key }) => [key, 'default'])),
    max_streams: '--max-streams',
    max_stream_age: 'QUORATE_MAX_STREAM_AGE',
    data: 'quorate.toml: data',
  });
});

test('every mistake of every source is told at once, with its place, what was expected and what came', () => {
  const violations = violationsOf({
    flags: { log_level: 'loud' },
    env: { QUORATE_MAX_STREAM_AGE: '15min', QUORATE_LISTEN: '127.0.0.1' },
    file: file(
      'threshold = 1\nmax_streams = -4\ndrain_timeout = ["5s"]\nlog_level = 5\n[limits]\nbody = 1',
    ),
  });
  assert.deepEqual(
    violations.map((violation) => violation.replace(/one of profile.*archive/, 'one of ...')),
    [
      '--log-level: expected debug, info, warn, error or silent, got "loud"',
      'QUORATE_LISTEN: expected host:port such as 127.0.0.1:7070 or [::1]:7070, or unix: and a path, got "127.0.0.1"',
      'QUORATE_MAX_STREAM_AGE: expected a duration from 1s to 24h such as 30s, got "15min"',
      'quorate.toml: threshold: expected no governance in a configuration, got "threshold": who may sign, and how many must, changes by commits that the signers approved (`quorate signers`)',
      'quorate.toml: max_streams: expected an integer from 1 to 100000, got "-4"',
      'quorate.toml: drain_timeout: expected a duration from 100ms to 10m such as 30s, got ["5s"]',
      'quorate.toml: log_level: expected debug, info, warn, error or silent, got "5"',
      'quorate.toml: limits: expected one of ..., got "limits"',
    ],
  );
});

test('a file that is not toml is refused with its line, beside the mistakes elsewhere', () => {
  const violations = violationsOf({
    env: { QUORATE_PROFILE: 'x' },
    file: file('max_streams = 1\nlisten = \n'),
  });
  assert.equal(violations.length, 2);
  assert.match(violations.join('\n'), /^quorate\.toml: line 2: expected toml, got /m);
});

test('a configuration file that is not there is refused with its path', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'quorate-config-'));
  const path = join(folder, 'quorate.toml');
  await assert.rejects(readConfigFile(path), {
    code: 'invalid_request',
    message: new RegExp(path),
  });
  await writeFile(path, 'profile = "micronode"\nmetrics_listen = "off"\n');
  const config = loadConfig({ file: await readConfigFile(path) });
  assert.deepEqual([config.profile, config.metricsListen], ['micronode', null]);
  await rm(folder, { recursive: true });
});

test('a size may be written in bytes as other programs print it', () => {
  for (const [text, bytes] of [
    ['64MiB', 64 * 1024 ** 2],
    ['107374182400B', 100 * 1024 ** 3],
    ['1058000KiB', 1_058_000 * 1024],
  ] as const)
    assert.equal(loadConfig({ flags: { blob_quota: text } }).blobs.quotaBytes, bytes);
  assert.throws(() => loadConfig({ flags: { blob_quota: '999999999999999PiB' } }));
});

test('addresses are names, IPv4 and bracketed IPv6, with a port that exists', () => {
  const listen = (text: string) => loadConfig({ flags: { listen: text } }).listen;
  assert.deepEqual(listen('localhost:0'), { host: 'localhost', port: 0 });
  assert.deepEqual(listen('[::1]:65535'), { host: '::1', port: 65_535 });
  for (const text of [
    '::1:7070',
    '127.0.0.1:65536',
    ':7070',
    'http://a:1',
    'a b:1',
    '[]:1',
    'a:-1',
  ])
    assert.equal(violationsOf({ flags: { listen: text } }).length, 1, text);
});

test('pins take an origin and a genesis hash, and empty means none', () => {
  const registry = `b3:${'0f'.repeat(32)}`;
  const flags = { origin: 'registry.example.com/prod', registry };
  assert.deepEqual(loadConfig({ flags }).pins, { origin: 'registry.example.com/prod', registry });
  assert.deepEqual(loadConfig({ file: file('origin = ""\nregistry = ""') }).pins, {});
  assert.equal(
    violationsOf({ flags: { origin: 'https://x', registry: registry.toUpperCase() } }).length,
    2,
  );
});

test('log keys are files and programs, and what is neither is refused', () => {
  const logKeys = (text: string) => loadConfig({ flags: { log_key: text } }).logKeys;
  assert.deepEqual(logKeys('old key.pem, exec:sign-with  --slot 2,/etc/new.pem'), [
    { file: 'old key.pem' },
    { program: ['sign-with', '--slot', '2'] },
    { file: '/etc/new.pem' },
  ]);
  assert.deepEqual(logKeys(''), []);
  for (const text of [',', 'a.pem,', ' ', 'exec:', 'exec: ,a.pem', 'a\0.pem'])
    assert.equal(violationsOf({ flags: { log_key: text } }).length, 1, text);
});

const MAY_BE_ZERO = new Set(['minFreeBytes', 'drainDelayMs']);

test('no text makes anything but a configuration or a list of violations', () => {
  const key = fc.constantFrom(...SETTINGS.map((setting) => setting.key), '__proto__', 'x');
  const value = fc.oneof(
    fc.string(),
    fc.constantFrom('1', '1s', '1h', 'off', 'info', '9e9', '007s'),
  );
  fc.assert(
    fc.property(fc.dictionary(key, value), fc.string(), (flags, text) => {
      try {
        const { limits, shed, timeouts } = loadConfig({ flags, file: file(text) });
        for (const [name, number] of Object.entries({ ...limits, ...shed, ...timeouts }))
          assert.ok(Number.isSafeInteger(number) && number >= (MAY_BE_ZERO.has(name) ? 0 : 1));
      } catch (error) {
        assert.ok(error instanceof RegistryError && isErrorCode(error.code), String(error));
      }
    }),
  );
});
