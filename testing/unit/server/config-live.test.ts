/** A configuration that is replaced while it runs: whole or not at all, one after another. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RegistryError } from '../../../src/core/error.ts';
import { type Config, loadConfig } from '../../../src/server/config.ts';
import { SETTINGS } from '../../../src/server/config-schema.ts';
import { LiveConfig } from '../../../src/server/live-config.ts';
import { createLog } from '../../../src/server/log.ts';
import { recordedReload } from '../../../src/server/recorded-reload.ts';
import type { AuditEvent } from '../../../src/telemetry/audit.ts';

const NOW = 1_800_000_000_000;

/** A live configuration whose sources are `flags`, and everything it told. */
function makeLive(initial: Readonly<Record<string, string>> = {}) {
  const state = { flags: initial, reads: 0 };
  const records: Record<string, unknown>[] = [];
  const reloads: unknown[] = [];
  const live = new LiveConfig({
    initial: loadConfig({ flags: initial }),
    load: async () => {
      state.reads++;
      return loadConfig({ flags: state.flags });
    },
    log: createLog({
      level: 'info',
      destination: { write: (line) => records.push(JSON.parse(line)) },
    }),
    metrics: { reloaded: (result, at) => reloads.push([result, at]) },
    now: () => NOW,
  });
  return { live, state, records, reloads };
}

/** A part that takes `max_streams` up. */
function makePart(initial: Config) {
  const part = {
    maxStreams: initial.limits.maxStreams,
    prepared: 0,
    prepare: async ({ limits }: Config) => {
      part.prepared++;
      return () => {
        part.maxStreams = limits.maxStreams;
      };
    },
  };
  return part;
}

const refusal = (message: string) => async (): Promise<() => void> => {
  throw new RegistryError('invalid_request', message);
};

async function violationsOf(reload: Promise<unknown>): Promise<readonly unknown[]> {
  const error = await reload.then(
    () => assert.fail('expected a refusal'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof RegistryError && error.code === 'invalid_request', String(error));
  assert.ok(Array.isArray(error.details.violations));
  return error.details.violations;
}

test('a reload is taken up by every part, and told with its keys and without its values', async () => {
  const { live, state, records, reloads } = makeLive();
  const parts = [makePart(live.current), makePart(live.current)];
  for (const part of parts) live.add(part);
  state.flags = { max_streams: '7', log_level: 'warn' };
  assert.deepEqual(await live.reload(), ['log_level', 'max_streams']);
  assert.deepEqual([live.current.limits.maxStreams, live.current.logLevel], [7, 'warn']);
  assert.deepEqual(
    parts.map(({ maxStreams }) => maxStreams),
    [7, 7],
  );
  assert.deepEqual(reloads, [['applied', NOW / 1000]]);
  assert.equal(records.length, 1);
  const { msg, level, changed } = records[0] ?? {};
  assert.deepEqual(
    [msg, level, changed],
    ['the configuration was reloaded', 'info', 'log_level, max_streams'],
  );
});

test('a reload of the same settings, however written, changes nothing and prepares every part', async () => {
  const { live, state, records } = makeLive({
    drain_timeout: '10s',
    trusted_proxies: '::1,10.0.0.0/8',
  });
  const part = makePart(live.current);
  live.add(part);
  state.flags = { drain_timeout: '10000ms', trusted_proxies: '::1, 10.0.0.0/8' };
  assert.deepEqual(await live.reload(), []);
  assert.equal(part.prepared, 1);
  assert.equal(records[0]?.changed, 'nothing');
});

test('every setting that needs a restart is refused with its reason, and the others with it', async () => {
  const { live, state, records, reloads } = makeLive();
  const part = makePart(live.current);
  live.add(part);
  const before = live.current;
  state.flags = OTHERS;
  const fixed = SETTINGS.filter(({ key, reload }) => reload !== true && key !== 'profile');
  assert.ok(fixed.length > 10 && fixed.length < SETTINGS.length);
  assert.deepEqual(
    await violationsOf(live.reload()),
    fixed.map(({ key, reload }) => `${key}: expected no change without a restart: ${reload}`),
  );
  assert.equal(live.current, before);
  assert.equal(part.maxStreams, 1000);
  assert.deepEqual(reloads, [['refused', NOW / 1000]]);
  assert.equal(records[0]?.msg, 'the configuration was not reloaded');
  assert.doesNotMatch(JSON.stringify(records), /canary/);
});

test('the profile needs a restart', async () => {
  const { live, state } = makeLive();
  state.flags = { profile: 'micronode' };
  assert.match(String(await violationsOf(live.reload())), /^profile: expected no change without/);
});

test('every setting that a reload applies is applied', async () => {
  const { live, state } = makeLive();
  const applied = SETTINGS.filter(({ reload }) => reload === true).map(({ key }) => key);
  state.flags = Object.fromEntries(applied.map((key) => [key, OTHERS[key] ?? '']));
  assert.deepEqual(await live.reload(), applied);
});

test('a configuration that does not load, or that parts can not take up, changes nothing', async () => {
  const { live, state, reloads } = makeLive();
  const parts = [makePart(live.current), makePart(live.current)];
  live.add(parts[0] ?? assert.fail());
  live.add({ prepare: refusal('expected a certificate, got none') });
  live.add({ prepare: refusal('expected revocation ids, got html') });
  live.add(parts[1] ?? assert.fail());
  const before = live.current;
  state.flags = { max_streams: 'many', listen: 'nowhere' };
  assert.equal((await violationsOf(live.reload())).length, 2);
  assert.deepEqual(
    parts.map(({ prepared }) => prepared),
    [0, 0],
  );
  state.flags = { max_streams: '7', listen: '[::1]:1' };
  assert.deepEqual(await violationsOf(live.reload()), [
    'listen: expected no change without a restart: a listener keeps its address',
    'expected a certificate, got none',
    'expected revocation ids, got html',
  ]);
  assert.deepEqual(
    parts.map(({ prepared, maxStreams }) => [prepared, maxStreams]),
    [
      [1, 1000],
      [1, 1000],
    ],
  );
  assert.equal(live.current, before);
  assert.equal(reloads.length, 2);
});

test('a part that throws at once is one that refuses', async () => {
  const { live } = makeLive();
  live.add({
    prepare: () => {
      throw new RegistryError('invalid_request', 'expected better, got this');
    },
  });
  assert.deepEqual(await violationsOf(live.reload()), ['expected better, got this']);
});

test('a part that breaks its word holds no other back, and the reload does not call itself applied', async () => {
  const { live, state, reloads } = makeLive();
  const part = makePart(live.current);
  live.add({
    prepare: async () => () => {
      throw new Error('planted');
    },
  });
  live.add(part);
  state.flags = { max_streams: '7' };
  await assert.rejects(live.reload(), { code: 'internal', cause: new Error('planted') });
  assert.deepEqual([part.maxStreams, live.current.limits.maxStreams], [7, 7]);
  assert.deepEqual(reloads, [['refused', NOW / 1000]]);
});

test('reloads run one after another, and those that wait share one that reads the newest sources', async () => {
  const { live, state } = makeLive();
  const gate = Promise.withResolvers<void>();
  const entered = Promise.withResolvers<void>();
  const seen: string[] = [];
  live.add({
    prepare: async ({ limits }) => {
      seen.push(`prepare ${limits.maxStreams}`);
      entered.resolve();
      await gate.promise;
      return () => seen.push(`apply ${limits.maxStreams}`);
    },
  });
  state.flags = { max_streams: '1' };
  const first = live.reload();
  await entered.promise;
  state.flags = { max_streams: '2' };
  const waiting = [live.reload(), live.reload()];
  state.flags = { max_streams: '3' };
  waiting.push(live.reload());
  assert.equal(state.reads, 1);
  gate.resolve();
  assert.deepEqual(await Promise.all([first, ...waiting]), [
    ['max_streams'],
    ['max_streams'],
    ['max_streams'],
    ['max_streams'],
  ]);
  assert.equal(state.reads, 2);
  assert.deepEqual(seen, ['prepare 1', 'apply 1', 'prepare 3', 'apply 3']);
});

test('a refused reload does not stop the next one', async () => {
  const { live, state } = makeLive();
  state.flags = { max_streams: 'many' };
  const refused = live.reload();
  const next = live.reload();
  await assert.rejects(refused);
  await assert.rejects(next);
  state.flags = { max_streams: '7' };
  assert.deepEqual(await live.reload(), ['max_streams']);
});

test('from a close on no part changes, also by a reload that was under way, which it waits for', async () => {
  const { live, state } = makeLive();
  const gate = Promise.withResolvers<void>();
  const entered = Promise.withResolvers<void>();
  const part = makePart(live.current);
  live.add(part);
  live.add({
    prepare: async () => {
      entered.resolve();
      await gate.promise;
      return () => assert.fail('taken up after the close');
    },
  });
  state.flags = { max_streams: '7' };
  const running = live.reload();
  await entered.promise;
  const later = live.reload();
  let isClosed = false;
  const closed = live.close().then(() => {
    isClosed = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(isClosed, false);
  gate.resolve();
  await assert.rejects(running, { code: 'draining' });
  await assert.rejects(later, { code: 'draining' });
  await assert.rejects(live.reload(), { code: 'draining' });
  await closed;
  assert.deepEqual([part.maxStreams, live.current.limits.maxStreams, state.reads], [1000, 1000, 1]);
});

/** Another value than the default for every setting but the profile, of which none contradicts another. */
const OTHERS: Readonly<Record<string, string>> = {
  blobs: 'on',
  max_blob_bytes: '1MiB',
  blob_quota: '1MiB',
  blob_grace: '1h',
  listen: '127.0.0.1:1',
  socket_mode: '600',
  tls_cert: 'canary.pem',
  tls_key: 'canary.pem',
  trusted_proxies: '10.0.0.1',
  metrics_listen: 'off',
  data: 'canary',
  origin: 'registry.example.com/canary',
  registry: `b3:${'0'.repeat(64)}`,
  log_key: 'canary.pem',
  witness_policy: 'canary',
  recosign_interval: '1m',
  clock_key: 'canary.pem',
  clock_name: 'canary',
  clock_interval: '1s',
  high_water: 'canary.mark',
  operator_listen: 'off',
  token_key: `ed25519/${'0'.repeat(64)}`,
  token_revocations: 'canary',
  log_level: 'debug',
  trace_endpoint: 'http://127.0.0.1/canary',
  audit_max_size: '1MiB',
  max_pending_proposals: '1',
  max_reads_per_minute: '1',
  max_writes_per_minute: '1',
  max_token_writes_per_minute: '1',
  max_inflight: '2',
  max_connections: '1',
  max_connections_per_address: '1',
  max_streams: '1',
  max_streams_per_address: '1',
  max_stream_age: '1s',
  max_prepared_sets: '0B',
  shed_storage_after: '1m',
  shed_loop_after: '1m',
  min_free_space: '0B',
  warn_free_space: '0B',
  ballast: '0B',
  headers_timeout: '1m',
  request_timeout: '1m',
  keep_alive_timeout: '1m',
  drain_timeout: '1m',
  drain_delay: '1m',
  retention_age: '1d',
  retention_entries: '1',
  retention_size: '1MiB',
  archive: 'elsewhere',
};

test('those that share a reload share its record, and it is kept before they hear of it', async () => {
  const { live } = makeLive();
  const kept = Promise.withResolvers<void>();
  const events: unknown[] = [];
  const audit = {
    record: async ({ act, client, decision }: AuditEvent) => {
      await kept.promise;
      events.push([act, client, decision]);
    },
  };
  const reload = recordedReload({ live, audit, registry: { head: () => undefined } });
  let heard = 0;
  const asked = [reload(), reload(), reload()].map((one) => one.then(() => heard++));
  await live.reload();
  assert.deepEqual([heard, events], [0, []]);
  kept.resolve();
  await Promise.all(asked);
  assert.deepEqual(events, [['reload', 'signal', 'accepted']]);
});
