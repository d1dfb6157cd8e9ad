import assert from 'node:assert/strict';
import { test } from 'node:test';
import { operations } from '../../../src/api/routes.ts';
import type { Metrics } from '../../../src/telemetry/metrics.ts';
import { isMissing, promtool } from '../../support/prometheus.ts';
import { GOLDEN, metricsWith, reportEverything } from '../../support/server-golden.ts';

async function textOf(metrics: Metrics): Promise<string> {
  return (await metrics.render()).text;
}

/** The value of one sample, found by its whole name and labels. */
async function sample(metrics: Metrics, series: string): Promise<number | undefined> {
  const line = (await textOf(metrics)).split('\n').find((l) => l.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
}

test('every golden metric has its name, type and labels, and there is no other', async () => {
  const metrics = metricsWith();
  reportEverything(metrics);
  const text = await textOf(metrics);
  const found: Record<string, string[]> = {};
  for (const [, name = '', type = ''] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
    const series = type === 'histogram' ? `${name}_count` : name;
    const labels = new RegExp(`^${series}(?:\\{(.*)\\})? `, 'm').exec(text)?.[1] ?? '';
    found[name] = [type, ...[...labels.matchAll(/(\w+)="/g)].map(([, label = '']) => label).sort()];
  }
  assert.deepEqual(found, GOLDEN);
});

test('what the service reports is what a scrape shows', async () => {
  const metrics = metricsWith();
  reportEverything(metrics);
  reportEverything(metrics);
  metrics.inflight(-1);
  const expected: Record<string, number> = {
    'http_requests_total{route="/registry/head",method="GET",code="200"}': 2,
    'request_latency_seconds_count{route="/registry/head",method="GET"}': 2,
    inflight_requests: 1,
    'rejected_total{reason="malformed"}': 2,
    commit_latency_seconds_sum: 0.02,
    approvals_per_commit_sum: 4,
    'bus_lagged_total{consumer="latest"}': 6,
    'registry_updates_total{result="committed"}': 2,
    registry_version: 7,
    registry_oldest_version: 3,
    registry_recoveries_total: 2,
    storage_fsync_seconds_count: 2,
    'registry_witness_requests_total{witness="w1",result="signed"}': 2,
    'registry_witness_size{witness="w1"}': 8,
    'registry_cosignature_age_seconds{witness="w1"}': 2,
    'registry_witness_alarm{reason="fork"}': 1,
    'registry_witness_alarm{reason="ahead"}': 0,
    registry_storage_bytes: 4096,
    event_propagation_seconds_sum: 0.04,
    'audit_records_total{decision="accepted"}': 2,
    'audit_records_total{decision="refused"}': 0,
    audit_failures_total: 2,
    'token_checks_total{result="refused"}': 2,
    'config_reloads_total{result="applied"}': 2,
    config_last_reload_successful: 0,
    config_last_reload_success_timestamp_seconds: 1_790_000_000,
    tls_certificate_not_after_timestamp_seconds: 1_800_000_000,
    http_connections: 2,
    'http_connections_refused_total{reason="address"}': 2,
    registry_read_ready: 1,
    registry_write_ready: 0,
    'registry_write_gate{gate="disk"}': 0,
    'registry_start_seconds{phase="write",after="crash"}': 1.5,
    'registry_build_info{version="1.2.3",node="24.0.0"}': 1,
  };
  for (const [series, value] of Object.entries(expected))
    assert.equal(await sample(metrics, series), value, series);
});

test('counters over closed lists start at zero, so a rate works from the first scrape', async () => {
  const metrics = metricsWith();
  for (const reason of ['malformed', 'conflict', 'other'])
    assert.equal(await sample(metrics, `rejected_total{reason="${reason}"}`), 0, reason);
  for (const result of ['committed', 'rejected', 'conflict', 'unknown'])
    assert.equal(await sample(metrics, `registry_updates_total{result="${result}"}`), 0, result);
});

test('no client can add time series: values outside the closed sets are counted as other', async () => {
  const metrics = metricsWith();
  for (let i = 0; i < 500; i++) {
    metrics.rejected(`reason-${i}`);
    metrics.lagged(`consumer-${i}`, 1);
    metrics.witnessRequested({ witness: `w${i}`, result: `result-${i}` });
    metrics.witnessSize(`w${i}`, i);
    metrics.cosigned(`w${i}`, i);
    metrics.httpRequest({ route: `/guess/${i}`, method: `M${i}`, code: i * 7, seconds: 0 });
  }
  const text = await textOf(metrics);
  assert.equal(await sample(metrics, 'rejected_total{reason="other"}'), 500);
  assert.equal(await sample(metrics, 'bus_lagged_total{consumer="other"}'), 492);
  assert.equal(
    text.match(/^http_requests_total\{.*method="other"/gm)?.length,
    text.match(/^http_requests_total\{/gm)?.length,
  );
  assert.ok((text.match(/^request_latency_seconds_count\{/gm)?.length ?? 0) <= 65);
  assert.ok((text.match(/^registry_witness_requests_total\{/gm)?.length ?? 0) <= 65 + 17);
  assert.equal(text.match(/^registry_witness_size\{/gm)?.length, 65);
  assert.equal(text.match(/^registry_cosignature_age_seconds\{/gm)?.length, 65);
});

test('every method of an operation is counted as itself', async () => {
  const metrics = metricsWith();
  const methods = new Set(operations().map(([, { method }]) => method.toUpperCase()));
  assert.ok(methods.has('PUT'));
  for (const method of methods) {
    metrics.httpRequest({ route: '/a', method, code: 200, seconds: 0 });
    const series = `http_requests_total{route="/a",method="${method}",code="200"}`;
    assert.equal(await sample(metrics, series), 1, method);
  }
});

test('the age of a cosignature grows with the clock until the next one', async () => {
  let nowMs = 1_000;
  const metrics = metricsWith({ now: () => nowMs });
  metrics.cosigned('w1', 3);
  nowMs += 10_000;
  assert.equal(await sample(metrics, 'registry_cosignature_age_seconds{witness="w1"}'), 13);
  metrics.cosigned('w1', 0);
  assert.equal(await sample(metrics, 'registry_cosignature_age_seconds{witness="w1"}'), 0);
});

test('the checkpoint age grows with the clock and a checkpoint sets it back', async () => {
  let nowMs = 1_000;
  const metrics = metricsWith({ now: () => nowMs });
  metrics.checkpointed();
  nowMs += 90_000;
  assert.equal(await sample(metrics, 'registry_checkpoint_age_seconds'), 90);
  metrics.checkpointed();
  nowMs += 1_500;
  assert.equal(await sample(metrics, 'registry_checkpoint_age_seconds'), 1.5);
  nowMs -= 60_000;
  assert.equal(await sample(metrics, 'registry_checkpoint_age_seconds'), 0);
});

test('the room of the disk is told while it is known, and by no figure while it is not', async () => {
  const metrics = metricsWith();
  const figures = async () =>
    (await metrics.render()).text.match(/^registry_storage_(?:free_bytes|mark) .*$/gm);
  assert.equal(await figures(), null);
  metrics.disk({ freeBytes: 4096, mark: 2 });
  metrics.disk({ freeBytes: 8192, mark: 1 });
  assert.deepEqual(await figures(), [
    'registry_storage_free_bytes 8192',
    'registry_storage_mark 1',
  ]);
  metrics.disk(undefined);
  assert.equal(await figures(), null);
});

test('two instruments share nothing', async () => {
  const one = metricsWith();
  const two = metricsWith();
  one.version(9);
  assert.equal(await sample(two, 'registry_version'), -1);
});

test('what has no value yet is absent, and what nobody refused is in order', async () => {
  const metrics = metricsWith();
  for (const name of [
    'tls_certificate_not_after_timestamp_seconds',
    'config_last_reload_success_timestamp_seconds',
    'registry_start_seconds',
    'registry_cosignature_age_seconds',
  ])
    assert.doesNotMatch(await textOf(metrics), new RegExp(`^${name}[ {]`, 'm'), name);
  assert.equal(await sample(metrics, 'config_last_reload_successful'), 1);
});

test('a refused reload leaves the time of the one in force, and the next that is applied mends it', async () => {
  const metrics = metricsWith();
  metrics.reloaded('applied', 1_000);
  metrics.reloaded('refused', 2_000);
  assert.equal(await sample(metrics, 'config_last_reload_successful'), 0);
  assert.equal(await sample(metrics, 'config_last_reload_success_timestamp_seconds'), 1_000);
  metrics.reloaded('applied', 3_000);
  assert.equal(await sample(metrics, 'config_last_reload_successful'), 1);
  assert.equal(await sample(metrics, 'config_last_reload_success_timestamp_seconds'), 3_000);
});

test('the failures that alerts count begin at zero with the first request of a route', async () => {
  const metrics = metricsWith();
  const answer = (code: number) =>
    metrics.httpRequest({ route: '/registry/head', method: 'GET', code, seconds: 0.001 });
  const failures = () =>
    Promise.all(
      [429, 500, 503].map((code) =>
        sample(metrics, `http_requests_total{route="/registry/head",method="GET",code="${code}"}`),
      ),
    );
  assert.deepEqual(await failures(), [undefined, undefined, undefined]);
  answer(200);
  assert.deepEqual(await failures(), [0, 0, 0]);
  answer(500);
  answer(200);
  assert.deepEqual(await failures(), [0, 1, 0]);
});

test('a gate follows what is said of it, and is one of few', async () => {
  const metrics = metricsWith();
  const say = (gate: string, isOpen: boolean) =>
    metrics.readiness({
      isReadReady: true,
      isWriteReady: isOpen,
      gates: new Map([[gate, isOpen]]),
    });
  for (const isOpen of [true, false, true]) {
    say('disk', isOpen);
    assert.equal(await sample(metrics, 'registry_write_gate{gate="disk"}'), Number(isOpen));
    assert.equal(await sample(metrics, 'registry_write_ready'), Number(isOpen));
  }
  for (let i = 0; i < 100; i++) say(`gate-${i}`, true);
  assert.equal((await textOf(metrics)).match(/^registry_write_gate\{/gm)?.length, 33);
});

test('every objective is the bound of a bucket', async () => {
  const metrics = metricsWith();
  reportEverything(metrics);
  const text = await textOf(metrics);
  for (const [name, bounds] of [
    ['request_latency_seconds', [0.05, 0.09, 0.1]],
    ['commit_latency_seconds', [0.75, 1.2]],
    ['approval_verify_seconds', [0.007]],
    ['event_propagation_seconds', [0.2]],
  ] as const)
    for (const bound of bounds)
      assert.match(text, new RegExp(`^${name}_bucket\\{le="${bound}"`, 'm'), `${name} ${bound}`);
});

test('promtool finds nothing to complain about, process metrics included', async (t) => {
  if (isMissing(t, 'promtool')) return;
  const metrics = metricsWith({ isProcessObserved: true });
  reportEverything(metrics);
  const { contentType, text } = await metrics.render();
  assert.match(contentType, /^text\/plain; version=0\.0\.4/);
  assert.match(text, /^process_resident_memory_bytes /m);
  const { status, output } = promtool(['check', 'metrics'], text);
  assert.deepEqual([status, output], [0, '']);
});
